"""What a removal gives Docker's daemon back."""

from __future__ import annotations

import json

import pytest

from gateway.host_state import HostState
from gateway.uninstall import before, removed_gateway
from gateway.uninstall.removal import Found
from tests.unit.fake_hosts import answer

MIRROR = "https://mirror.example"
OURS = {"registry-mirrors": [MIRROR]}


def _restored(present: str, former: str | None) -> str | None:
    answers = {"daemon_ours": json.dumps({**json.loads(former or "{}"), **OURS}) + "\n"}
    if former is not None:
        answers["daemon_before"] = f"{former}\n"
    return removed_gateway.restored_daemon_json(present, Found(HostState.parse(answer(answers)), {}))


@pytest.mark.parametrize("former", ['{"log-driver":"local"}\n', '{ "registry-mirrors": ["https://theirs.example"] }'])
def test_what_was_there_comes_back_byte_for_byte(former: str) -> None:
    assert _restored(json.dumps({**json.loads(former), **OURS}, indent=2), former) == former


def test_a_file_that_was_made_goes() -> None:
    assert _restored(json.dumps(OURS), None) is None


def test_what_was_added_since_stays() -> None:
    restored = _restored(json.dumps({**OURS, "debug": True}), None)
    assert restored is not None
    assert json.loads(restored) == {"debug": True}


@pytest.mark.parametrize("present", ['{"registry-mirrors": ["https://others.example"]}', "no JSON", "[]"])
def test_what_is_not_ours_any_more_is_left_alone(present: str) -> None:
    assert _restored(present, None) == present


def test_where_nothing_was_written_nothing_is_changed() -> None:
    found = Found(HostState.parse(answer({})), {})
    assert removed_gateway.restored_daemon_json(json.dumps(OURS), found) == json.dumps(OURS)
    assert removed_gateway.restored_daemon_json(None, found) is None


def test_notes_are_named_after_what_they_are_about() -> None:
    assert before.content_of("/a") != before.content_of("/b")
