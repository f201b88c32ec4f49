"""An OpenClaw host with two gateways goes on while one of them is killed, stopped, cut off or upgraded.

It is asked for all the time by the client of Skills on the host itself, and by that of Python on this machine, which
reaches the lab's tailnet; each with what stands in the host's .env. What is told of OpenClaw was seen with 2026.9.6.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

from llm_client import LLMClient, LLMError
from llm_gateway.model import dotenv
from tests.lab.asking_agent import ENVIRONMENT
from tests.lab.conftest import WORKSPACE, Lab, Run
from tests.lab.faults import await_boot, await_that, cut_power
from tests.lab.outages import UNIT
from tests.lab.rows import DIRECTORY, rows
from tests.lab.seen_status import attention
from tests.lab.shown import Shown

pytestmark = pytest.mark.fault

FIRST, SECOND, AGENT = "gwa", "gwb", "agentp"
SECONDS_OF_A_CALL = 20
PAUSE_SECONDS = 0.1
AGENTS_WORTH = 20
IMAGE = "tried:two"

_INVENTORY = """
from lab.inventory import gateways as _gateways, openclaw as _openclaw
gateways = [(name, data) for name, data in _gateways if name in {gateways!r}]
openclaw = [(name, {{**data, "openclaw_gateway": {order!r}}}) for name, data in _openclaw if name == {agent!r}]
"""
_PLACE = "/run/asking-skill"
_SKILL = f"""
const {{ callSpecificModel }} = require("{WORKSPACE}/skills/shared/llm_client.js");
const fs = require("fs");
const options = {{ max_tokens: 1, timeoutMs: {SECONDS_OF_A_CALL * 1000} }};
const messages = [{{ role: "user", content: "hi" }}];
const pause = () => new Promise((go) => setTimeout(go, {PAUSE_SECONDS * 1000:.0f}));
(async () => {{
  while (fs.existsSync("{_PLACE}/go")) {{
    const asked = {{ began: Date.now() / 1000, by: "", problem: "" }};
    try {{
      asked.by = (await callSpecificModel(process.env.LLM_MODEL_ID, messages, options)).baseUrl;
    }} catch (error) {{
      asked.problem = error.summary;
    }}
    fs.appendFileSync("{_PLACE}/answers", JSON.stringify(asked) + "\\n");
    await pause();
  }}
  fs.writeFileSync("{_PLACE}/ended", "");
}})();
"""
_NODE = f"node --env-file={ENVIRONMENT} {_PLACE}/asking.cjs"
_END = (
    f"rm {_PLACE}/go; for i in $(seq 600); do [ ! -e {_PLACE}/ended ] || break; sleep 0.1; done;"
    f" [ -e {_PLACE}/ended ] && cat {_PLACE}/answers && rm -r {_PLACE}"
)
_AS_OPENCLAW = "runuser -u openclaw -- env HOME=/home/openclaw XDG_RUNTIME_DIR=/run/user/$(id -u openclaw) PATH=$PATH"


@dataclass
class Call:
    """A call of a client: when it began (seconds since 1970), which gateway answered, or why none did."""

    began: float
    by: str = ""
    problem: str = ""


@dataclass
class Pair:
    """Two gateways and a host that asks both."""

    lab: Lab
    inventory: Path
    order: list[str] = field(default_factory=lambda: [FIRST, SECOND])

    def name(self, *gateways: str) -> None:
        """Have the inventory say which gateways the host asks."""
        self.inventory.write_text(_INVENTORY.format(gateways=(FIRST, SECOND), order=[*gateways], agent=AGENT))

    def run(self, script: str, *arguments: str) -> Run:
        """Run a script on these hosts."""
        return self.lab.pyinfra("-y", *arguments, str(self.inventory), script)

    def deploy(self, *arguments: str) -> str:
        """Deploy, which must go well; what it says."""
        run = self.run("deploy.py", *arguments)
        assert run.code == 0, run.output[-5000:]
        return run.output

    def environment(self) -> dict[str, str]:
        """What stands in the host's .env."""
        return dotenv.read(self.lab.ssh(AGENT, f"cat {ENVIRONMENT}") + "\n")

    def url(self, gateway: str) -> str:
        """Where a gateway is asked."""
        return f"http://{self.lab.address(gateway)}:3000/v1"

    def turn(self) -> tuple[str, float]:
        """Have OpenClaw's agent answer a turn. Returns the provider that did, and how many seconds that took."""
        began = time.monotonic()
        command = f"cd / && {_AS_OPENCLAW} openclaw agent --agent main --message 'Which colour is the sky?' --json"
        result = json.loads(self.lab.ssh(AGENT, command))["result"]
        assert "Blue." in json.dumps(result["payloads"]), result
        return str(result["meta"]["agentMeta"]["provider"]), time.monotonic() - began


