"""A host whose gateway was moved away, or is still on its way there, is not deployed."""

from __future__ import annotations

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts import migration_marker
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import DIRECTORY, make_machine


def _told(monkeypatch: pytest.MonkeyPatch, file: str, text: str, roles: str = "gateway") -> list[str]:
    monkeypatch.setattr(remote, "run", lambda host, command: text.splitlines() if file in command else [])
    return list(
        migration_marker.problems(
            make_machine({**FRESH, "tracked_stat": f"{DIRECTORY}/{file} 600 root:root 1.0\n"}, roles=roles)
        )
    )


def test_a_gateway_that_moved_away_is_named_with_where_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _told(monkeypatch, "migrated-to", "gw2 http://100.64.0.2:3000 since yesterday")
    assert "was moved to gw2" in told
    assert "take this host out of the group `gateways`" in told
    assert f"remove {DIRECTORY}/migrated-to" in told


def test_one_that_has_not_arrived_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _told(monkeypatch, "migrating-from", "old")
    assert "deploys/migrate.py --data source=old again" in told
    assert f"remove {DIRECTORY}/migrating-from" in told


def test_a_file_that_says_nothing_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _told(monkeypatch, "migrated-to", "")
    assert "was moved to another host" in told


def test_other_hosts_have_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _told(monkeypatch, "tiktoken", "x") == []
    assert _told(monkeypatch, "migrated-to", "gw2", roles="openclaw") == []
