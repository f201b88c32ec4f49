"""When a running OpenClaw is restarted, and what is said while it takes its time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_restart
from llm_gateway.tasks import preflight
from llm_gateway.tasks.migration import migration
from tests.unit.test_openclaw_config import agent, configured

UNIT = "LoadState=loaded\nActiveState={state}\nUser=claw\nMainPID=70\nNeedDaemonReload=no\nTimeoutStopUSec={stop}\n"
IDLE = json.dumps({"safe": True, "counts": {"queueSize": 0, "totalActive": 0}, "blockers": [], "summary": "safe"})
# As OpenClaw 2026.9.6 says it during a turn; its title is what a person has written.
BUSY = json.dumps(
    {
        "safe": False,
        "counts": {"queueSize": 2, "pendingReplies": 0, "embeddedRuns": 1, "totalActive": 3},
        "blockers": [{"kind": "task", "message": "title=my private question"}],
        "summary": "restart deferred: title=my private question",
    }
)
REFUSED = json.dumps({"ok": False, "error": {"message": "Gateway not reachable at ws://127.0.0.1:18789"}})


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.extend(text.splitlines()))
    for module in (openclaw_restart, openclaw_config):
        monkeypatch.setattr(module, "step", lambda host, text: lines.append(text))
    return lines


def unit(state: str = "active", stop: str = "5min 30s") -> dict[str, str]:
    """How the unit is."""
    return {"openclaw_unit": UNIT.format(state=state, stop=stop)}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5min 30s", 330),
        ("1min 30s", 90),
        ("2h", 7200),
        ("1w 1d", 691200),
        ("1.500s", 1.5),
        ("250ms", 0.25),
        ("infinity", 330),
        ("", 330),
    ],
)
def test_the_bound_of_the_stop_is_that_of_the_unit(text: str, seconds: float) -> None:
    assert openclaw_restart.stop_seconds(agent(unit(stop=text))) == seconds


@pytest.mark.parametrize(
    ("answers", "clock", "problem"),
    [
        ([IDLE], [0], None),
        ([BUSY, BUSY, IDLE], [0, 1, 2, 3], None),
        ([BUSY], [0, 601], "it is not idle within 600 s (queueSize=2 embeddedRuns=1): raise openclaw_idle_timeout"),
        ([REFUSED], [0], "whether a turn runs cannot be seen: OpenClaw does not answer"),
        (["Error: Cannot find module"], [0], "(Error: Cannot find module)"),
        (['{"safe": true}'], [0], "whether a turn runs cannot be seen"),
    ],
)
def test_an_agent_is_waited_for_until_it_is_idle(
    answers: list[str], clock: list[float], problem: str | None, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    said, moments = iter(answers), iter(clock)
    monkeypatch.setattr(remote, "run", lambda host, command: [] if command.startswith("sleep") else [next(said)])
    monkeypatch.setattr(openclaw_restart.time, "monotonic", lambda: next(moments))
    found = openclaw_restart.await_idle(agent(unit(), openclaw_restart="idle"))
    assert (found is None) if problem is None else (found is not None and problem in found)
    assert "private" not in f"{found} {told}"
    assert len(told) == sum(answer == BUSY for answer in answers) - (problem is not None and BUSY in answers)


@pytest.mark.parametrize(("way", "state"), [("now", "active"), ("never", "active"), ("idle", "failed")])
def test_nothing_is_waited_for_where_that_is_not_asked_for_or_nothing_runs(
    way: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "run", lambda *_: pytest.fail("it is asked"))
    assert openclaw_restart.await_idle(agent(unit(state), openclaw_restart=way)) is None


def test_a_program_that_cannot_tell_whether_it_is_idle_stops_the_run() -> None:
    (problem,) = preflight.openclaw_problems(agent({**unit(), "openclaw_command": ""}, openclaw_restart="idle"))
    assert 'set it to "now" or "never" for this host' in problem
    assert list(preflight.openclaw_problems(agent({**unit(), "openclaw_command": ""}))) == []


@pytest.mark.parametrize(
    ("changed", "is_left"), [(unit(), True), (unit("inactive"), False), ({"openclaw_unit": ""}, False)]
)
def test_one_that_only_a_person_restarts_is_left_running(changed: dict[str, str], is_left: bool) -> None:
    assert openclaw.is_left_running(agent(changed, openclaw_restart="never")) == is_left
    assert not openclaw.is_left_running(agent(changed))


@pytest.mark.parametrize(("way", "is_told"), [("never", True), ("now", False)])
def test_a_migration_does_not_take_the_gateway_of_one_that_goes_on(
    way: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = SimpleNamespace(source_name="old1", target_name="gw1")
    monkeypatch.setattr(migration.move, "of", lambda state: wanted)
    found = [
        text
        for text in migration._host_problems(agent(unit(), openclaw_restart=way).machine)
        if "takes its gateway" in text
    ]
    assert bool(found) == is_told


def test_the_configuration_of_one_that_is_left_running_waits_until_it_is_stopped(told: list[str]) -> None:
    openclaw_config.announce(agent(unit(), openclaw_restart="never"))
    (line,) = told
    assert "needs a change that OpenClaw would pick up while it runs: `systemctl stop openclaw-gateway" in line
    told.clear()
    openclaw_config.announce(agent({**unit(), **configured()}, openclaw_restart="never"))
    assert told == []


def test_the_restart_comes_once_and_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    commands: list[str] = []
    looks = iter(["stopping it finishes what it has begun: queueSize=2 embeddedRuns=1", "starting", "done"])

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        commands.append(command)
        return [] if "--no-block" in command else [next(looks)]

    monkeypatch.setattr(remote, "run", run)
    made = agent(unit())
    openclaw_restart.restart(made, openclaw.reload_command(made), "swap-it")
    assert [command for command in commands if "--no-block" in command] == commands[:1]
    assert commands[0].endswith(
        "systemctl daemon-reload && swap-it && systemctl restart --no-block openclaw-gateway.service"
    )
    assert "SINCE=-20s" in commands[1]
    assert "whose stop may take 330 s" in told[0]
    assert told[1].endswith("of at most 330 s: it finishes what it has begun: queueSize=2 embeddedRuns=1")
    assert "waiting until it has started" in told[2]


def test_a_unit_that_does_not_start_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "run", lambda host, command: ["failed"])
    with pytest.raises(remote.RemoteError, match="does not start: `journalctl -u openclaw-gateway"):
        openclaw_restart.restart(agent(unit()), "true")


def test_a_unit_that_never_stops_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of TimeoutStopSec=infinity: systemd does not kill it."""
    clock = iter([0.0, 1.0, 2.0, 440.0, 451.0])
    monkeypatch.setattr(remote, "run", lambda host, command: ["stopping it finishes what it has begun: embeddedRuns=1"])
    monkeypatch.setattr(openclaw_restart.time, "monotonic", lambda: next(clock))
    with pytest.raises(remote.RemoteError, match="has not stopped within 451 s: it finishes what it has begun"):
        openclaw_restart.restart(agent(unit(stop="infinity")), "true")


