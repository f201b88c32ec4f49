"""OpenClaw goes over to its gateway, or keeps what it had: the commands as the host gets them, here on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Agent, Run
from llm_gateway.model import layout
from llm_gateway.model.asking import Answer, VerificationError
from llm_gateway.parts.openclaw import openclaw, openclaw_restart
from llm_gateway.proof import agent_environment, agent_path
from llm_gateway.tasks import agent_switch
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH, OPENCLAW, answer
from tests.unit.topology import make_agent, make_node

KEY = "agent-key".ljust(48, "0")
FORMER = "# mine\nLLM_BASE_URL=https://provider.example/v1\nOTHER=kept\n"
FORMER_DROP_IN = "[Service]\n# of an earlier version\n"
ANSWERS = [Answer("m", "c", 0.1, "completed")]
BROKEN = VerificationError("agent1 gets no connection to its gateway gw1")
_SYSTEMCTL = """#!/bin/sh
echo "$*" >> {place}/calls
case "$*" in
    *--value*) cat {place}/pid ;;
    *show*) printf 'MainPID=%s\\nActiveState={state}\\n' "$(cat {place}/pid)" ;;
    *restart*) echo $(( $(cat {place}/pid) + 1 )) > {place}/pid ;;
esac
"""
# Each command counts, and at the chosen one it is cut off.
_SHIM = """#!/bin/sh
count=$(( $(cat {place}/count) + 1 )); echo $count > {place}/count
[ "$count" != "$(cat {place}/cut)" ] || {{ kill -9 $PPID; exit 1; }}
PATH=/usr/bin:/bin exec ${{0##*/}} "$@"
"""


class AgentHost:
    """An OpenClaw host on this machine, with its unit; `outcomes` are those of the proofs to come."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, state: str = "active") -> None:
        self.place = place
        self.environment = place / "home/.openclaw/.env"
        self.drop_in = place / "units/openclaw-gateway.service.d/zz-llm-gateway.conf"
        self.told: list[str] = []
        self.outcomes: list[Callable[[], list[Answer]]] = []
        for path in (place / "home", place / "units", place / "bin", place / "notes"):
            path.mkdir()
        for name, text in {"calls": "", "pid": "70\n", "count": "0\n", "cut": "0\n"}.items():
            (place / name).write_text(text)
        self._program("systemctl", _SYSTEMCTL.format(place=place, state=state))
        self._state = state
        monkeypatch.setattr(remote, "run", self.run)
        for name in ("tell", "complain"):
            monkeypatch.setattr(remote, name, lambda host, text: self.told.append(text))
        for module in (agent_switch, openclaw_restart):
            monkeypatch.setattr(module, "step", lambda host, text: self.told.append(text))
        monkeypatch.setattr(openclaw, "drop_in_path", lambda agent: str(self.drop_in))
        monkeypatch.setattr(openclaw, "await_process", lambda agent: ["PATH"])
        monkeypatch.setattr(layout, "BEFORE", str(place / "notes/before"))
        monkeypatch.setattr(undo, "undoable", self._undoable)
        monkeypatch.setattr(undo, "is_pending", lambda host: "")
        monkeypatch.setattr(agent_path, "prove", lambda agent, environment: self.outcomes.pop(0)())
        run = Run()
        gateway = make_node(run=run)
        gateway.gateway.token_keys = {"agent1": KEY}
        self.agent = make_agent(FRESH, name="agent1", run=run)

    def _program(self, name: str, text: str) -> None:
        (self.place / "bin" / name).write_text(text)
        (self.place / "bin" / name).chmod(0o755)

    def read(self) -> Agent:
        """The host as it is now, read."""
        account = f"root:x:{os.getuid()}:{os.getgid()}::{self.place}/home:/bin/sh\n"
        values = {**FRESH, **OPENCLAW, "openclaw_passwd": account}
        values["openclaw_unit"] = values["openclaw_unit"].replace("ActiveState=active", f"ActiveState={self._state}")
        for name in ("openclaw_env", "openclaw_env_stat", "openclaw_dropin"):
            values.pop(name, None)
        if self.drop_in.exists():
            values["openclaw_dropin"] = self.drop_in.read_text()
        if self.environment.exists():
            values["openclaw_env"] = self.environment.read_text()
        self.agent.machine.state = HostState.parse(answer(values))
        return self.agent

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        environment = {**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", command], input=stdin or "", env=environment, capture_output=True, text=True)
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()

    @contextmanager
    def _undoable(self, host: object, what: str, script: str, seconds: float) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.run(host, f"set -eu\n{script}")
            raise

    def switch(self, *outcomes: list[Answer] | Exception) -> bool:
        """Go over, with these outcomes of the proofs; whether that succeeded."""
        self.outcomes = [_outcome(each) for each in outcomes]
        made = self.read()
        state: Any = SimpleNamespace(failed_hosts=[])
        (command,) = agent_switch._point._inner(made)  # type: ignore[attr-defined]
        return bool(command.function(state, made.host, *command.args))

    @property
    def restarts(self) -> int:
        """How often the unit was restarted."""
        return sum("restart" in line for line in (self.place / "calls").read_text().splitlines())

    @property
    def files(self) -> dict[str, tuple[str, int, int]]:
        """Content, mode and time of all that is the host's."""
        found = {}
        for directory in ("home", "units", "notes"):
            for path in sorted((self.place / directory).rglob("*")):
                content = path.read_text() if path.is_file() else ""
                moment = path.stat().st_mtime_ns if path.is_file() else 0
                found[str(path.relative_to(self.place))] = (content, path.stat().st_mode, moment)
        found.pop("notes/before", None)  # an empty directory of ours
        return found


def _outcome(of: list[Answer] | Exception) -> Callable[[], list[Answer]]:
    def outcome() -> list[Answer]:
        if isinstance(of, Exception):
            raise of
        return of

    return outcome


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentHost:
    """One that works directly with its provider."""
    made = AgentHost(tmp_path, monkeypatch)
    _deploy_former(made)
    return made


def _deploy_former(agent: AgentHost) -> None:
    agent.environment.parent.mkdir()
    agent.environment.write_text(FORMER)
    agent.environment.chmod(0o640)
    agent.drop_in.parent.mkdir()
    agent.drop_in.write_text(FORMER_DROP_IN)


def test_one_that_is_proven_goes_over(agent: AgentHost) -> None:
    assert agent.switch(ANSWERS, ANSWERS)
    now = agent_environment.parse(agent.environment.read_text(), "")
    assert now.of(agent.agent.nodes) == agent_environment.known(agent.agent)
    assert "OTHER=kept" in agent.environment.read_text()
    assert "UnsetEnvironment=" in agent.drop_in.read_text()
    assert agent.restarts == 1
    assert agent.agent.environment_changed
    assert agent.agent.answers == {f"{agent.agent.nodes[0].base_url}/v1": ANSWERS}
    assert sorted(path.name for path in agent.environment.parent.iterdir()) == [".env", ".env.before-llm-gateway"]
    assert [path.name for path in agent.drop_in.parent.iterdir()] == ["zz-llm-gateway.conf"]
    assert KEY not in "".join(agent.told)


def test_one_that_is_proven_already_is_asked_afterwards_alone(agent: AgentHost) -> None:
    """In a migration it would be without a gateway meanwhile."""
    url = f"{agent.agent.nodes[0].base_url}/v1"
    agent.agent.proven = {(url, KEY)}
    assert agent.switch(ANSWERS)
    agent.agent.proven = {(url, "another")}
    agent.environment.write_text(FORMER)
    assert not agent.switch(BROKEN)


def test_one_that_is_not_proven_is_not_touched(agent: AgentHost) -> None:
    files = agent.files
    assert not agent.switch(BROKEN)
    assert agent.files == files
    assert agent.restarts == 0
    assert agent.told[-2:] == [
        f"OpenClaw was not pointed at gw1: {BROKEN}",
        "nothing was changed here: OpenClaw keeps its configuration",
    ]


def test_one_whose_gateway_has_failed_is_not_asked_and_not_touched(agent: AgentHost) -> None:
    files, made = agent.files, agent.read()
    state: Any = SimpleNamespace(failed_hosts=[made.gateway.node.host])
    assert not agent_switch._switch(state, made.host, made)
    assert agent.files == files
    assert "its gateway gw1 has failed in this run" in agent.told[0]


@pytest.mark.parametrize(
    "problem", [BROKEN, remote.RemoteError("Job failed"), OSError("gone")], ids=lambda p: type(p).__name__
)
def test_one_that_fails_afterwards_gets_all_back(agent: AgentHost, problem: Exception) -> None:
    files = agent.files
    assert not agent.switch(ANSWERS, problem)
    assert agent.files == files, "byte for byte, with mode and time"
    assert agent.restarts == 2
    assert agent.told[-2:] == [
        f"OpenClaw was not pointed at gw1: {problem}",
        "OpenClaw has its former .env again, and openclaw-gateway.service runs",
    ]
    assert not agent.agent.environment_changed
    assert agent.agent.answers == {}


def test_one_that_had_nothing_has_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = AgentHost(tmp_path, monkeypatch)
    files = made.files
    assert not made.switch(ANSWERS, BROKEN)
    assert made.files == files == {}


def test_a_second_failure_does_not_lose_what_was_kept_first(agent: AgentHost) -> None:
    """The copy from before the first deployment is made by one that stays."""
    files = agent.files
    assert not agent.switch(ANSWERS, BROKEN)
    assert not agent.switch(ANSWERS, BROKEN)
    assert agent.files == files
    assert agent.switch(ANSWERS, ANSWERS)
    copy = agent.environment.with_name(".env.before-llm-gateway")
    assert copy.read_text() == FORMER
    agent.environment.write_text(agent.environment.read_text().replace("MiniMax", "Other"))
    edited = agent.files
    assert not agent.switch(ANSWERS, BROKEN)
    assert agent.files == edited
    assert copy.read_text() == FORMER


def test_one_whose_unit_does_not_run_with_it_gets_all_back(agent: AgentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    files = agent.files
    monkeypatch.setattr(openclaw, "await_process", lambda agent: [])
    assert not agent.switch(ANSWERS)
    assert agent.files == files
    assert "openclaw-gateway.service does not run after its restart" in agent.told[-2]
    assert "openclaw-gateway.service does not run with its former .env" in agent.told[-1]


@pytest.mark.parametrize("outcome", [ANSWERS, BROKEN])
def test_a_unit_that_is_stopped_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: list[Answer] | Exception
) -> None:
    made = AgentHost(tmp_path, monkeypatch, "inactive")
    _deploy_former(made)
    assert made.switch(ANSWERS, outcome) == (outcome is ANSWERS)
    assert made.restarts == 0
    assert "openclaw-gateway.service is stopped and was left so" in made.told


def test_a_unit_that_only_a_person_restarts_gets_its_files_and_is_told(agent: AgentHost) -> None:
    agent.agent.machine.settings = replace(agent.agent.settings, openclaw_restart="never")
    assert agent.switch(ANSWERS, ANSWERS)
    assert "LLM_API_KEY=" in agent.environment.read_text()
    assert agent.restarts == 0
    assert any("keeps what it read at its start until a person restarts it" in line for line in agent.told)


@pytest.mark.parametrize("edited", ["drop-in", ".env", "nothing"])
def test_what_was_not_replaced_is_no_obstacle_to_giving_back_the_rest(
    agent: AgentHost, edited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GNU mv refuses two names of one file, and a host tries an undo that fails again and again."""
    assert agent.switch(ANSWERS, ANSWERS)
    if edited == "drop-in":
        agent.drop_in.write_text(FORMER_DROP_IN)
    elif edited == ".env":
        agent.environment.write_text(FORMER)
    monkeypatch.setattr(openclaw, "runs_with_older_files", lambda agent: True)
    files = agent.files
    assert not agent.switch(ANSWERS, BROKEN)
    assert agent.files == files
    assert agent.told[-1] == "OpenClaw has its former .env again, and openclaw-gateway.service runs"


def test_a_disk_that_takes_no_new_env_leaves_the_old_one(agent: AgentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    files = agent.files
    monkeypatch.setattr(openclaw, "environment_command", lambda agent, content: ("echo full >&2; exit 1", ""))
    assert not agent.switch(ANSWERS)
    assert agent.files == files


def test_a_way_back_that_cannot_be_left_on_the_host_leaves_no_key_behind(
    agent: AgentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Any:
        raise undo.UndoError("the guard does not run")

    files = agent.files
    monkeypatch.setattr(undo, "undoable", refused)
    assert not agent.switch(ANSWERS)
    assert agent.files == files


def test_a_drop_in_that_did_not_come_back_is_told(agent: AgentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(asked: Agent, environment: object) -> list[Answer]:
        if agent.drop_in.read_text() != FORMER_DROP_IN:
            (agent.drop_in.parent / "zz-llm-gateway.conf.llmgw-kept").unlink()
            raise BROKEN
        return ANSWERS

    monkeypatch.setattr(agent_path, "prove", lose)
    made = agent.read()
    state: Any = SimpleNamespace(failed_hosts=[])
    assert not agent_switch._switch(state, made.host, made)
    assert agent.told[-1] == f"{agent.drop_in} is not as it was before: look at it"


def test_the_way_back_ends_in_the_same_wherever_it_is_cut_off(agent: AgentHost) -> None:
    for name in ("mv", "rm", "rmdir", "dirname"):
        agent._program(name, _SHIM.format(place=agent.place))
    files = agent.files
    for cut in range(1, 20):
        agent.outcomes = [_outcome(ANSWERS)]
        made = agent.read()
        way_back = f"set -eu\n{agent_switch._script(made, 'give_back', agent_switch._keep(made))}"
        agent_switch._carry_out(made, [openclaw.Access(f"{made.nodes[0].base_url}/v1", KEY)], FORMER)
        (agent.place / "count").write_text("0\n")
        (agent.place / "cut").write_text(f"{cut}\n")
        try:
            agent.run(None, way_back)
        except remote.RemoteError:
            (agent.place / "cut").write_text("0\n")
            agent.run(None, way_back)
        else:
            break  # there is no command of that number
        finally:
            (agent.place / "cut").write_text("0\n")
        assert agent.files == files, f"cut off at command {cut}"
    assert cut > 3
    assert agent.files == files


def test_what_cannot_be_kept_is_not_replaced(agent: AgentHost) -> None:
    files = agent.files
    agent._program("ln", "#!/bin/sh\nexit 1\n")
    agent._program("cp", "#!/bin/sh\nexit 1\n")
    assert not agent.switch(ANSWERS)
    assert agent.files == files
    assert agent.told[-1] == "nothing was changed here: OpenClaw keeps its configuration"


def test_where_the_kernel_refuses_a_second_name_a_copy_comes_back(agent: AgentHost) -> None:
    files = agent.files
    agent._program("ln", "#!/bin/sh\nexit 1\n")
    assert not agent.switch(ANSWERS, BROKEN)
    assert agent.files == files


DONE = deployed("gw1", "agent1")


@pytest.mark.parametrize(
    ("changed", "due"),
    [
        ({}, False),
        ({"openclaw_env": FORMER}, True),
        ({"openclaw_dropin": FORMER_DROP_IN}, True),
        ({"openclaw_env_stat": "600 claw:claw 1800000000.0\n"}, True),
    ],
    ids=["as it is to be", "another .env", "another drop-in", "not restarted yet"],
)
def test_a_gateway_is_proven_first_only_where_an_agent_changes(changed: dict[str, str], due: bool) -> None:
    run = Run()
    gateway = make_node(run=run)
    made = make_agent({**DONE.agent, **changed}, name="agent1", run=run)
    assert not agent_switch.is_due(made), "while its token is not known"
    gateway.gateway.token_keys = {str(row["name"]): str(row["key"]) for row in DONE.tokens}
    assert agent_switch.is_due(made) == due
