"""What a gateway is made to hold, asked of a One API in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway import admin, desired, provisioning, remote, route
from gateway.fleet import Member
from gateway.host_state import HostState
from gateway.record import Record
from oneapi import Refused, TokenSpec
from tests.unit.fake_hosts import FRESH, OPENCLAW, answer
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.members import DIRECTORY, GENERATED, Fleet, member

PATH = f"{DIRECTORY}/applied-keys.json"
DONE = {**FRESH, "tracked_stat": f"{DIRECTORY}/first-start-done 600 root:root 1.0\n"}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """A gateway after its first start, on the way that members take to it."""
    one_api = FakeOneAPI(GENERATED.access_token)
    one_api.options["RegisterEnabled"] = "false"
    monkeypatch.setattr(admin, "route", one_api.route)
    return one_api


class Written(dict[str, str]):
    """What was written to the host, and what was said to the person at the terminal."""

    told: list[str]


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    kept = Written()
    kept.told = []

    def write(host: object, path: str, content: bytes, mode: str) -> None:
        assert mode == "600"
        kept[path] = content.decode()

    monkeypatch.setattr(remote, "write_now", write)
    monkeypatch.setattr(remote, "tell", lambda host, text: kept.told.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: kept.told.append(text))
    return kept


def fleet(*agents: str, applied: str = "{}", **chosen: Any) -> Member:
    """A gateway that these OpenClaw hosts use, after what an earlier run left on it."""
    together = Fleet()
    made = member(DONE, fleet=together, **chosen)
    made.record = Record.parse(applied)
    for name in agents:
        member({**FRESH, **OPENCLAW}, name=name, roles="openclaw", fleet=together)
    return made


def commands(made: Member) -> Iterator[Any]:
    return provisioning._reconcile._inner(made)  # type: ignore[attr-defined]


def reconcile(made: Member) -> list[bool]:
    """Carry the steps out, each as soon as it is known, as pyinfra does; whether each succeeded."""
    return [command.function(None, made.host) for command in commands(made)]


def test_a_new_gateway_gets_all_that_is_declared(gateway: FakeOneAPI, written: Written) -> None:
    gateway.options["RegisterEnabled"] = "true"
    made = fleet("agent1", "agent2")
    assert reconcile(made) == [True]
    assert [channel["name"] for channel in gateway.channels] == ["dashscope", "minimax"]
    dashscope = gateway.channels[0]
    assert (dashscope["type"], dashscope["models"]) == (1, "qwen3.5-plus,text-embedding-v4")
    assert dashscope["base_url"] == "https://dashscope.aliyuncs.com/compatible-mode"
    assert dashscope["key"] == "dashscope-key-for-tests"
    assert [token["name"] for token in gateway.tokens] == ["llm-gateway-verification", "agent1", "agent2"]
    assert all(token["unlimited_quota"] and token["expired_time"] == -1 for token in gateway.tokens)
    assert gateway.options["RegisterEnabled"] == "false"
    assert made.token_keys == {token["name"]: token["key"] for token in gateway.tokens}
    assert written.told == [
        "~ option RegisterEnabled: true → false",
        "+ channel dashscope",
        "+ channel minimax",
        "+ token llm-gateway-verification",
        "+ token agent1",
        "+ token agent2",
    ]
    assert made.changed_channels == {"dashscope", "minimax"}


def test_a_second_run_has_nothing_to_do(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet("agent1"))
    gateway.changes.clear()
    second = fleet("agent1", applied=written[PATH])
    assert reconcile(second) == []
    assert gateway.changes == []
    assert set(second.token_keys) == {"llm-gateway-verification", "agent1"}, "OpenClaw hosts need them all the same"


def test_a_change_by_hand_is_undone(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    gateway.channels[1] |= {"models": "MiniMax-M2.5,other", "priority": 7, "status": 2}
    reconcile(fleet(applied=written[PATH]))
    assert written.told[-1] == ("~ channel minimax: models -other, priority 7 → 0, status disabled → enabled")
    assert gateway.channels[1]["models"] == "MiniMax-M2.5"
    assert gateway.channels[1]["status"] == 1


def test_a_channel_of_a_person_is_left_alone(gateway: FakeOneAPI) -> None:
    reconcile(fleet())
    gateway.channels.append({**gateway.channels[0], "id": 3, "name": "mine", "models": "x"})
    before = dict(gateway.channels[2])
    reconcile(fleet())
    assert gateway.channels[2] == before


def test_a_new_key_is_applied_and_only_to_its_channel(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    path = f"{DIRECTORY}/applied-keys.json"
    before = json.loads(written[path])["channels"]
    gateway.changes.clear()
    secrets = {"DASHSCOPE_API_KEY": "another-key", "MINIMAX_API_KEY": "minimax-key-for-tests"}
    assert reconcile(fleet(applied=written[path], secrets=secrets)) == [True]
    assert written.told[-1] == "~ channel dashscope: key changed"
    assert [change[2]["key"] for change in gateway.changes] == ["another-key"]
    after = json.loads(written[path])["channels"]
    assert after["dashscope"] != before["dashscope"]
    assert after["minimax"] == before["minimax"]


def test_fingerprints_tell_nothing_of_a_key(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    text = written[PATH]
    assert "key-for-tests" not in text
    other = fleet()
    other.generated = dataclasses.replace(GENERATED, session_secret="another")
    spec = next(channel for channel in gateway.channels)
    assert spec["name"] in json.loads(text)["channels"]
    reconcile(other)
    assert json.loads(written[PATH])["channels"]["dashscope"] != json.loads(text)["channels"]["dashscope"]


def test_a_key_that_was_refused_is_tried_again(gateway: FakeOneAPI, written: Written) -> None:
    gateway.refusal = "database is locked"
    assert not any(reconcile(fleet()))
    kept = json.loads(written[PATH])["channels"]
    assert kept == {"dashscope": "", "minimax": ""}, "what was not applied is not remembered as applied"
    assert "+ channel dashscope: " in written.told[0]
    assert "another program keeps the database" in written.told[0]


def test_a_disabled_token_stays_disabled(gateway: FakeOneAPI) -> None:
    reconcile(fleet("agent1"))
    gateway.tokens[1]["status"] = 2
    made = fleet("agent1")
    reconcile(made)
    assert gateway.tokens[1]["status"] == 2
    assert len(gateway.tokens) == 2
    assert made.token_keys["agent1"] == gateway.tokens[1]["key"]


def test_two_channels_of_one_name_are_told(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    gateway.channels.append({**gateway.channels[0], "id": 3})
    assert reconcile(fleet()) == [False]
    assert "2 entries are named 'dashscope' (ids 1, 3): keep one of them" in written.told[-1]


def test_a_wrong_access_token_is_told_with_its_place(gateway: FakeOneAPI, written: Written) -> None:
    gateway.access_token = "x" * 32
    assert reconcile(fleet()) == [False]
    assert written.told[-1].startswith(f"the gateway refuses the access token in {DIRECTORY}/secrets.env: ")
    assert (
        "`pyinfra inventory.py deploys/reset_admin.py` makes the token and root's password right again"
        in written.told[-1]
    )
    assert GENERATED.access_token not in written.told[-1]


def test_no_way_to_the_gateway_is_told(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    def no_route(*where: object) -> None:
        raise route.RouteError("nothing listens on 100.64.0.10:3000")

    monkeypatch.setattr(admin, "route", no_route)
    assert reconcile(fleet()) == [False]
    assert "nothing listens on 100.64.0.10:3000" in written.told[-1]


def test_what_was_read_of_the_host_is_not_asked_again(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless this run has started the gateway anew: then the record is of the past."""
    reconcile(fleet())
    recorded = {}
    with httpx.Client(transport=gateway.transport, headers={"Authorization": gateway.access_token}) as client:
        for path, name in admin.READS.items():
            recorded[name] = f"HTTP/1.0 200 OK\r\n\r\n{client.get(f'http://gw{path}').text}"
    asked = []

    def counted(*where: object) -> object:
        asked.append(where)
        return gateway.route()

    monkeypatch.setattr(admin, "route", counted)
    for is_republished in (False, True):
        made = fleet(applied=written[PATH])
        made.state = HostState.parse(answer({**DONE, **recorded}))
        made.is_republished = is_republished
        assert reconcile(made) == []
        assert bool(asked) == is_republished