@pytest.mark.parametrize(
    ("states", "log", "answer"),
    [
        (["Job=0", "ActiveState=active"], "", "done"),
        (["ActiveState=active", "SubState=running"], "", "done"),
        (["ActiveState=activating", "SubState=auto-restart"], "", "failed"),
        (["Job=8", "ActiveState=failed"], "", "starting"),
        (["ActiveState=failed", "SubState=failed"], "", "failed"),
        (
            ["Job=712", "ActiveState=deactivating"],
            "[gateway] still draining active work before stop: queueSize=2 embeddedRuns=1\n2026-11-29T23:11:51 Blue.\n",
            "stopping it finishes what it has begun: queueSize=2 embeddedRuns=1",
        ),
        (
            ["Job=712", "ActiveState=deactivating"],
            "[gateway] draining active work before stop with timeout 314891ms: embeddedRuns=1\n"
            "[gateway] active-work drain settled; beginning server close\n",
            "stopping its work is done, it closes its channels",
        ),
        (
            ["Job=712", "ActiveState=deactivating"],
            "[gateway] active-work drain settled; beginning server close\n"
            "[telegram] [default] channel stop exceeded 5000ms after abort; continuing shutdown\n"
            "[gmail-watcher] gmail watcher stopped\n",
            "stopping its work is done, its channel telegram does not end",
        ),
        (
            ["Job=712", "ActiveState=deactivating"],
            "[plugins/cleanup] Plugin telegram forced retirement after 5000ms: 0 still-running call(s), 1 retained\n",
            "stopping its work is done, its plugin telegram does not end",
        ),
        (["Job=712", "ActiveState=deactivating"], "a person wrote: draining active work before stop: x\n", "stopping"),
        (["Job=712", "ActiveState=activating"], "", "starting"),
    ],
)
def test_the_host_says_what_the_stop_waits_for(tmp_path: Path, states: list[str], log: str, answer: str) -> None:
    (tmp_path / "log").write_text(log)
    for name, text in {"systemctl": "\n".join(states), "journalctl": log.rstrip("\n")}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(0o755)
    head = "SCOPE=system UNIT=openclaw-gateway.service SINCE=1 SECONDS_TO_WAIT=0\n"
    done = subprocess.run(
        ["sh", "-c", head + openclaw_restart._SCRIPT.read_text()],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == answer


def test_a_configuration_is_changed_in_a_copy_and_put_in_place_only_where_nobody_else_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole file for a whole file; and the copy that OpenClaw's command makes of the copy goes as well."""
    place = tmp_path / "openclaw.json"
    place.write_text("{}")

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        done = subprocess.run(["sh", "-c", command], input=stdin or "", capture_output=True, text=True)
        if done.returncode:
            raise remote.RemoteError(done.stderr.strip())
        return done.stdout.splitlines()

    def patch(made: Agent, values: Any) -> None:
        place.with_name("openclaw.json.llmgw-new").write_text("{ours}")
        place.with_name("openclaw.json.llmgw-new.bak").write_text("{}")

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(openclaw_config, "_patch", patch)
    monkeypatch.setattr(openclaw, "as_user", lambda user, script: script)
    made = agent({"openclaw_config_path": str(place)})
    swap = openclaw_config.prepare(made)
    assert place.read_text() == "{}", "the one that OpenClaw reads is as it was"
    run(None, swap)
    assert place.read_text() == "{ours}"
    assert [path.name for path in tmp_path.iterdir()] == ["openclaw.json"]
    swap = openclaw_config.prepare(made)
    place.write_text("{of a plugin}")
    with pytest.raises(remote.RemoteError, match="was changed by another meanwhile"):
        run(None, swap)
    assert place.read_text() == "{of a plugin}"
