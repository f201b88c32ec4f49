"""What a gateway is made to hold, asked of a One API in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import httpx
import provisioning_fixtures
import pytest
from provisioning_kit import DONE, PATH, Written, commands, make_gateway, reconcile

from llm_gateway.contents import admin, desired
from llm_gateway.flavours import TokenSpec
from llm_gateway.flavours.known import ONE_API
from llm_gateway.hosts import remote, route
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import database
from tests.unit.fake_hosts import answer
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.topology import DIRECTORY, GENERATED, make_agent, make_machine

# Not as a plugin: its fixtures would be those of all tests.
gateway, written = provisioning_fixtures.gateway, provisioning_fixtures.written
OWN = ("llm-gateway-verification", "llm-gateway-canary")


def test_a_new_gateway_gets_all_that_is_declared(gateway: FakeOneAPI, written: Written) -> None:
    gateway.options |= {"RegisterEnabled": "true", "RetryTimes": "0", "ApproximateTokenEnabled": "false"}
    made = make_gateway("agent1", "agent2")
    assert reconcile(made) == [True]
    assert [channel["name"] for channel in gateway.channels] == ["dashscope", "minimax"]
    dashscope = gateway.channels[0]
    assert (dashscope["type"], dashscope["models"]) == (1, "qwen3.5-plus,text-embedding-v4")
    assert dashscope["base_url"] == "https://dashscope.aliyuncs.com/compatible-mode"
    assert dashscope["key"] == "dashscope-key-for-tests"
    assert [token["name"] for token in gateway.tokens] == [*OWN, "agent1", "agent2"]
    assert all(token["unlimited_quota"] and token["expired_time"] == -1 for token in gateway.tokens)
    assert gateway.options["RegisterEnabled"] == "false"
    assert made.token_keys == {token["name"]: token["key"] for token in gateway.tokens}
    assert written.told == [
        "~ option RegisterEnabled: true → false",
        "+ channel dashscope",
        "+ channel minimax",
        "+ token llm-gateway-verification",
        "+ token llm-gateway-canary",
        "+ token agent1",
        "+ token agent2",
        "~ option RetryTimes: 0 → 10",
        "~ option ApproximateTokenEnabled: false → true",
    ]
    assert made.changed_channels == {"dashscope", "minimax"}


def briefs(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What stands for each text that is told, where all goes well."""
    kept: list[str | None] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, brief=None: kept.append(brief))
    return kept


