"""A new key for a token: the present one goes on working under another name."""

from __future__ import annotations

import dataclasses

import pytest

from llm_gateway.flavours import Ambiguous, Token, TokenSpec
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.tasks.rotation import token_renewal
from tests.unit.fake_one_api import FakeOneAPI

NOW = 1_795_369_680.0  # 2026-11-22


@pytest.fixture
def one_api() -> FakeOneAPI:
    return FakeOneAPI("access-token-of-tests-0123456789")


@pytest.fixture
def admin(one_api: FakeOneAPI) -> AdminClient:
    return AdminClient("http://gw", access_token=one_api.access_token, transport=one_api.transport)


def token(name: str, number: int = 1, **fields: object) -> Token:
    made = Token(number, name, 1, -1, 0, True, (), (), "k" * 48)
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["agent1", "a" * 17, "a" * 30, "llm-gateway-verification", "模型" * 5, "a.old-1"])
def test_the_old_name_fits_and_is_known_again(name: str) -> None:
    old = token_renewal.old_name(name, NOW)
    assert TokenSpec(name=old).name == old, "One API takes it"
    tokens = [token(name), token(old, 2), token("other", 3)]
    assert [each.id for each in token_renewal.old_ones(tokens, name)] == [2]
    assert token_renewal.old_ones(tokens, "other") == []


@pytest.mark.parametrize(
    "name",
    [
        "agent1.old-20261122",  # a date that a person wrote
        "agent1.old-6a01b2",
        "agent1.old-6a01b2c3d",
        "agent1.old-6A01B2C3",
        "agent11.old-6a01b2c3",
        "agent1.old-",
        "agent1.old",
        "my-agent1.old-6a01b2c3",
        "agent1.old-6a01b2c3 ",
    ],
)
def test_what_a_person_has_named_alike_is_none_of_ours(name: str) -> None:
    assert token_renewal.old_ones([token(name)], "agent1") == []


def test_long_names_that_begin_alike_are_not_mixed_up() -> None:
    names = [f"agent-in-a-region-{number}" for number in range(100)]
    old = [token(token_renewal.old_name(name, NOW), number) for number, name in enumerate(names)]
    for number, name in enumerate(names):
        assert [each.id for each in token_renewal.old_ones(old, name)] == [number]


def test_the_old_key_works_on_and_the_new_one_has_the_name(one_api: FakeOneAPI, admin: AdminClient) -> None:
    before = admin.create_token(TokenSpec(name="agent1", models=("m",), subnets=("100.64.0.0/10",), quota=7))
    told: list[str] = []
    made = token_renewal.renew(admin, admin.tokens(), TokenSpec("agent1"), told.append)
    tokens = {each.id: each for each in admin.tokens()}
    old = tokens[before.id]
    assert (old.key, old.status, old.models, old.subnets, old.total_quota) == (before.key, 1, ("m",), before.subnets, 7)
    assert token_renewal.old_ones(tokens.values(), "agent1") == [old]
    assert tokens[made.id].name == "agent1"
    assert made.key != before.key
    assert told == ["setting the token agent1 aside: its key goes on working", "making a new token agent1"]
    assert not [text for text in told if before.key in text or made.key in text]


def test_a_token_that_is_not_there_is_made(admin: AdminClient) -> None:
    made = token_renewal.renew(admin, [], TokenSpec("agent1", models=("m",)), lambda text: None)
    assert [(each.name, each.models) for each in admin.tokens()] == [(made.name, made.models)] == [("agent1", ("m",))]


def test_of_two_with_one_name_none_is_touched(one_api: FakeOneAPI, admin: AdminClient) -> None:
    with pytest.raises(Ambiguous):
        token_renewal.renew(admin, [token("agent1"), token("agent1", 2)], TokenSpec("agent1"), lambda text: None)
    assert one_api.changes == []


def test_a_disabled_token_shuts_its_host_out() -> None:
    assert token_renewal.shut_out([token("agent1", status=2)], "agent1")
    assert not token_renewal.shut_out([token("agent1", status=1), token("other", 2, status=2)], "agent1")
