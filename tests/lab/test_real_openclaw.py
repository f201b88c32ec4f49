"""The real OpenClaw, as its installer leaves it, and a turn of its agent through the gateway.

What is told here of OpenClaw was seen with 2026.9.6 on Node 26.10.0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import INVENTORY, ROOT, Lab
from tests.lab.faults import await_step, running
from tests.lab.rows import rows

AGENT = "agentc"
CONFIGURATION = "/home/openclaw/.openclaw/openclaw.json"
LIMITS = ("--limit", "gw1", "--limit", AGENT)
AS_OPENCLAW = "runuser -u openclaw -- env HOME=/home/openclaw XDG_RUNTIME_DIR=/run/user/$(id -u openclaw) PATH=$PATH"
_IS_READY = (
    "(exec 3<>/dev/tcp/127.0.0.1/18789 &&"
    ' printf "GET /readyz HTTP/1.0\\r\\n\\r\\n" >&3 && timeout 5 head -n 1 <&3) 2>/dev/null'
)
_READY = f"""timeout 400 bash -c 'until {_IS_READY} | grep -q " 200 "; do sleep 0.5; done'"""


_ASKS = "timeout 100 sh -c 'until ss -tnH state established dport = :3000 | grep -q .; do sleep 0.1; done'"


_OTHER_FILES = """set -e
cd /home/openclaw
mkdir -p .config/openclaw
echo LLM_API_KEY=sk-of-the-directory > .env
echo OPENAI_BASE_URL=https://provider.example/v1 | tee .openclaw/.env > .config/openclaw/gateway.env
chown -R openclaw:openclaw .env .openclaw/.env .config
"""
_OF_THE_UNIT = """set -e
cd /home/openclaw/.config/systemd/user
mkdir openclaw-gateway.service.d
echo LLM_BASE_URL=http://192.0.2.1/v1 > own.env
{
    echo '[Service]'
    echo Environment=LLM_API_KEY=sk-of-the-unit
    echo EnvironmentFile=/home/openclaw/.config/systemd/user/own.env
} > openclaw-gateway.service.d/own.conf
chown -R openclaw:openclaw .
"""


@contextmanager
def onboarded(lab: Lab) -> Iterator[None]:
    """A host on which OpenClaw was onboarded, and is ready for the first time."""
    with lab.more_hosts(f"{AGENT}:openclaw"):
        assert lab.state["hosts"][AGENT]["profile"] == "openclaw", "npm gave no OpenClaw to the lab"
        lab.ssh(AGENT, _READY)
        yield
    # The gateway forgets the channel that was there for this host alone.
    run = lab.deploy("--limit", "gw1", "--data", 'gateway_prune=["channel:lab-plain", "token:agentc"]')
    assert run.code == 0, run.output[-3000:]


@pytest.fixture(scope="module")
def host(deployed: Lab) -> Iterator[Lab]:
    """The lab with such a host."""
    with onboarded(deployed):
        yield deployed


def _configuration(lab: Lab) -> dict[str, object]:
    found: dict[str, object] = json.loads(lab.ssh(AGENT, f"cat {CONFIGURATION}"))
    return found


def _turn(lab: Lab, message: str = "Which colour is the sky?") -> dict[str, object]:
    command = f"cd / && {AS_OPENCLAW} openclaw agent --agent main --message '{message}' --json"
    answer: dict[str, object] = json.loads(lab.ssh(AGENT, command))["result"]
    return answer


def _ask_upstream(lab: Lab, what: str) -> Any:
    address = lab.command("upstream", "--as", "plain").stdout.strip().removesuffix("/plain")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/{what}", timeout=30) as answer:
        return json.load(answer)


def _sent(lab: Lab) -> list[dict[str, Any]]:
    """What the scripted upstream was sent for completions, the last one last."""
    asked = _ask_upstream(lab, "asked")["asked"]
    return [body for _, path, body in asked if path == "v1/chat/completions"]


@contextmanager
def _long_turn(lab: Lab) -> Iterator[Callable[[], None]]:
    """While a turn runs, which is answered once the function is called, and must be answered by OpenClaw, too."""
    with ThreadPoolExecutor(1) as beside:
        turn = beside.submit(_turn, lab, "Think until you may answer. Which colour is the sky?")
        lab.ssh(AGENT, _ASKS)
        try:
            yield lambda: _ask_upstream(lab, "go-on")
        finally:
            _ask_upstream(lab, "go-on")
        assert "Blue." in json.dumps(turn.result()["payloads"])


def names_of(lab: Lab, systemctl: str) -> set[str]:
    """The names of the variables of OpenClaw's process."""
    pid = lab.ssh(AGENT, f"{systemctl} show -p MainPID --value openclaw-gateway")
    return set(lab.ssh(AGENT, f"tr '\\0' '\\n' < /proc/{pid}/environ | sed 's/=.*//'").split())