class Asking:
    """Clients that ask as long as the context lasts: a Skill's on the host, and so many of Python's here."""

    def __init__(self, pair: Pair, count: int = 1) -> None:
        self._pair = pair
        self.skill: list[Call] = []
        self.python: list[Call] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def __enter__(self) -> Asking:
        self._values = self._pair.environment()
        self._pair.lab.ssh(
            AGENT, f"umask 077; rm -rf {_PLACE}; mkdir {_PLACE}; touch {_PLACE}/go; cat > {_PLACE}/asking.cjs", _SKILL
        )
        self._pair.lab.ssh(AGENT, f"(setsid {_NODE} > {_PLACE}/said 2>&1 &)")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        said = self._pair.lab.ssh(AGENT, _END)
        self.skill = [Call(**json.loads(line)) for line in said.splitlines()]

    def _ask(self) -> None:
        values = self._values
        with LLMClient(
            values["LLM_BASE_URL"],
            values["LLM_API_KEY"],
            fallback_base_urls=values["LLM_FALLBACK_BASE_URLS"],
            fallback_api_keys=values["LLM_FALLBACK_API_KEYS"],
        ) as client:
            while not self._end.is_set():
                call = Call(time.time())
                try:
                    asked = [{"role": "user", "content": "hi"}]
                    client.chat(values["LLM_MODEL_ID"], asked, timeout=SECONDS_OF_A_CALL, max_tokens=1)
                    call.by = str(client.answered_by)
                except LLMError as problem:
                    call.problem = problem.summary
                self.python.append(call)
                self._end.wait(PAUSE_SECONDS)

    @property
    def calls(self) -> list[Call]:
        """All of them."""
        return [*self.skill, *self.python]

    def failed(self) -> list[str]:
        """Why calls got no answer."""
        return [call.problem for call in self.calls if call.problem]

    def answered_here_by(self, url: str) -> bool:
        """Whether the last call of Python's was answered by that gateway."""
        return bool(self.python) and self.python[-1].by == url


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[Pair]:
    """Two gateways of this file's own and a host with the real OpenClaw, deployed."""
    with lab.more_hosts(f"{FIRST}:ready", f"{SECOND}:ready", f"{AGENT}:openclaw"):
        assert lab.state["hosts"][AGENT]["profile"] == "openclaw", "npm gave no OpenClaw to the lab"
        found = Pair(lab, lab.directory / "two_gateways.py")
        found.name(FIRST, SECOND)
        found.deploy()
        yield found


@contextmanager
def stopped(pair: Pair, gateway: str) -> Iterator[None]:
    """While the block runs, a gateway does not."""
    pair.lab.ssh(gateway, f"systemctl stop {UNIT}")
    try:
        yield
    finally:
        pair.lab.ssh(gateway, f"systemctl start {UNIT}")


def _started(pair: Pair, gateway: str) -> str:
    state = "{{if .State.Running}}{{.State.StartedAt}}{{end}}"
    return pair.lab.ssh(gateway, f"docker container inspect -f '{state}' {UNIT} 2>/dev/null || true")


def test_no_call_fails_while_the_first_gateway_is_killed_and_stopped(pair: Pair, shown: Shown) -> None:
    """And a turn of OpenClaw is answered by the other one: late, as OpenClaw tries the first one again before."""
    assert "nothing was changed" in pair.deploy().splitlines()[-1]
    first, second = pair.url(FIRST), pair.url(SECOND)
    with shown("fault", "the first of two gateways is killed, then stopped: seconds of OpenClaw's turn") as it:
        with Asking(pair) as asking:
            await_that(lambda: asking.answered_here_by(first), "the first gateway answers")
            before = _started(pair, FIRST)
            pair.lab.ssh(FIRST, f"docker kill --signal KILL {UNIT}")
            await_that(lambda: _started(pair, FIRST) not in ("", before), "the first gateway starts anew", 90)
            with stopped(pair, FIRST):
                await_that(lambda: asking.answered_here_by(second), "the second gateway answers")
                told = attention(str(pair.inventory), AGENT)
                assert "OpenClaw does not reach its gateway" in told and "fallback" not in told, told
                provider, seconds = pair.turn()
                it.took(seconds)
                assert provider == "default_llm_2"
            await_that(lambda: asking.answered_here_by(first), "the first gateway answers again", 90)
        assert asking.failed() == []
        assert {call.by for call in asking.skill} == {first, second}, "the Skill's client went over and back as well"
        provider, _ = pair.turn()
        assert provider == "default_llm"
        it.happened(f"0 of {len(asking.calls)} calls fail; the turn is answered by the second; then all by the first")
    assert [row["token_name"] for row in rows(pair.lab, SECOND)["logs"] if row["token_name"] == AGENT]
    assert "nothing was changed" in pair.deploy().splitlines()[-1]