def test_a_first_run_is_told_in_brief_and_a_later_change_is_not(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.options |= {"RetryTimes": "0", "ApproximateTokenEnabled": "false"}
    told = briefs(monkeypatch)
    reconcile(make_gateway("agent1"))
    assert told == ["declared: 2 channels, 3 tokens, 2 options", *[""] * 6]
    told.clear()
    reconcile(make_gateway("agent1", "agent2", applied=written[PATH]))
    assert told == [None]


def test_a_first_run_that_changes_what_was_there_says_what(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(make_gateway())
    gateway.channels[1] |= {"models": "MiniMax-M2.5,other"}
    told = briefs(monkeypatch)
    reconcile(make_gateway())
    assert told and not any(brief is not None for brief in told)


def test_a_second_run_has_nothing_to_do(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway("agent1"))
    gateway.changes.clear()
    second = make_gateway("agent1", applied=written[PATH])
    assert reconcile(second) == []
    assert gateway.changes == []
    assert set(second.token_keys) == {*OWN, "agent1"}, "OpenClaw hosts need them all the same"


def test_a_change_by_hand_is_undone(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    gateway.channels[1] |= {"models": "MiniMax-M2.5,other", "priority": 7, "status": 2}
    reconcile(make_gateway(applied=written[PATH]))
    assert written.told[-1] == ("~ channel minimax: models -other, priority 7 → 0, status disabled → enabled")
    assert gateway.channels[1]["models"] == "MiniMax-M2.5"
    assert gateway.channels[1]["status"] == 1


def test_a_channel_of_a_person_is_left_alone(gateway: FakeOneAPI) -> None:
    reconcile(make_gateway())
    gateway.channels.append({**gateway.channels[0], "id": 3, "name": "mine", "models": "x"})
    before = dict(gateway.channels[2])
    reconcile(make_gateway())
    assert gateway.channels[2] == before


def test_a_new_key_is_applied_and_only_to_its_channel(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    path = f"{DIRECTORY}/applied-keys.json"
    before = json.loads(written[path])["channels"]
    gateway.changes.clear()
    secrets = {"DASHSCOPE_API_KEY": "another-key", "MINIMAX_API_KEY": "minimax-key-for-tests"}
    assert reconcile(make_gateway(applied=written[path], secrets=secrets)) == [True]
    assert written.told[-1] == "~ channel dashscope: key changed"
    assert [change[2]["key"] for change in gateway.changes] == ["another-key"]
    after = json.loads(written[path])["channels"]
    assert after["dashscope"] != before["dashscope"]
    assert after["minimax"] == before["minimax"]


def test_fingerprints_tell_nothing_of_a_key(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    text = written[PATH]
    assert "key-for-tests" not in text
    other = make_gateway()
    other.generated = dataclasses.replace(GENERATED, fingerprint_secret="another")
    spec = next(channel for channel in gateway.channels)
    assert spec["name"] in json.loads(text)["channels"]
    reconcile(other)
    assert json.loads(written[PATH])["channels"]["dashscope"] != json.loads(text)["channels"]["dashscope"]


def test_a_key_that_was_refused_is_tried_again(gateway: FakeOneAPI, written: Written) -> None:
    gateway.refusal = "database is locked"
    assert not any(reconcile(make_gateway()))
    kept = json.loads(written[PATH])["channels"]
    assert kept == {"dashscope": "", "minimax": ""}, "what was not applied is not remembered as applied"
    assert "+ channel dashscope: " in written.told[0]
    assert "another program keeps the database" in written.told[0]


def test_a_disabled_token_stays_disabled(gateway: FakeOneAPI) -> None:
    reconcile(make_gateway("agent1"))
    gateway.tokens[2]["status"] = 2
    made = make_gateway("agent1")
    reconcile(made)
    assert gateway.tokens[2]["status"] == 2
    assert len(gateway.tokens) == 3
    assert made.token_keys["agent1"] == gateway.tokens[2]["key"]


def test_two_channels_of_one_name_are_told(gateway: FakeOneAPI, written: Written) -> None:
    reconcile(make_gateway())
    gateway.channels.append({**gateway.channels[0], "id": 3})
    assert reconcile(make_gateway()) == [False]
    assert "2 entries are named 'dashscope' (ids 1, 3): keep one of them" in written.told[-1]


def test_a_wrong_access_token_is_told_with_its_place(gateway: FakeOneAPI, written: Written) -> None:
    gateway.access_token = "x" * 32
    assert reconcile(make_gateway()) == [False]
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
    assert reconcile(make_gateway()) == [False]
    assert "nothing listens on 100.64.0.10:3000" in written.told[-1]


def test_what_was_read_of_the_host_is_not_asked_again(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless this run has started the gateway anew: then the record is of the past."""
    reconcile(make_gateway())
    recorded = {}
    with httpx.Client(transport=gateway.transport, headers={"Authorization": gateway.access_token}) as client:
        for path, name in admin.recorded_as(ONE_API.reads).items():
            recorded[name] = f"HTTP/1.0 200 OK\r\n\r\n{client.get(f'http://gw{path}').text}"
    asked = []

    def counted(*where: object) -> object:
        asked.append(where)
        return gateway.route()

    monkeypatch.setattr(admin, "route", counted)
    for is_restarted, is_outdated in ((False, False), (True, False), (False, True)):
        made = make_gateway(applied=written[PATH])
        made.node.machine.state = HostState.parse(answer({**DONE, **recorded}))
        made.node.is_restarted, made.is_outdated = is_restarted, is_outdated
        asked.clear()
        assert reconcile(made) == []
        assert bool(asked) == (is_restarted or is_outdated)


def test_an_option_that_is_not_stored_fails_the_run_and_is_set_again(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []

    def unstored(made: Node, wanted: dict[str, str]) -> list[str]:
        asked.append(wanted)
        return ["RegisterEnabled"] if len(asked) == 1 else []

    gateway.options["RegisterEnabled"] = "true"
    monkeypatch.setattr(database, "unstored_options", unstored)
    monkeypatch.setattr(database, "trouble", lambda made: None)
    assert reconcile(make_gateway()) == [False]
    assert any("RegisterEnabled: the gateway says that it is set, and its database" in text for text in written.told)
    gateway.changes.clear()
    assert gateway.options["RegisterEnabled"] == "false", "in its memory"
    assert reconcile(make_gateway(applied=written[PATH])) == [True]
    assert gateway.changes == [("PUT", "/api/option/", {"key": "RegisterEnabled", "value": "false"})]
    assert asked == [{"RegisterEnabled": "false"}] * 2
    assert reconcile(make_gateway(applied=written[PATH])) == []


def test_a_database_that_cannot_be_looked_at_afterwards_fails_the_run(
    gateway: FakeOneAPI, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unstored(made: Node, wanted: dict[str, str]) -> list[str]:
        raise database.DatabaseError("another program keeps it locked")

    gateway.options["RegisterEnabled"] = "true"
    monkeypatch.setattr(database, "unstored_options", unstored)
    assert reconcile(make_gateway()) == [False]
    assert any("will outlive a restart is not known: another program keeps it locked" in text for text in written.told)
    assert Record.parse(written[PATH]).unstored == {"RegisterEnabled"}


def test_before_the_first_start_a_change_is_to_come() -> None:
    made = make_machine()
    made.host.state.is_executing = False  # type: ignore[misc]
    assert len(list(commands(made))) == 1


def test_an_openclaw_host_has_nothing_to_declare() -> None:
    assert list(commands(make_agent().machine)) == []


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
