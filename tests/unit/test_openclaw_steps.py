"""What is done on an OpenClaw host, and when its service is restarted."""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Run
from llm_gateway.model import layout
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.tasks import agent_switch
from tests.unit.deployed import WRITTEN, deployed
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent, make_node

UNIT = OPENCLAW["openclaw_unit"]
DEPLOYED = deployed("gw1", "agent1")
DONE = DEPLOYED.agent
(KEY,) = (str(row["key"]) for row in DEPLOYED.tokens if row["name"] == "agent1")
BLAMED = (
    "OPENAI_BASE_URL is in the environment of openclaw-gateway.service though the drop-in removes it: ExecStart= or the"
    " program that it starts sets it; `systemctl cat openclaw-gateway.service` shows the first"
)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: lines.append(text))
    return lines


def agent(changed: dict[str, str] | None = None, **chosen: Any) -> Agent:
    """A deployed OpenClaw host but for these answers; its gateway's tokens are known."""
    run = Run()
    gateway = make_node(run=run)
    gateway.gateway.token_keys = {"agent1": KEY}
    return make_agent({**DONE, **(changed or {})}, name="agent1", run=run, **chosen)


def point(made: Agent) -> list[Any]:
    """The commands of pointing OpenClaw at its gateway: none, or one that does it or says why not."""
    return list(agent_switch._point._inner(made))  # type: ignore[attr-defined]


def is_switched(made: Agent) -> bool:
    """Whether the host is changed."""
    return [command.function for command in point(made)] == [agent_switch._switch]


def test_a_host_in_order_is_left_alone() -> None:
    assert point(agent()) == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"openclaw_env": "# mine\nOTHER=kept\n"}, id="not ours yet"),
        pytest.param({"openclaw_env": DONE["openclaw_env"].replace(KEY, "0" * 48)}, id="another token"),
        pytest.param({"openclaw_env_stat": f"644 claw:claw {WRITTEN}\n"}, id="readable by others"),
        pytest.param({"openclaw_env_stat": f"600 root:claw {WRITTEN}\n"}, id="somebody else's"),
        pytest.param({"openclaw_dropin": "old\n"}, id="another drop-in"),
    ],
)
def test_a_host_that_differs_is_changed(changed: dict[str, str]) -> None:
    made = agent(changed)
    assert is_switched(made)
    text = openclaw.merged_environment(made, [openclaw.Access(f"{made.gateway.base_url}/v1", KEY)])
    assert text == DONE["openclaw_env"]
    command, stdin = openclaw.environment_command(made, text)
    assert base64.b64decode(stdin.partition("\n")[2]).decode() == text
    assert KEY not in command


@pytest.mark.parametrize(
    ("changed", "restarted"),
    [
        pytest.param({"openclaw_unit": UNIT.replace("Reload=no", "Reload=yes")}, True, id="not reloaded"),
        pytest.param({"openclaw_env_stat": "600 claw:claw 1800000000.0\n"}, True, id="env is newer"),
        pytest.param({"openclaw_dropin_stat": "644 root:root 1800000000.0\n"}, True, id="drop-in is newer"),
        pytest.param({"openclaw_process": "PATH\nOPENAI_BASE_URLS\n"}, False, id="another variable"),
        pytest.param(
            {"openclaw_unit": UNIT.replace("=70", "=0"), "openclaw_env_stat": "600 claw:claw 1800000000.0\n"},
            False,
            id="does not run",
        ),
    ],
)
def test_what_an_earlier_run_left_undone_is_finished(changed: dict[str, str], restarted: bool) -> None:
    assert is_switched(agent(changed)) == restarted


def test_what_a_run_has_kept_and_not_removed_any_more_is_removed_by_the_next() -> None:
    assert [command.function for command in point(agent({"openclaw_kept": "yes\n"}))] == [agent_switch._discard]
    assert is_switched(agent({"openclaw_kept": "yes\n", "openclaw_env": "OTHER=1\n"})), "which keeps it anew"


def test_without_a_token_the_host_is_told_why(told: list[str]) -> None:
    made = agent()
    made.gateway.token_keys.clear()
    (command,) = point(made)
    assert command.function(None, made.host, *command.args) is False
    assert told == [
        "has no token: its gateway gw1 was not reached or failed in this run; fix that host, then run again"
        " without --limit"
    ]