def test_a_gateway_that_is_not_there_keeps_nobody_from_the_other(pair: Pair) -> None:
    """Its place in the host's files stays; and status names the fallback that refuses its token."""
    text = pair.lab.ssh(AGENT, f"cat {ENVIRONMENT}")
    output = pair.deploy("--limit", FIRST, "--limit", AGENT)
    assert f"{SECOND} was not reached in this run, so it keeps its place in the files of this host" in output
    assert pair.lab.ssh(AGENT, f"cat {ENVIRONMENT}") == text
    statement = f"UPDATE tokens SET status = {{}} WHERE name = '{AGENT}'"  # noqa: S608 - a name of this file
    database = f"sqlite3 -init /dev/null -cmd '.timeout 9000' {DIRECTORY}/data/one-api.db"
    pair.lab.ssh(SECOND, f'{database} "{statement.format(2)}"')
    told = attention(str(pair.inventory), AGENT)
    assert f"OpenClaw does not reach {SECOND}, its fallback: {SECOND} refuses the token of {AGENT} (401)" in told
    pair.run("verify.py").must_fail_with(f"{pair.url(SECOND)}: ", "refuses the token")
    pair.lab.ssh(SECOND, f'{database} "{statement.format(1)}"')


@pytest.mark.full
def test_a_rotation_of_the_fallback_alone_and_its_removal(pair: Pair) -> None:
    before = pair.environment()
    limits = ("--limit", SECOND, "--limit", AGENT)
    run = pair.run("deploys/rotate_keys.py", *limits, "--data", "keys=tokens")
    assert run.code == 0, run.output[-5000:]
    assert f"{SECOND} is its fallback, which it asks where {FIRST} is gone" in run.output
    after = pair.environment()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"LLM_2_API_KEY", "LLM_FALLBACK_API_KEYS"}
    refused = pair.run("deploys/remove.py", "--data", f"yes={SECOND}")
    refused.must_fail_with(f"{AGENT} would ask a gateway that is gone: take {SECOND} out of their openclaw_gateway")
    pair.name(FIRST)
    pair.deploy()
    assert [*pair.environment()] == ["LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID"]
    assert "default_llm_2" not in pair.lab.ssh(AGENT, "cat /home/openclaw/.openclaw/openclaw.json")
    pair.name(FIRST, SECOND)
    pair.deploy()


@pytest.mark.full
@pytest.mark.parametrize("what", ["power", "network"])
def test_a_gateway_that_is_cut_off_costs_each_client_one_call_at_most(pair: Pair, shown: Shown, what: str) -> None:
    """One that the dead host has already, or that goes to it by a connection kept open, waits until its deadline."""
    first, second = pair.url(FIRST), pair.url(SECOND)
    name = "its power is cut" if what == "power" else "its tailnet is down for 30 s"
    with shown("fault", f"the first of two gateways: {name}, {AGENTS_WORTH} agents ask all the time") as it:
        with Asking(pair, AGENTS_WORTH) as asking:
            await_that(lambda: asking.answered_here_by(first), "the first gateway answers")
            moment = time.time()
            if what == "power":
                cut_power(FIRST)
                await_boot(pair.lab, FIRST)
            else:
                down = "ip link set tailscale0 down; sleep 30; ip link set tailscale0 up; systemctl restart tailscaled"
                pair.lab.ssh(FIRST, f"systemd-run --collect sh -c '{down}'")
                await_that(lambda: asking.answered_here_by(second), "the second gateway answers")
            await_that(lambda: asking.answered_here_by(first), "the first gateway answers again", 180)
        lost = [call for call in asking.calls if call.problem]
        assert len(lost) <= AGENTS_WORTH + 1, "one for each client at most"
        assert [call for call in lost if "timeout" not in call.problem] == []
        assert [call for call in lost if not moment - 1 < call.began < moment + SECONDS_OF_A_CALL] == []
        it.happened(
            f"of {len(asking.calls)} calls {len(lost)} fail, one for each client at most, by their deadline; it is"
            " asked first once it is back"
        )


@pytest.mark.full
def test_both_gateways_are_upgraded_one_after_the_other(pair: Pair, shown: Shown) -> None:
    with shown("fault", f"two gateways are upgraded one after the other, {AGENTS_WORTH} agents ask all the time") as it:
        for gateway in (FIRST, SECOND):
            base = pair.lab.state["gateway_image"]["reference"]
            pair.lab.ssh(
                gateway,
                f"docker create --name model-of-images {base} > /dev/null && docker commit --change"
                f" 'ENV STANDIN_FAULTS=' model-of-images {IMAGE} > /dev/null && docker rm model-of-images > /dev/null",
            )
        it.start()
        with Asking(pair, AGENTS_WORTH) as asking:
            for gateway in (FIRST, SECOND):
                options = {"gateway_image": IMAGE, "gateway_image_archive": "null"}
                data = [part for key, value in options.items() for part in ("--data", f"{key}={value}")]
                assert "upgraded" in pair.deploy("--limit", gateway, *data)
        it.lap()
        assert asking.failed() == []
        assert {call.by for call in asking.python} == {pair.url(FIRST), pair.url(SECOND)}
        it.happened(f"0 of {len(asking.calls)} calls fail")