def _starts(lab: Lab) -> tuple[int, str]:
    """How often OpenClaw was started, by systemd's log, and how often it came back by itself."""
    log = lab.ssh(AGENT, "journalctl _UID=$(id -u openclaw) USER_UNIT=openclaw-gateway.service --output cat")
    by_itself = lab.ssh(AGENT, f"{AS_OPENCLAW} systemctl --user show -p NRestarts --value openclaw-gateway")
    return sum(line.startswith("Started ") for line in log.splitlines()), by_itself


def test_a_turn_of_an_onboarded_agent_goes_through_the_gateway_and_back_again(host: Lab) -> None:
    """One story, since each start of OpenClaw takes a quarter of a minute or more."""
    before = _configuration(host)

    # Settings as for a hand-written unit of the system would write the .env of root, whom nobody asks.
    wrong = host.deploy(*LIMITS, "--data", "openclaw_unit_scope=system")
    wrong.must_fail_with(
        f"{AGENT}: openclaw-gateway.service is a unit of the user openclaw here", 'openclaw_unit_scope to "user"'
    )

    host.ssh(AGENT, _OTHER_FILES)
    plan = host.pyinfra("--dry", *LIMITS, INVENTORY, "deploy.py")
    for told in (
        "agents.defaults.model.primary: default_llm/${LLM_MODEL_ID}",
        '"baseUrl": "${LLM_BASE_URL}"',
        "/home/openclaw/.env sets LLM_API_KEY, which OpenClaw may take from there",
        "/home/openclaw/.config/openclaw/gateway.env sets OPENAI_BASE_URL, which OpenClaw may take from there",
        "/home/openclaw/.openclaw/.env sets OPENAI_BASE_URL, which Skills inherit",
    ):
        assert told in plan.output, plan.output[-3000:]
    assert _configuration(host) == before
    host.ssh(AGENT, "cd /home/openclaw && rm .env .openclaw/.env .config/openclaw/gateway.env")
    # What its unit sets wins over .env, from either place.
    host.ssh(AGENT, f"{_OF_THE_UNIT}{AS_OPENCLAW} systemctl --user daemon-reload")

    starts, by_itself = _starts(host)
    first = host.deploy(*LIMITS)
    assert first.code == 0, first.output[-5000:]
    assert _starts(host) == (starts + 1, by_itself), "it would restart by itself for memory.search"
    assert not names_of(host, f"{AS_OPENCLAW} systemctl --user") & {"LLM_BASE_URL", "LLM_API_KEY"}
    assert f"{AGENT}: OpenClaw uses http://{host.address('gw1')}:3000/v1" in first.output
    for told in (
        "asking OpenClaw's agent for a turn",
        "through gw1: 12 tokens (9 + 3) of plain, quota",
        f"by its log under the token {AGENT}",
        "its memory got an embedding:",
    ):
        assert told in first.output, first.output[-5000:]
    sessions = json.loads(host.ssh(AGENT, f"cd / && {AS_OPENCLAW} openclaw sessions --all-agents --json"))
    assert sessions["count"] == 0, "nothing of the turn stays"
    key = host.ssh(AGENT, "sed -n 's/^LLM_API_KEY=//p' /home/openclaw/.openclaw/.env").strip("'\"")
    assert key and key not in host.ssh(AGENT, f"cat {CONFIGURATION}"), "the configuration follows .env"

    asked = [row["token_name"] for row in rows(host, "gw1")["logs"]].count(AGENT)
    turn = _turn(host)
    assert "Blue." in json.dumps(turn["payloads"]), turn
    agent = turn["meta"]["agentMeta"]  # type: ignore[index]
    assert (agent["provider"], agent["model"], agent["usage"]["total"]) == ("default_llm", "plain", 12)
    sent = _sent(host)[-1]
    assert sent["stream_options"] == {"include_usage": True} and len(sent["tools"]) > 5, (
        "what is counted, and its prompt"
    )
    assert "Which colour is the sky?" in json.dumps(sent["messages"])
    logged = [row for row in rows(host, "gw1")["logs"] if row["token_name"] == AGENT]
    assert len(logged) > asked and logged[-1]["model_name"] == "plain"

    again = host.deploy("--json", *LIMITS)
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output[-3000:]
    verified = host.verify(*LIMITS)
    assert verified.code == 0, verified.output[-3000:]
    assert "for a turn" not in verified.output, "it costs tokens, so it is not asked for unless a person does"
    assert f"by its own word uses http://{host.address('gw1')}:3000/v1 as default_llm" in verified.output

    # A turn that has begun is answered, though it is stopped meanwhile.
    rotate = (*LIMITS, "--data", "keys=tokens", INVENTORY, "deploys/rotate_keys.py")
    with _long_turn(host) as answer, running(*rotate) as run:
        await_step(run, "openclaw: waiting until it has stopped, for")
        answer()
        rotated = run.end()
    assert rotated.code == 0, rotated.output[-5000:]
    assert "whose stop may take 330 s (TimeoutStopSec= of the unit)" in rotated.output
    seen = f"the token of {AGENT} is new, and the key of the old one is refused; of OpenClaw: its own request with"
    assert seen in rotated.output, rotated.output[-5000:]
    assert _starts(host) == (starts + 2, by_itself)

    remove = (*LIMITS, "--data", "openclaw_restart=idle", "--data", f"yes={AGENT}", INVENTORY, "deploys/remove.py")
    with _long_turn(host) as answer, running(*remove) as run:
        await_step(run, "openclaw: waiting until it is idle, for")
        answer()
        removed = run.end()
    assert removed.code == 0, removed.output[-3000:]
    assert "embeddedRuns=1" in removed.output
    assert "colour" not in removed.output, "what people write to the agent stays with it"
    assert _configuration(host) == before
    assert _starts(host) == (starts + 3, by_itself)
    assert "200" in host.ssh(AGENT, f"bash -c '{_IS_READY}'"), "the removal has waited until it serves again"


