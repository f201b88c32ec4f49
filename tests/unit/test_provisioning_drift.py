"""What later runs make of a gateway: taken over, changed by hand, interrupted, declared no more."""

from __future__ import annotations

from typing import Any

import httpx
import provisioning_fixtures
import pytest
from provisioning_kit import DONE, PATH, Written, commands, make_gateway, reconcile

from llm_gateway.contents import provisioning
from llm_gateway.flavours import AdminError, RateLimited, Refused, Unreachable
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.record import Record
from tests.unit.fake_hosts import answer
from tests.unit.fake_one_api import FakeOneAPI

# Not as a plugin: its fixtures would be those of all tests.
gateway, written = provisioning_fixtures.gateway, provisioning_fixtures.written


def test_an_imported_gateway_that_is_as_declared_is_taken_over_without_a_change(
    gateway: FakeOneAPI, written: Written
) -> None:
    reconcile(make_gateway())
    gateway.changes.clear()
    assert reconcile(make_gateway(applied="{}")) == [True], "what is ours now is remembered"
    assert gateway.changes == []
    assert reconcile(make_gateway(applied=written[PATH])) == []


def test_keys_are_sent_again_when_that_is_asked_for(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    gateway.channels[0]["key"] = "a key that somebody put in by hand"
    reconcile(make_gateway(applied=written[PATH], gateway_force_keys=True))
    assert written.told[-2:] == ["~ channel dashscope: key sent again", "~ channel minimax: key sent again"]
    assert gateway.channels[0]["key"] == "dashscope-key-for-tests"


def test_a_write_that_was_interrupted_is_done_again(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    kept = Record.parse(written[PATH]).begun(["minimax"])
    gateway.changes.clear()
    reconcile(make_gateway(applied=kept.content().decode()))
    assert [change[2]["name"] for change in gateway.changes] == ["minimax"]


@pytest.mark.parametrize(
    "problem",
    [
        Refused("POST /api/channel/", "database is locked"),
        Unreachable("POST /api/channel/: no answer from http://100.64.0.10:3000: ECONNRESET"),  # it restarts
        RateLimited("POST /api/channel/: too many requests"),
    ],
    ids=["locked", "restarted", "rate-limited"],
)
def test_what_was_done_before_a_failure_is_remembered_and_the_next_run_does_the_rest(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch, problem: AdminError
) -> None:
    done = provisioning.carry_out

    def second_fails(change: Any, admin: Any) -> Any:
        if change.name == "minimax":
            raise problem
        return done(change, admin)

    monkeypatch.setattr(provisioning, "carry_out", second_fails)
    assert reconcile(make_gateway("agent1")) == [False]
    monkeypatch.setattr(provisioning, "carry_out", done)
    gateway.changes.clear()
    assert reconcile(make_gateway("agent1", applied=written[PATH])) == [True]
    names = ["minimax", "llm-gateway-verification", "llm-gateway-canary", "agent1"]
    assert [change[2].get("name") for change in gateway.changes] == names


def test_what_is_not_declared_any_more_goes_only_when_asked_and_only_if_it_is_ours(
    gateway: FakeOneAPI, written: Written
) -> None:
    reconcile(make_gateway("agent1", "agent2"))
    gateway.channels.append({**gateway.channels[0], "id": 9, "name": "mine", "models": "x"})
    minimax = {"name": "minimax", "base_url": "https://api.minimaxi.com", "key": "MINIMAX_API_KEY"}
    left = [{**minimax, "models": ["MiniMax-M2.5"]}]

    def run(**chosen: Any) -> list[bool]:
        return reconcile(make_gateway("agent1", applied=written[PATH], gateway_channels=left, **chosen))

    assert run() == []
    assert run(gateway_prune=True) == [True]
    assert written.told[-2:] == ["- token agent2", "- channel dashscope"]
    assert [channel["name"] for channel in gateway.channels] == ["minimax", "mine"]
    assert [token["name"] for token in gateway.tokens] == ["llm-gateway-verification", "llm-gateway-canary", "agent1"]
    assert run(gateway_prune=True) == []
    assert run(gateway_prune=["channel:mine"]) == [True]
    assert [channel["name"] for channel in gateway.channels] == ["minimax"]


def test_a_token_that_was_deleted_by_hand_is_made_again(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway("agent1"))
    gateway.tokens.pop()
    made = make_gateway("agent1", applied=written[PATH])
    assert reconcile(made) == [True]
    assert written.told[-1] == "+ token agent1"
    assert made.token_keys["agent1"] == gateway.tokens[-1]["key"]


def test_a_plan_says_what_is_to_come(gateway: FakeOneAPI, written: Written) -> None:
    made = make_gateway("agent1")
    made.node.host.state.is_executing = False  # type: ignore[misc]
    with httpx.Client(transport=gateway.transport, headers={"Authorization": gateway.access_token}) as client:
        options = f"HTTP/1.0 200 OK\r\n\r\n{client.get('http://gw/api/option/').text}"
    made.node.machine.state = HostState.parse(answer({**DONE, "api_options": options}))
    assert len(list(commands(made.node.machine))) == 1
    assert written.told[:2] == ["to come: + channel dashscope", "to come: + channel minimax"]
    assert gateway.changes == []


def test_what_was_deleted_and_made_anew_by_hand_is_not_ours(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway("agent1"))
    gateway.channels[0] |= {"id": 77}
    gateway.tokens[2] |= {"id": 78}
    minimax = {"name": "minimax", "base_url": "https://api.minimaxi.com", "key": "MINIMAX_API_KEY"}
    left = [{**minimax, "models": ["MiniMax-M2.5"]}]
    assert reconcile(make_gateway(applied=written[PATH], gateway_channels=left, gateway_prune=True)) == [True]
    assert [channel["name"] for channel in gateway.channels] == ["dashscope", "minimax"]
    assert [token["name"] for token in gateway.tokens] == ["llm-gateway-verification", "llm-gateway-canary", "agent1"]
    assert "dashscope" not in written[PATH], "nor will it be"


def test_a_declared_channel_that_was_made_anew_by_hand_gets_its_key(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    gateway.channels[0] |= {"id": 77, "key": "a key of somebody's own"}
    reconcile(make_gateway(applied=written[PATH]))
    assert written.told[-1] == "~ channel dashscope: key changed"
    assert gateway.channels[0]["key"] == "dashscope-key-for-tests"
    assert reconcile(make_gateway(applied=written[PATH])) == []


@pytest.mark.parametrize("lost", ["", "{damaged", "[]"])
def test_where_the_record_is_lost_all_keys_are_sent_again(gateway: FakeOneAPI, written: Written, lost: str) -> None:
    reconcile(make_gateway())
    gateway.channels[0]["key"] = "an old key"
    reconcile(make_gateway(applied=lost))
    assert gateway.channels[0]["key"] == "dashscope-key-for-tests"
    assert reconcile(make_gateway(applied=written[PATH])) == []


def test_a_removal_that_was_cut_off_leaves_no_claim_behind(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(make_gateway("agent1", "agent2"))
    done = provisioning.carry_out

    def second_fails(change: Any, admin: Any) -> Any:
        if change.name == "agent2":
            raise RateLimited("DELETE /api/token/: too many requests")
        return done(change, admin)

    monkeypatch.setattr(provisioning, "carry_out", second_fails)
    assert reconcile(make_gateway(applied=written[PATH], gateway_prune=True)) == [False]
    kept = Record.parse(written[PATH])
    assert kept.tokens == {"llm-gateway-verification", "llm-gateway-canary", "agent2"}
    assert "token:agent1" not in kept.ids


def test_a_changed_channel_is_asked_about_until_it_has_answered(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    assert Record.parse(written[PATH]).unproven == {"dashscope", "minimax"}
    second = make_gateway(applied=written[PATH])
    assert reconcile(second) == []
    assert second.changed_channels == {"dashscope", "minimax"}, "no proof has come"
    provisioning.remember_proof(second)
    third = make_gateway(applied=written[PATH])
    assert reconcile(third) == []
    assert third.changed_channels == set()
