"""The gateway in memory and the host's files, for the tests of what a gateway is made to hold."""

from __future__ import annotations

import pytest
from provisioning_kit import Written

from llm_gateway.contents import admin
from llm_gateway.hosts import remote
from tests.unit.fake_one_api import DEPLOYED_OPTIONS, FakeOneAPI
from tests.unit.topology import GENERATED


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """A gateway after its first start, on the way that members take to it."""
    one_api = FakeOneAPI(GENERATED.access_token)
    one_api.options |= DEPLOYED_OPTIONS
    monkeypatch.setattr(admin, "route", one_api.route)
    return one_api


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    kept = Written()
    kept.told = []

    def write(host: object, path: str, content: bytes, mode: str) -> None:
        assert mode == "600"
        kept[path] = content.decode()

    monkeypatch.setattr(remote, "run", lambda *command: [])  # the database holds what it should
    monkeypatch.setattr(remote, "write_now", write)
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: kept.told.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: kept.told.append(text))
    return kept