def test_a_configuration_that_openclaw_cannot_read_stops_a_run_before_anything_is_touched(host: Lab) -> None:
    host.ssh(AGENT, _READY)  # while it starts, it reads what is written next, and is out with 78
    good = host.ssh(AGENT, f"cat {CONFIGURATION}")
    host.ssh(AGENT, f'sed -i \'s/"port": 18789/"port": "soon"/\' {CONFIGURATION}')
    run = host.deploy(*LIMITS)
    host.ssh(AGENT, f"cat > {CONFIGURATION}", good)
    run.must_fail_with(
        f"{CONFIGURATION} is not valid, and OpenClaw would not start again: gateway.port", "nothing was changed here"
    )
    assert host.ssh(AGENT, "ls /home/openclaw/.openclaw/.env 2>/dev/null || echo none") == "none"


@pytest.mark.full
def test_a_first_deployment_whose_turn_is_not_answered_is_given_back(host: Lab) -> None:
    """SmolLM2 answers what verification asks, and cannot take OpenClaw's prompt."""
    before = _configuration(host)
    run = host.deploy(*LIMITS, "--data", "llm_model=smollm2")
    run.must_fail_with(
        "OpenClaw answers no turn: the context of smollm2 is too small for its prompt",
        "OpenClaw has its former .env again, and openclaw-gateway.service runs",
    )
    assert _configuration(host) == before