def test_a_variable_that_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "run", lambda host, command: ["PATH", "OPENAI_BASE_URL"])
    made = agent()
    assert openclaw.await_environment(made) == BLAMED
    monkeypatch.setattr(remote, "run", lambda host, command: ["PATH"])
    assert openclaw.await_environment(made) is None


def test_a_variable_that_a_restart_would_not_take_away_fails_without_one(told: list[str]) -> None:
    made = agent({"openclaw_process": "PATH\nOPENAI_BASE_URL\n"})
    (command,) = point(made)
    assert command.function(None, made.host, *command.args) is False
    assert told == [BLAMED]


def test_a_variable_that_a_restart_may_take_away_gets_one() -> None:
    made = agent({"openclaw_process": "PATH\nOPENAI_BASE_URL\n", "openclaw_dropin": "old\n"})
    assert is_switched(made)


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {},
            "openclaw-gateway.service does not run after its restart; `journalctl -u openclaw-gateway",
        ),
        ({"PATH": "/bin"}, ""),
        ({"PATH": "/bin", "OPENAI_BASE_URL": "old"}, BLAMED),
    ],
)
def test_an_empty_environment_is_no_proof(
    environment: dict[str, str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question as the host gets it, of a real process: one that is ending has none any more."""
    process = subprocess.Popen(["/bin/sleep", "60"], env=environment)
    try:
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(f"#!/bin/sh\necho {process.pid}\n")
        systemctl.chmod(0o755)
        in_path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        asked: list[str] = []

        def run(host: object, command: str) -> list[str]:
            asked.append(command)
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=in_path)
            if done.returncode:
                raise remote.RemoteError(done.stderr)
            return done.stdout.splitlines()

        monkeypatch.setattr(remote, "run", run)
        ticks = itertools.count()
        monkeypatch.setattr(openclaw, "time", SimpleNamespace(monotonic=lambda: next(ticks), sleep=time.sleep))
        monkeypatch.setattr(openclaw, "PROOF_SECONDS", 3)
        found = openclaw.await_environment(agent()) or ""
    finally:
        process.kill()
        process.wait()
    assert found.startswith(problem) and bool(found) == bool(problem)
    assert len(asked) == (1 if environment else 4), "it is asked for until the time is over"


def test_the_places_of_a_system_unit_and_of_a_users() -> None:
    system, of_user = agent(), agent(openclaw_unit_scope="user", openclaw_user="claw", openclaw_unit="x.service")
    assert openclaw.environment_path(system) == "/home/claw/.openclaw/.env"
    assert openclaw.drop_in_path(system) == "/etc/systemd/system/openclaw-gateway.service.d/zz-llm-gateway.conf"
    assert openclaw.drop_in_path(of_user) == "/home/claw/.config/systemd/user/x.service.d/zz-llm-gateway.conf"
    assert openclaw.systemctl(system, "daemon-reload") == "systemctl daemon-reload"
    as_user = "runuser -u claw -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user daemon-reload"
    assert openclaw.systemctl(of_user, "daemon-reload") == as_user


@pytest.mark.parametrize("former", ["theirs\n", None])
def test_what_was_there_before_the_first_write_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: str | None
) -> None:
    """The command as the host runs it, here for this process's own user; the second write keeps nothing of ours."""
    monkeypatch.setattr(layout, "BEFORE", str(tmp_path / "noted/before"))
    account = f"root:x:{os.getuid()}:{os.getgid()}::{tmp_path}:/bin/sh\n"
    owner = {"openclaw_passwd": account}
    path = tmp_path / ".openclaw/.env"
    backup = tmp_path / ".openclaw/.env.before-llm-gateway"
    if former is not None:
        path.parent.mkdir(mode=0o700)
        path.write_text(former)
    for content in ("first\n", "second\n"):
        made = make_agent({**FRESH, **OPENCLAW, **owner})
        command, stdin = openclaw.environment_command(made, content)
        done = subprocess.run(["sh", "-c", command], input=stdin, text=True, check=False)
        assert done.returncode == 0
        assert path.read_text() == content
        assert f"{path.stat().st_mode & 0o777:o}" == "600"
    assert (backup.read_text() if backup.exists() else None) == former
    assert former is None or f"{backup.stat().st_mode & 0o777:o}" == "600"
    assert f"{path.parent.stat().st_mode & 0o777:o}" == "700"
