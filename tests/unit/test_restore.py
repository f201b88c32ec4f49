"""Where the gateway of a host serves elsewhere, or is on its way there, nothing is restored by mistake."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_gateway.hosts import remote
from llm_gateway.tasks.restore import restore
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import DIRECTORY, make_node


def _told(monkeypatch: pytest.MonkeyPatch, file: str, text: str, **options: str) -> list[str]:
    monkeypatch.setattr(remote, "run", lambda host, command: text.splitlines() if file in command else [])
    found = make_node({**FRESH, "tracked_stat": f"{DIRECTORY}/{file} 600 root:root 1.0\n"})
    inventory = SimpleNamespace(get_override_data=lambda: options)
    cast(Any, found.host).state = SimpleNamespace(inventory=inventory)
    return [problem for problem in restore._problems(found.machine) if "--data yes=" in problem]


def test_a_gateway_that_was_moved_away_is_not_revived_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _told(monkeypatch, "migrated-to", "gw2 http://100.64.0.2:3000 since yesterday")
    assert "was moved to gw2, and serves there" in told
    assert "--data host=gw2" in told
    assert "--data yes=gw1" in told


def test_a_gateway_that_has_not_arrived_is_not_replaced_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _told(monkeypatch, "migrating-from", "old")
    assert "deploys/migrate.py --data source=old again" in told
    assert "--data yes=gw1" in told


@pytest.mark.parametrize("file", ["migrated-to", "migrating-from"])
def test_it_is_where_that_is_meant(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    assert _told(monkeypatch, file, "gw2", yes="gw1") == []
    assert _told(monkeypatch, file, "gw2", yes="gw3, gw1") == []
    assert len(_told(monkeypatch, file, "gw2", yes="gw3")) == 1


def test_other_gateways_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _told(monkeypatch, "tiktoken", "x") == []
