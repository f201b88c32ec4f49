"""deploy.py on fake hosts: which operations, in which order, and none when nothing differs."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.parts import installation, service
from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH, KEYS, OPENCLAW
from tests.unit.topology import GENERATED, make_node

pytestmark = pytest.mark.slow

GATEWAY = "@fake/gw1"
AGENT = "@fake/agent1"
DIRECTORY = "/opt/openclaw-llm-gateway"
ON_A_FRESH_GATEWAY = [
    "Install Docker from the distribution's packages, and nftables, sqlite3",
    "Write the rules of the firewall",
    "Write the script that holds the firewall",
    "Write the unit that leads the container to the resolvers of its host",
    "Write the unit that watches over the resolvers of the host",
    "Write the unit of the firewall",
    "Start the firewall",
    "Make the directories, writable by root alone",
    "Write the generated secrets",
    "Write the compose environment",
    "Write the compose file",
    "Write the compose file of the first start",
    "Write the script that gives the data to the gateway's user",
    "Write what tells what is wrong with Tailscale",
    "Write the script that starts the gateway",
    "Write the systemd unit",
    "Pull the image",
    "Replace the default password out of everybody's reach",
    "Publish the gateway on its Tailscale address",
    "Write what scripts of the host have in common",
    "Write the script that tells other databases",
    "Write what scripts read the database with",
    "Write the script that makes backups",
    "Write the script that keeps backups for root alone",
    "Write what counts the rows of backups",
    "Write the settings of the backups",
    "Write the unit of the backups",
    "Write the timer of the backups",
    "Start the timer of the backups",
    "Write the script of the canary",
    "Write the settings of the canary",
    "Write the unit of the canary",
    "Write the timer of the canary",
    "Start the timer of the canary",
    "Write the script of the pruning",
    "Write the settings of the pruning",
    "Write the unit of the pruning of logs",
    "Write the timer of the pruning of logs",
    "Start the timer of the pruning of logs",
    "Declare channels, tokens and options",
]
ON_A_FRESH_AGENT = [
    "Point OpenClaw at the gateway",
]
SECRETS = [*vars(GENERATED).values(), *KEYS.values(), "relay-key-1", "relay-key-2", "relay-key-3"]


def prelude(place: Path, **rows: Any) -> str:
    """What puts a One API in memory behind the fake hosts."""
    arguments = "".join(f", {name}={value!r}" for name, value in rows.items())
    return f"from tests.unit import in_memory\nin_memory.install({str(place / 'seen.json')!r}{arguments})"


def fresh(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run deploy.py on a bare gateway and an OpenClaw host that has never seen one."""
    return fake_hosts.run(
        place,
        *arguments,
        prelude=prelude(place),
        gateways=[fake_hosts.host("gw1")],
        openclaw=[fake_hosts.host("agent1", {**FRESH, **OPENCLAW})],
    )


def again(place: Path, *arguments: str, script: str = "deploy.py", **changed: str) -> subprocess.CompletedProcess[str]:
    """Run on hosts that are deployed, but for the changed answers of the gateway."""
    done = deployed(GATEWAY, AGENT)
    return fake_hosts.run(
        place,
        *arguments,
        script=script,
        prelude=prelude(place, channels=done.channels, tokens=done.tokens),
        environment=KEYS if script == "deploy.py" else {},
        gateways=[fake_hosts.host("gw1", {**done.gateway, **changed})],
        openclaw=[fake_hosts.host("agent1", done.agent)],
    )


