"""What a rollback refuses, what it says would be lost, and which tokens its agents get."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyinfra.api import DeployError

from llm_gateway.contents import admin
from llm_gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN
from llm_gateway.hosts import remote
from llm_gateway.hosts.tables import Table
from llm_gateway.hosts.topology import Gateway, Run
from llm_gateway.parts.serving import Serving
from llm_gateway.proof import agent_path
from llm_gateway.tasks.upgrades import rollback, rollback_tokens
from tests.unit.deployed import IMAGE_ID, deployed
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.topology import GENERATED, make_agent, make_node

OTHER_ID = "sha256:" + "2" * 64


def _looked(monkeypatch: pytest.MonkeyPatch, identifier: str) -> rollback.Kept:
    lines = ["previous", identifier, "one-api:old", "one-api:new", "2026-11-22 10:00 UTC", "there", "same"]
    monkeypatch.setattr(remote, "run", lambda host, command: lines)
    return rollback.look(make_node(deployed("gw1", "agent1").gateway))


def test_another_image_is_something_to_go_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _looked(monkeypatch, OTHER_ID).image.identifier == OTHER_ID


def test_the_image_that_serves_is_nothing_to_go_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(rollback.RollbackError, match=r"nothing to go back to: .* serves already"):
        _looked(monkeypatch, IMAGE_ID)


def test_what_would_be_lost_is_told_as_far_as_it_is_known() -> None:
    then = {"tokens": Table(2, "a"), "users": Table(1, "b"), "logs": Table(5, "c"), "old": Table(1, "d")}
    assert rollback.lost(then, then) == "nothing that is seen"
    now = {"tokens": Table(3, "x"), "users": Table(1, "y"), "logs": Table(5, "c"), "novelties": Table(4, "z")}
    assert rollback.lost(now, then) == (
        "at least these rows: 1 of tokens, 4 of novelties; and rows or columns of users, which are not the same"
    )


def test_a_mistyped_option_is_told_before_any_host_is_read() -> None:
    state = SimpleNamespace(inventory=SimpleNamespace(get_override_data=lambda: {"ye": "gw1"}))
    with pytest.raises(DeployError, match="--data ye=…: there is no such option; did you mean 'yes'"):
        rollback.machine_to_roll_back(cast(Any, state), cast(Any, SimpleNamespace(name="gw1")))


def _gone_back(monkeypatch: pytest.MonkeyPatch, one_api: FakeOneAPI) -> tuple[Gateway, list[str]]:
    """A gateway with an agent in the run, and one that is not."""
    told: list[str] = []
    for way in ("tell", "complain"):
        monkeypatch.setattr(remote, way, lambda host, text: told.append(text))
    monkeypatch.setattr(admin, "route", lambda *where: one_api.route())
    run = Run()
    gateway = make_node(run=run).gateway
    make_agent(name="agent2", run=run)
    del run.machines["agent2"]
    make_agent(name="agent1", run=run)
    gateway.node.is_restarted = True
    gateway.token_keys["agent1"] = "key-of-the-newer-data"
    return gateway, told


def test_agents_get_the_tokens_of_the_older_data(monkeypatch: pytest.MonkeyPatch) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    gateway, told = _gone_back(monkeypatch, one_api)
    assert rollback_tokens.learn(gateway, gateway)
    assert gateway.token_keys.keys() == {VERIFICATION_TOKEN, CANARY_TOKEN, "agent1", "agent2"}
    assert "there is no token agent1 in its data: making it" in told
    keys = dict(gateway.token_keys)
    assert rollback_tokens.present(gateway) == keys
    told.clear()
    assert rollback_tokens.learn(gateway, gateway)
    assert (gateway.token_keys, told) == (keys, [])


def test_agents_that_are_not_in_the_run_are_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, told = _gone_back(monkeypatch, FakeOneAPI(GENERATED.access_token))
    gateway.token_keys.update(agent1="a", agent2="b")
    rollback_tokens.tell_older_keys(gateway, {"agent1": "x", "agent2": "b"})
    assert [text for text in told if "agent" in text.partition("(")[0]] == []
    rollback_tokens.tell_older_keys(gateway, {"agent1": "x", "agent2": "y"})
    assert "holds now: agent2. With another one the gateway refuses them (401)" in told[-1]
    assert "pin the image that serves now" in told[-1]
    assert "rotate" in told[0]


def test_tokens_that_cannot_be_read_are_a_failure_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, told = _gone_back(monkeypatch, FakeOneAPI("another-token"))
    monkeypatch.setattr(remote, "run", lambda host, command, stdin=None: [])  # the database says nothing else
    assert not rollback_tokens.learn(gateway, gateway)
    assert told[-1].startswith("the tokens of its data cannot be read or made: the gateway refuses the access token")
    assert "reset_admin.py" in told[-1]
    assert gateway.token_keys == {}


def test_agents_that_are_served_are_asked_with_the_keys_of_the_older_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is the run's: a copy of it, as it was before, has no agents."""
    gateway, _ = _gone_back(monkeypatch, FakeOneAPI(GENERATED.access_token))
    monkeypatch.setattr(rollback, "step", lambda host, text: None)
    asked: list[str | None] = []
    monkeypatch.setattr(
        agent_path, "prove_all", lambda _, proven: asked.extend(gateway.token_keys.get(agent.name) for agent in proven)
    )
    kept = rollback.Kept("/previous", Serving("sha256:1", "old:1"), "then", is_there=True, is_other=True)
    before = rollback.as_before(gateway.node, kept)
    before.gateway.generated = GENERATED
    rollback._serve_agents(gateway.node, before, [agent for agent in gateway.agents if agent.name == "agent1"])
    assert asked == [gateway.token_keys["agent1"]]
    assert asked != ["key-of-the-newer-data"]
