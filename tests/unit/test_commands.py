"""A command among the settings that no shell can read is told before a host is touched."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts import commands, scheduling
from llm_gateway.tasks import survey
from llm_gateway.tasks.migration import migration, move
from llm_gateway.tasks.migration.move import Move
from llm_gateway.tasks.restore import restore
from tests.unit.topology import make_node


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What hosts were asked to run; this machine's shell answers for them."""
    seen = []

    def run(host: Any, command: str, stdin: str | None = None) -> list[str]:
        seen.append(command)
        done = subprocess.run(["/bin/sh", "-c", command], input=stdin, capture_output=True, text=True)
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()

    monkeypatch.setattr(remote, "run", run)
    return seen


@pytest.mark.parametrize("name", ["gateway_backup_command", "gateway_alert_command"])
@pytest.mark.parametrize("command", ["echo 'hush", "hush | | b", "hush )", 'echo "$(hush"', "if hush", "&& hush"])
def test_one_that_cannot_be_read_is_told_and_not_shown(asked: list[str], name: str, command: str) -> None:
    (told,) = commands.problems(make_node(**{name: command}))
    assert told.startswith(f"{name}: ")
    assert "hush" not in told
    assert asked == ["sh -n"]


def test_one_that_can_be_read_is_not_run(asked: list[str], tmp_path: Any) -> None:
    command = f"""touch {tmp_path}/run; printf '%s' "$1" '$(it is)' #'"""
    assert list(commands.problems(make_node(gateway_backup_command=command))) == []
    assert list(tmp_path.iterdir()) == []
    assert asked == ["sh -n"]


def test_without_commands_nobody_is_asked(asked: list[str]) -> None:
    assert list(commands.problems(make_node())) == []
    assert asked == []


def test_each_run_that_installs_them_asks(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that no shell can read would make each backup fail, or keep every alarm from being told."""
    broken = {"gateway_alert_command": "curl 'hush"}
    monkeypatch.setattr(move, "of", lambda state: Move("old", "gw1", {}, 600))
    assert scheduling.problems in restore.PURPOSE.host_checks
    for purpose in (survey.DEPLOYMENT, migration.PURPOSE):
        told = survey._found(make_node(**broken).machine, purpose.host_checks)
        assert [text for text in told if "the host's shell (`sh -n`) cannot read it" in text], told