def test_before_the_first_start_a_change_is_to_come() -> None:
    made = member()
    made.host.state.is_executing = False  # type: ignore[misc]
    assert len(list(commands(made))) == 1


def test_an_openclaw_host_has_nothing_to_declare() -> None:
    assert list(commands(member(roles="openclaw"))) == []


def test_an_imported_gateway_that_is_as_declared_is_taken_over_without_a_change(
    gateway: FakeOneAPI, written: Written
) -> None:
    reconcile(fleet())
    gateway.changes.clear()
    assert reconcile(fleet(applied="{}")) == [True], "what is ours now is remembered"
    assert gateway.changes == []
    assert reconcile(fleet(applied=written[PATH])) == []


def test_keys_are_sent_again_when_that_is_asked_for(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    gateway.channels[0]["key"] = "a key that somebody put in by hand"
    reconcile(fleet(applied=written[PATH], gateway_force_keys=True))
    assert written.told[-2:] == ["~ channel dashscope: key sent again", "~ channel minimax: key sent again"]
    assert gateway.channels[0]["key"] == "dashscope-key-for-tests"


def test_a_write_that_was_interrupted_is_done_again(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet())
    kept = Record.parse(written[PATH]).begun(["minimax"])
    gateway.changes.clear()
    reconcile(fleet(applied=kept.content().decode()))
    assert [change[2]["name"] for change in gateway.changes] == ["minimax"]


def test_what_was_done_before_a_failure_is_remembered_and_the_next_run_does_the_rest(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = provisioning.carry_out

    def second_fails(change: Any, admin: Any) -> Any:
        if change.name == "minimax":
            raise Refused("POST /api/channel/", "database is locked")
        return done(change, admin)

    monkeypatch.setattr(provisioning, "carry_out", second_fails)
    assert reconcile(fleet("agent1")) == [False]
    monkeypatch.setattr(provisioning, "carry_out", done)
    gateway.changes.clear()
    assert reconcile(fleet("agent1", applied=written[PATH])) == [True]
    assert [change[2].get("name") for change in gateway.changes] == ["minimax", "llm-gateway-verification", "agent1"]


def test_what_is_not_declared_any_more_goes_only_when_asked_and_only_if_it_is_ours(
    gateway: FakeOneAPI, written: Written
) -> None:
    reconcile(fleet("agent1", "agent2"))
    gateway.channels.append({**gateway.channels[0], "id": 9, "name": "mine", "models": "x"})
    minimax = {"name": "minimax", "base_url": "https://api.minimaxi.com", "key": "MINIMAX_API_KEY"}
    left = [{**minimax, "models": ["MiniMax-M2.5"]}]

    def run(**chosen: Any) -> list[bool]:
        return reconcile(fleet("agent1", applied=written[PATH], gateway_channels=left, **chosen))

    assert run() == []
    assert run(gateway_prune=True) == [True]
    assert written.told[-2:] == ["- token agent2", "- channel dashscope"]
    assert [channel["name"] for channel in gateway.channels] == ["minimax", "mine"]
    assert [token["name"] for token in gateway.tokens] == ["llm-gateway-verification", "agent1"]
    assert run(gateway_prune=True) == []
    assert run(gateway_prune=["channel:mine"]) == [True]
    assert [channel["name"] for channel in gateway.channels] == ["minimax"]


def test_a_token_that_was_deleted_by_hand_is_made_again(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(fleet("agent1"))
    gateway.tokens.pop()
    made = fleet("agent1", applied=written[PATH])
    assert reconcile(made) == [True]
    assert written.told[-1] == "+ token agent1"
    assert made.token_keys["agent1"] == gateway.tokens[-1]["key"]


def test_a_plan_says_what_is_to_come(gateway: FakeOneAPI, written: Written) -> None:
    made = fleet("agent1")
    made.host.state.is_executing = False  # type: ignore[misc]
    with httpx.Client(transport=gateway.transport, headers={"Authorization": gateway.access_token}) as client:
        options = f"HTTP/1.0 200 OK\r\n\r\n{client.get('http://gw/api/option/').text}"
    made.state = HostState.parse(answer({**DONE, "api_options": options}))
    assert len(list(commands(made))) == 1
    assert written.told[:2] == ["to come: + channel dashscope", "to come: + channel minimax"]
    assert gateway.changes == []


@pytest.mark.parametrize("host", ["agent1.example.ts.net", "a" * 30, "模型" * 5])
def test_the_name_of_a_token_is_the_hosts(host: str) -> None:
    assert desired.token_name(host) == host


@pytest.mark.parametrize(
    ("host", "begin"), [("a" * 31, "a" * 21), ("模型" * 6, "模型模型模型模"), ("aa" + "模" * 10, "aa模模模模模模")]
)
def test_a_longer_name_is_cut_between_characters_to_30_bytes(host: str, begin: str) -> None:
    name = desired.token_name(host)
    assert name == f"{begin}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"
    assert TokenSpec(name=name).name == name, "One API takes it"


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = [f"agent-in-a-far-away-region-{number}.example.ts.net" for number in range(100)]
    assert len({desired.token_name(name) for name in names}) == 100
