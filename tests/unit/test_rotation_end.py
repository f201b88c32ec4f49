"""A token that was replaced goes when its successor is seen in use, and stays, with the reason told, otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from llm_gateway.contents import admin
from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.hosts import progress, remote
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Node, Run
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.tasks import survey
from llm_gateway.tasks.rotation import rotation_end, token_renewal
from tests.unit import ways
from tests.unit.fake_hosts import FRESH, OPENCLAW, answer
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.topology import GENERATED, make_agent, make_node

OLD = token_renewal.old_name("agent1", 1_795_369_680)
OLD_VERIFICATION = token_renewal.old_name(VERIFICATION_TOKEN, 1_795_369_680)
NEW_KEY = "new".ljust(48, "0")


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for name in ("tell", "complain"):
        monkeypatch.setattr(remote, name, lambda host, text: said.append(text))
    monkeypatch.setattr(progress, "step", lambda host, text: said.append(text))
    return said


@pytest.fixture
def one_api(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """Whose tokens of agent1 and of verification were replaced."""
    made = FakeOneAPI(GENERATED.access_token)
    names = (OLD_VERIFICATION, VERIFICATION_TOKEN, OLD, "agent1", "agent1.old-20261122")
    for number, name in enumerate(names, 1):
        key = NEW_KEY if name == "agent1" else f"{number}".ljust(48, "0")
        made.tokens.append({"id": number, "name": name, "key": key, "status": 1, **_UNLIMITED})
    for module in (admin, rotation_end):
        monkeypatch.setattr(module, "route", made.route)
    ways.lead_to(monkeypatch, made.route)
    return made


_UNLIMITED = {"expired_time": -1, "remain_quota": 0, "unlimited_quota": True, "models": None, "subnet": ""}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A gateway whose only agent has the new key, and runs with it."""
    run = Run()
    made = make_node(FRESH, run=run)
    agent = make_agent({**FRESH, **OPENCLAW}, name="agent1", run=run)
    monkeypatch.setattr(run, "agents_of", lambda gateway: [agent])
    _reads(monkeypatch, ways.environment(NEW_KEY))
    monkeypatch.setattr(openclaw, "runs_with_older_files", lambda node: False)
    return made


def _reads(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    found = HostState.parse(answer({**FRESH, **OPENCLAW, "openclaw_env": environment}))
    monkeypatch.setattr(survey, "read_state", lambda node, lock: found)


def end(gateway: Node, *failed: str) -> bool | None:
    """Carry it out; whether it succeeded, None where there was nothing to do."""
    hosts = [each.host for each in gateway.machine.run.machines.values() if each.name in failed]
    state: Any = SimpleNamespace(failed_hosts=hosts)
    outcomes = [command.function(state, gateway.host, *command.args) for command in commands(gateway)]
    return all(outcomes) if outcomes else None


def commands(gateway: Node) -> Iterator[Any]:
    return rotation_end._remove._inner(gateway.gateway)  # type: ignore[attr-defined]


def names(one_api: FakeOneAPI) -> list[str]:
    return [row["name"] for row in one_api.tokens]


def test_old_ones_go_when_the_new_ones_are_in_use(one_api: FakeOneAPI, gateway: Node, told: list[str]) -> None:
    assert end(gateway) is True
    assert names(one_api) == [VERIFICATION_TOKEN, "agent1", "agent1.old-20261122"]
    assert "rotate: removing the old token of agent1" in told
    assert NEW_KEY not in "".join(told)
    assert end(gateway) is None, "and then there is nothing to do"


def test_several_old_ones_of_runs_that_were_cut_off_go_together(one_api: FakeOneAPI, gateway: Node) -> None:
    again = {**one_api.tokens[2], "id": 9, "name": token_renewal.old_name("agent1", 1_795_000_000)}
    one_api.tokens.append(again)
    assert end(gateway) is True
    assert names(one_api) == [VERIFICATION_TOKEN, "agent1", "agent1.old-20261122"]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (ways.environment("3".ljust(48, "0")), "is not the token agent1 that gw1 has for this host"),
        ("OTHER=1\n", "has no LLM_BASE_URL"),
    ],
    ids=["the old key", "no key"],
)
def test_an_environment_without_the_new_key_keeps_the_old_one(
    one_api: FakeOneAPI,
    gateway: Node,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    reason: str,
) -> None:
    _reads(monkeypatch, environment)
    assert end(gateway) is False
    assert OLD in names(one_api)
    assert OLD_VERIFICATION not in names(one_api)
    assert any(text.startswith("the old token of agent1 stays") and reason in text for text in told), told


def test_openclaw_that_runs_with_what_it_read_before_keeps_the_old_one(
    one_api: FakeOneAPI, gateway: Node, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openclaw, "runs_with_older_files", lambda node: True)
    assert end(gateway) is False
    assert OLD in names(one_api)
    assert any("runs with what it read before" in text for text in told), told


def test_a_host_that_failed_keeps_the_old_one(one_api: FakeOneAPI, gateway: Node, told: list[str]) -> None:
    assert end(gateway, "agent1") is False
    assert OLD in names(one_api)
    assert any("agent1 has failed in this run" in text for text in told), told


def test_a_host_that_is_not_reached_keeps_the_old_one_and_that_is_no_failure(
    one_api: FakeOneAPI, gateway: Node, told: list[str]
) -> None:
    del gateway.machine.run.machines["agent1"]
    assert end(gateway) is True
    assert OLD in names(one_api)
    assert any("the old token of agent1 stays" in text and "is not reached in this run" in text for text in told), told
    assert end(gateway) is None, "nothing to do for a run that reaches no more"


def test_a_host_that_cannot_be_read_keeps_the_old_one(
    one_api: FakeOneAPI, gateway: Node, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(node: Node, lock: bool) -> HostState:
        raise remote.RemoteError("the connection is gone")

    monkeypatch.setattr(survey, "read_state", gone)
    assert end(gateway) is False
    assert OLD in names(one_api)


def test_a_new_key_that_gets_no_completion_keeps_the_old_one(
    one_api: FakeOneAPI, gateway: Node, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"error": {"message": "no", "type": "one_api_error"}}
    monkeypatch.setattr(one_api, "_relay", lambda path: httpx.Response(401, json=refusal))
    assert end(gateway) is False
    assert {OLD, OLD_VERIFICATION} <= set(names(one_api))
    assert any("the new one gets no completion: One API refuses the token of agent1" in text for text in told), told


def test_without_a_new_one_the_old_one_stays(one_api: FakeOneAPI, gateway: Node) -> None:
    one_api.tokens = [row for row in one_api.tokens if row["name"] != "agent1"]
    assert end(gateway) is False
    assert OLD in names(one_api)


def test_a_plan_shows_what_is_to_go_and_removes_nothing(one_api: FakeOneAPI, gateway: Node) -> None:
    gateway.host.state.is_executing = False
    assert list(commands(gateway)) == [], "a gateway that does not answer now is not waited for"
    recorded = "HTTP/1.0 200 OK\r\n\r\n" + json.dumps({"success": True, "message": "", "data": one_api.tokens})
    gateway.machine.state = HostState.parse(answer({**FRESH, "api_tokens": recorded}))
    assert len(list(commands(gateway))) == 1
    assert OLD in names(one_api)


def test_an_admin_api_that_says_no_is_told(
    one_api: FakeOneAPI, gateway: Node, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_api.access_token = "another"
    monkeypatch.setattr(remote, "run", lambda *command: [])  # the database has another token, too
    assert end(gateway) is False
    assert any("refuses the access token" in text for text in told), told
