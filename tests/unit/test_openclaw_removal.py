"""What an OpenClaw host gets back of its .env."""

from __future__ import annotations

from unittest import mock

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.before import Before
from llm_gateway.model import dotenv
from llm_gateway.parts.openclaw import openclaw, openclaw_ready, openclaw_restart
from llm_gateway.tasks.removal import openclaw_removal, scope
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent

OURS = dotenv.merge("", dict.fromkeys(openclaw.NAMES, "ours"))
HOME = "/home/claw/.openclaw"


@pytest.mark.parametrize(
    ("variables", "problem", "told"),
    [
        (["PATH"], None, []),
        ([], None, ["does not run with its former environment"]),
        (["PATH"], "openclaw-gateway.service has ended with 78: port is no number", ["has ended with 78"]),
    ],
)
def test_openclaw_serves_again_or_that_is_told(
    monkeypatch: pytest.MonkeyPatch, variables: list[str], problem: str | None, told: list[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(openclaw_restart, "restart", lambda *_: None)
    monkeypatch.setattr(openclaw, "await_process", lambda _: variables)
    monkeypatch.setattr(remote, "complain", lambda _, text: said.append(text))
    monkeypatch.setattr(openclaw_ready, "await_ready", lambda _: problem)
    made = make_agent({**FRESH, **OPENCLAW})
    restarting = remote.Callback(openclaw_removal._restart_now, (made,), {})
    assert restarting.execute(mock.Mock(), made.host, {}) is (not told)
    assert len(said) == len(told) and all(words in text for words, text in zip(told, said, strict=True))


@pytest.mark.parametrize(
    ("noted", "copy", "expected"),
    [
        pytest.param(None, None, None, id="neither a note nor a copy"),
        pytest.param(None, "OTHER=1\n", "OTHER=1\n", id="a copy of a version that noted nothing"),
        pytest.param(Before("644", "1000:1000", HOME), "OTHER=1\n", "OTHER=1\n", id="what was there"),
        pytest.param(Before(None, None, HOME), None, None, id="nothing was there"),
        pytest.param(Before(None, None, HOME), OURS, None, id="the copy is of ours, made by a rotation"),
    ],
)
def test_the_environment_is_given_back(
    monkeypatch: pytest.MonkeyPatch, noted: Before | None, copy: str | None, expected: str | None
) -> None:
    present = dotenv.merge(copy or "", dict.fromkeys(openclaw.NAMES, "ours"))
    made = make_agent({**FRESH, **OPENCLAW, "openclaw_env": present})
    notes = {openclaw.environment_path(made): noted} if noted else {}
    found = scope.Found(scope.Leftovers({} if copy is None else {"env_before": f"{copy}\n"}), notes)
    monkeypatch.setattr(scope, "found_on", lambda _: found)
    assert openclaw_removal.restored_environment(made) == expected