@pytest.mark.full
def test_mem0_remembers_for_the_agent_by_the_gateway_alone(host: Lab, tmp_path: Path) -> None:
    """docs/openclaw-memory.md, with a Python of the host and the packages of requirements/memory.txt."""
    _give_mem0(host, tmp_path)
    without_plugin = host.ssh(AGENT, f"cat {CONFIGURATION}")
    state = "/home/openclaw/.openclaw"
    lines = f"QDRANT_PATH={state}/mem0\nEMBEDDING_DIMENSIONS=576\n"
    host.ssh(AGENT, f"runuser -u openclaw -- sh -c 'umask 077 && cat > {state}/.env'", lines)
    deployed = host.deploy(*LIMITS)
    assert deployed.code == 0, deployed.output[-5000:]
    plugin = ROOT / "examples" / "openclaw-mem0"
    for file in plugin.iterdir():
        place = f"/home/openclaw/gateway-mem0/{file.name}"
        host.ssh(AGENT, f"install -D -m 644 -o openclaw /dev/stdin {place}", file.read_text(encoding="utf-8"))
    _openclaw(host, "plugins install --link /home/openclaw/gateway-mem0 --force")
    _openclaw(host, "config patch --stdin", json.dumps(_PLUGIN))

    _openclaw(host, "agent --session-key agent:main:one --message 'I live in Suzhou, near the canal.' --json")
    host.ssh(
        AGENT, f"timeout 60 sh -c 'until grep -qa Suzhou {state}/mem0/collection/*/storage.sqlite; do sleep 1; done'"
    )
    said = json.loads(_openclaw(host, "agent --session-key agent:main:two --message 'In which town do I live?' --json"))
    assert "I remember: I live in Suzhou, near the canal." in json.dumps(said["result"]["payloads"])

    models = {row["model_name"] for row in rows(host, "gw1")["logs"] if row["token_name"] == AGENT}
    assert models == {"plain", "smollm2"}, "mem0's two models as well"
    removed = host.pyinfra("-y", *LIMITS, "--data", f"yes={AGENT}", INVENTORY, "deploys/remove.py")
    assert removed.code == 0, removed.output[-3000:]
    host.ssh(AGENT, f"cat > {CONFIGURATION}", without_plugin)


_PYTHON = "/home/openclaw/mem0"
_PLUGIN = {
    "plugins": {
        "entries": {
            "gateway-mem0": {
                "enabled": True,
                "hooks": {"allowConversationAccess": True},
                "config": {"python": f"{_PYTHON}/bin/python", "userId": "alice"},
            }
        }
    }
}


def _openclaw(lab: Lab, arguments: str, stdin: str | None = None) -> str:
    return lab.ssh(AGENT, f"cd / && {AS_OPENCLAW} openclaw {arguments}", stdin)


def _give_mem0(lab: Lab, place: Path) -> None:
    """Make a virtual environment on the host, filled from here: its LAN has no package index."""
    lab.ssh(AGENT, "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install python3-venv >/dev/null")
    lab.ssh(AGENT, f"runuser -u openclaw -- python3 -m venv --without-pip {_PYTHON}")
    version = lab.ssh(AGENT, "python3 -c 'import sys; print(\"{}.{}\".format(*sys.version_info))'")
    wheels = ["--python-version", version, "--only-binary=:all:"]
    wheels += [f"--platform={platform}_{os.uname().machine}" for platform in ("manylinux2014", "manylinux_2_28")]
    for what in (
        [*wheels, "--require-hashes", "--requirement", "requirements/memory.txt"],
        ["--no-deps", "--no-build-isolation", "./client"],
    ):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(place / "packages"), *what]
        subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    subprocess.run(["tar", "-C", str(place / "packages"), "-czf", str(place / "packages.tgz"), "."], check=True)
    lab.copy(AGENT, place / "packages.tgz", "/tmp/packages.tgz")
    lab.ssh(AGENT, f"runuser -u openclaw -- tar -xzf /tmp/packages.tgz -C {_PYTHON}/lib/python{version}/site-packages")