def leaks(text: str) -> list[str]:
    """Which secrets stand in a text, as they are or in base64."""
    tokens = re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)
    decoded = [base64.b64decode(token[: len(token) // 4 * 4] + "====") for token in tokens]
    everything = text.encode() + b"\n" + b"\n".join(decoded)
    return [secret for secret in SECRETS if secret.encode() in everything]


def test_the_plan_for_fresh_hosts(tmp_path: Path) -> None:
    """In this order: pyinfra goes through the operations one by one, each on all hosts that have it."""
    result = fresh(tmp_path, "--dry", "--json")
    assert fake_hosts.planned(result) == ON_A_FRESH_GATEWAY + ON_A_FRESH_AGENT
    plan = json.loads(result.stdout)["plan"]
    hosts = {name: set(entry["hosts_with_change"]) for entry in plan for name in entry["names"]}
    assert all(hosts[name] == {GATEWAY} for name in ON_A_FRESH_GATEWAY)
    assert all(hosts[name] == {AGENT} for name in ON_A_FRESH_AGENT)
    assert [entry["names"] for entry in plan if not entry["hosts_with_change"]] == [
        ["Prove the gateway before OpenClaw is pointed at it"],
        ["Verify with a real completion and a real embedding"],
        ["Remove the tokens that were replaced"],
    ], "the first ones look and change nothing, and there are none for the last"
    assert not [entry for entry in plan if entry["hosts_with_conditional_change"]]
    assert leaks(result.stdout + result.stderr) == []


def test_a_fresh_deployment_goes_through_and_tells_no_secret(tmp_path: Path) -> None:
    """OpenClaw hosts come first in this inventory, and yet get the tokens that their gateway makes for them."""
    both = fake_hosts.host("both", {**FRESH, **OPENCLAW})
    without_unit = {**FRESH, **OPENCLAW, "openclaw_unit": "LoadState=not-found\n"}
    result = fake_hosts.run(
        tmp_path,
        *("-y", "-vvv", "--debug", "--diff"),
        prelude=prelude(tmp_path),
        openclaw=[
            fake_hosts.host("agent1", {**FRESH, **OPENCLAW}, openclaw_gateway=GATEWAY),
            fake_hosts.host("agent2", without_unit, openclaw_gateway=GATEWAY),
            both,
        ],
        gateways=[both, fake_hosts.host("gw1")],
    )
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert "Traceback" not in told
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert [row["name"] for row in seen["channels"]] == ["dashscope", "minimax"]
    names = ["llm-gateway-verification", "llm-gateway-canary", AGENT, "@fake/agent2", "@fake/both"]
    assert sorted(row["name"] for row in seen["tokens"]) == sorted(names)
    assert not seen["default_password"]
    assert seen["options"]["RegisterEnabled"] == "false"
    assert told.count("verified on http://100.64.0.10:3000") == 5
    assert "root; password in /opt/openclaw-llm-gateway/secrets.env on the host" in told
    assert "there is no openclaw-gateway.service (system unit) on this host" in told
    assert leaks(told) == []
    assert len(seen["hosts"][GATEWAY]) > 10
    assert leaks(json.dumps(seen["hosts"])) == [], "nor is one in the arguments of a command"


def test_what_pyinfra_shows_of_a_plan_holds_no_secret(tmp_path: Path) -> None:
    result = fresh(tmp_path, "--dry", "-vvv", "--debug-all", "--diff")
    told = result.stdout + result.stderr
    assert "Declare channels, tokens and options" in told, "the operations are shown"
    assert leaks(told) == []


def test_the_search_for_secrets_finds_them() -> None:
    content = f"{GENERATED.render()}"
    assert leaks(content) == list(vars(GENERATED).values())
    assert leaks(base64.b64encode(content.encode()).decode()) == list(vars(GENERATED).values())
    assert leaks(f"x {KEYS['MINIMAX_API_KEY']} y") == [KEYS["MINIMAX_API_KEY"]]


def test_deployed_hosts_need_nothing(tmp_path: Path) -> None:
    assert fake_hosts.planned(again(tmp_path, "--dry", "--json")) == []


def test_a_second_run_changes_nothing_and_says_so(tmp_path: Path) -> None:
    result = again(tmp_path, "-y")
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert told.count("nothing was changed") == 2
    assert "Traceback" not in told
    seen = json.loads((tmp_path / "seen.json").read_text())
    # One command a host: the one that reads its state.
    assert {name: len(commands) for name, commands in seen["hosts"].items()} == {GATEWAY: 1, AGENT: 1}
    assert all("LOCK=yes" in str(commands[0]) for commands in seen["hosts"].values()), "and keeps others out"


UNIT = "LoadState=loaded\nActiveState={}\nUnitFileState={}\nNeedDaemonReload={}\nExecMainStartTimestamp={}\n"
RUNS = "Sun 2026-11-22 10:00:00.000000 UTC"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        pytest.param("gateway_unit", UNIT.format("failed", "enabled", "no", RUNS), id="failed"),
        pytest.param("gateway_unit", UNIT.format("active", "disabled", "no", RUNS), id="disabled"),
        pytest.param("gateway_unit", UNIT.format("active", "enabled", "yes", RUNS), id="not reloaded"),
        pytest.param("gateway_unit", UNIT.format("active", "enabled", "no", ""), id="never started"),
        pytest.param(
            "gateway_unit",
            UNIT.format("active", "enabled", "no", "Sun 2020-11-22 10:00:00.000000 UTC"),
            id="started before the files were written",
        ),
        pytest.param("container", "[]\n", id="no container"),
    ],
)
def test_a_gateway_that_does_not_run_as_wanted_is_published_again(answer: str, value: str) -> None:
    values = deployed(GATEWAY, AGENT).gateway
    assert service.is_published(make_node(values))
    assert not service.is_published(make_node({**values, answer: value}))


@pytest.mark.parametrize(
    ("what", "was", "now", "written"),
    [
        ("tracked_stat", "/.env 600", "/.env 644", ".env"),
        ("tracked_stat", "/.env 600 root:root", "/.env 600 claw:claw", ".env"),
        ("tracked_stat", f"{DIRECTORY}/docker-compose.yml 644", "/x 644", "docker-compose.yml"),
        ("tracked_sum", f"  {DIRECTORY}/own-data", "x  /x", "own-data"),
    ],
)
def test_a_file_that_differs_is_written_again(what: str, was: str, now: str, written: str) -> None:
    values = deployed(GATEWAY, AGENT).gateway
    assert installation.differing_files(make_node(values)) == []
    assert was in values[what]
    differing = installation.differing_files(make_node({**values, what: values[what].replace(was, now)}))
    assert [file.path for file in differing] == [f"{DIRECTORY}/{written}"]


def test_verify_needs_no_keys_and_changes_nothing(tmp_path: Path) -> None:
    result = again(tmp_path, "-y", script="verify.py")
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert told.count("verified on http://100.64.0.10:3000") == 2
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert {name: len(commands) for name, commands in seen["hosts"].items()} == {GATEWAY: 1, AGENT: 1}
    assert all("LOCK=no" in str(commands[0]) for commands in seen["hosts"].values()), "nor keeps others out"
