"""A host that is lost while it is examined: that is what is told, and no setting is blamed for it."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts import migration_marker
from llm_gateway.tasks import survey
from tests.unit.fake_hosts import FRESH, tiktoken_answers
from tests.unit.topology import DIRECTORY, make_node

LOST = "the connection to the host is lost (Socket is closed)"
READY = {**FRESH, **tiktoken_answers(DIRECTORY)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the host was asked before it was found to be lost."""
    commands: list[str] = []

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        commands.append(command)
        raise remote.ConnectionLostError(LOST)

    monkeypatch.setattr(remote, "run", run)
    return commands


@pytest.mark.parametrize(
    "chosen",
    [
        {"gateway_backup_schedule": "Mon *-*-* 03:30"},
        {"gateway_metrics_directory": "/var/lib/node_exporter"},
        {"gateway_backup_command": "echo"},
        {"gateway_alert_command": "echo"},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_no_setting_is_blamed(asked: list[str], chosen: dict[str, Any]) -> None:
    told = survey._found(make_node(READY, **chosen).machine, survey.DEPLOYMENT.host_checks)
    assert told == [f"gw1: it cannot be examined: {LOST}"]
    assert len(asked) == 1, "one that is lost is not asked again"


def test_a_check_that_reads_a_file_ends_in_words(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_node(READY)
    monkeypatch.setattr(type(made.state), "file", lambda state, path: path)
    assert survey._found(made.machine, (migration_marker.problems,)) == [f"gw1: it cannot be examined: {LOST}"]
