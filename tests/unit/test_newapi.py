"""The client of new-api, and plans carried out by it, on the lab's stand-in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from plan_kit import apply, look, planned
from standin_newapi_kit import PASSWORD, NewGateway

from llm_gateway.flavours import (
    AdminError,
    ChannelSpec,
    Declared,
    Invalid,
    RateLimited,
    Refused,
    TokenSpec,
    Unauthorised,
    UnknownVersion,
    carry_out,
    known,
    only,
    paths,
)
from llm_gateway.flavours.known import NEW_API, ONE_API
from llm_gateway.flavours.newapi import wire
from llm_gateway.flavours.newapi.admin import NewAPIClient
from llm_gateway.model import layout
from llm_gateway.parts import installation, recovery
from tests.unit.topology import make_node

pytest_plugins = ["standin_newapi_fixtures"]

FRESH = "another-long-one"


@pytest.fixture
def empty_new_gateway(start_new: Callable[..., NewGateway]) -> NewGateway:
    return start_new()


@pytest.fixture
def new_gateway(empty_new_gateway: NewGateway) -> NewGateway:
    return empty_new_gateway.set_up(SelfUseModeEnabled=True)


@pytest.fixture
def admin(new_gateway: NewGateway) -> Iterator[NewAPIClient]:
    with NewAPIClient(new_gateway.url, access_token=new_gateway.access_token) as client:
        yield client


def declared(*channels: ChannelSpec, tokens: tuple[TokenSpec, ...] = (), **options: Any) -> Declared:
    return Declared(tuple(map(NEW_API.held, channels)), tokens, options)


def channel(name: str, type_: int = 1, **more: Any) -> ChannelSpec:
    fields = {"base_url": "http://127.0.0.1:9", "key": "sk-up", "models": (f"{name}-1",), **more}
    return ChannelSpec(name=name, type=type_, **fields)


def test_an_empty_one_is_set_up_once(empty_new_gateway: NewGateway) -> None:
    with NewAPIClient(empty_new_gateway.url) as visitor:
        assert visitor.status().is_new_api
        assert not visitor.log_in("root", "123456")
        assert visitor.set_up(PASSWORD)
        assert not visitor.set_up(FRESH), "somebody has set it up"
        assert not visitor.log_in("root", FRESH)
        assert visitor.log_in("root", PASSWORD)
        token = visitor.new_access_token()
    with NewAPIClient(empty_new_gateway.url, access_token=token) as root:
        assert (root.own_user().username, root.own_user().role) == ("root", 100)
        root.fill_wallet()
        root.set_own_password(FRESH)
        assert root.own_user().id == 1, "the access token outlives the password"
    with NewAPIClient(empty_new_gateway.url) as visitor:
        assert visitor.log_in("root", FRESH)
    with closing(sqlite3.connect(empty_new_gateway.directory / "one-api.db")) as database:
        rows = database.execute("SELECT quota, \"group\" FROM users WHERE username = 'root'").fetchall()
    assert rows == [(wire.WALLET, "default")]


def test_from_nothing_to_all_of_it_and_again(admin: NewAPIClient) -> None:
    wanted = declared(
        channel("plain", priority=3, weight=2, groups=("vip", "default"), model_mapping={"plain-1": "模型"}),
        channel("azure", 3, config={"api_version": "2024-10-21"}, system_prompt="Be brief."),
        channel("whole", pass_through=True, model_mapping={"whole-1": "whole-1"}),
        channel("groq", 29, base_url=""),
        channel("minimax", 27),
        channel("aws", 33, base_url="", config={"ak": "A", "sk": "S", "region": "eu"}),
        channel("own-path", 50, base_url="https://own.example/v1"),
        channel("off", status=2),
        tokens=(
            TokenSpec("limited", models=("plain-1",), subnets=("10.0.0.0/8", "100.64.0.0/10")),
            TokenSpec("quota", quota=1000),
            TokenSpec("off", status=2),
        ),
        RegisterEnabled=False,
        SelfUseModeEnabled=False,
        ModelRatio={"plain-1": 1.5},
    )
    assert len(apply(admin, wanted)) == 14
    assert planned(wanted, look(admin), now=0) == []
    token = only(admin.tokens(), "limited")
    assert token is not None
    assert (len(token.key), "*" in token.key) == (48, False)
    assert {each.name: each.type for each in admin.channels()}["minimax"] == 27, "One API's number"


def test_changes_keep_what_is_not_ours(admin: NewAPIClient, new_gateway: NewGateway) -> None:
    apply(admin, declared(channel("kept", system_prompt="Old."), tokens=(TokenSpec("kept", quota=1000),)))
    with closing(sqlite3.connect(new_gateway.directory / "one-api.db", isolation_level=None)) as database:
        database.execute("""UPDATE channels SET setting = '{"proxy":"socks5://p","system_prompt":"Old."}'""")
    key = admin.tokens()[0].key
    apply(admin, declared(channel("kept", pass_through=True), tokens=(TokenSpec("kept", quota=500, status=2),)))
    with closing(sqlite3.connect(new_gateway.directory / "one-api.db")) as database:
        ((setting,),) = database.execute("SELECT setting FROM channels").fetchall()
    assert setting == '{"proxy":"socks5://p","pass_through_body_enabled":true}'
    assert (admin.tokens()[0].key, admin.tokens()[0].status) == (key, 2)


def test_more_than_a_page_is_read(admin: NewAPIClient) -> None:
    count = wire.PAGE + 3
    for number in range(count):
        carry_out(planned(declared(tokens=(TokenSpec(f"t{number}"),)), look(admin), now=0)[0], admin)
    tokens = admin.tokens()
    assert len({token.key for token in tokens}) == len(tokens) == count


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (channel("x", 38), "new-api has no channels of type deepl"),
        (channel("x", 43), "new-api has no channels of type proxy"),
        (channel("x", config={"user_id": "7"}), "new-api has no place for user_id of its config"),
        (channel("x", 33, config={"ak": "A"}), "config needs sk, region for new-api"),
        (channel("x", 51, base_url=""), "new-api appends /v1"),
        (channel("x", 50, base_url="https://own.example"), "new-api appends /v1"),
        (channel("x", pass_through=True, system_prompt="Be brief."), "with pass_through, model_mapping and system_pro"),
        (channel("x", pass_through=True, model_mapping={"a": "b"}), "with pass_through, model_mapping and system_prom"),
    ],
)
def test_what_it_has_not_is_refused_where_it_is_declared(spec: ChannelSpec, words: str) -> None:
    with pytest.raises(Invalid, match=f"channel 'x': {words}"):
        NEW_API.held(spec)


@pytest.mark.parametrize(
    ("spec", "used", "words"),
    [
        (TokenSpec("x", quota=wire.MOST_QUOTA + 1), 0, "takes a quota of 500000000000000 at most"),
        (TokenSpec("x", quota=10), 11, "11 of its quota are used"),
    ],
)
def test_quotas_that_it_refuses_are_told(spec: TokenSpec, used: int, words: str) -> None:
    with pytest.raises(Invalid, match=f"token 'x': .*{words}"):
        wire.token_fields(spec, used)


def test_a_config_that_it_keeps_is_told(admin: NewAPIClient) -> None:
    apply(admin, declared(channel("azure", 3, config={"api_version": "2024-10-21"})))
    with pytest.raises(Invalid, match=r"channel 'azure': new-api keeps its config \(2024-10-21\)"):
        apply(admin, declared(channel("azure", 3)))


def test_limits_without_a_model_are_another_thing_than_none() -> None:
    row = {"model_limits_enabled": True, "model_limits": ""}
    assert wire._limits(row) == ("",)
    assert wire._limits({**row, "model_limits_enabled": False}) == ()


@pytest.mark.parametrize("token", ["wrong", "x" * 32])
def test_a_wrong_access_token_is_none(new_gateway: NewGateway, token: str) -> None:
    with NewAPIClient(new_gateway.url, access_token=token) as nobody, pytest.raises(Unauthorised):
        nobody.own_user()


def _answering(keys: object) -> Callable[[httpx.Request], httpx.Response]:
    row = {"id": 1, "name": "t", "status": 1, "expired_time": -1, "remain_quota": 0, "unlimited_quota": True}
    row |= {"model_limits_enabled": False, "key": "abcd**********wxyz"}

    def answer(request: httpx.Request) -> httpx.Response:
        data = keys if request.method == "POST" else {"items": [row], "total": 1}
        return httpx.Response(200, json={"success": True, "message": "", "data": data})

    return answer


@pytest.mark.parametrize("keys", [{"keys": {"1": "abcd**********wxyz"}}, {"keys": {"1": ""}}, {"keys": {}}, {}, None])
def test_a_masked_key_is_never_taken_for_a_key(keys: object) -> None:
    client = NewAPIClient("http://gw", access_token="t", transport=httpx.MockTransport(_answering(keys)))
    with pytest.raises(AdminError, match="POST /api/token/batch/keys"):
        client.tokens()


def test_a_token_that_is_gone_is_told(admin: NewAPIClient) -> None:
    apply(admin, declared(tokens=(TokenSpec("t"),)))
    token = admin.tokens()[0]
    admin.delete_token(token.id)
    assert admin.tokens() == []
    with pytest.raises(Refused, match="record not found"):
        admin.set_token_status(token, 2)


@pytest.mark.parametrize(
    ("image", "flavour"),
    [
        ("calciumion/new-api:v1.0.0-rc.15", NEW_API),
        ("registry.example:5000/mirror/new-api", NEW_API),
        ("openclaw-lab/new-api-stand-in:abc", NEW_API),
        ("calciumion/new-api@sha256:0", NEW_API),
        ("justsong/one-api:v0.6.10", ONE_API),
        ("mine/renew-apis:1", ONE_API),
        ("new-api.example/one-api:1", ONE_API),
        (None, ONE_API),
    ],
)
def test_it_is_found_by_its_image(image: str | None, flavour: object) -> None:
    assert known.of_image(image) is flavour


def test_versions_that_were_not_tried_are_refused() -> None:
    assert NEW_API.version_of_image("calciumion/new-api:v1.0.0-rc.15@sha256:0").name == "new-api v1.0.0-rc.15"
    with pytest.raises(UnknownVersion, match=r"'v9\.9\.9' of new-api was not tried.*: v1\.0\.0-rc\.15 was"):
        NEW_API.version_of_image("calciumion/new-api:v9.9.9")


def test_what_answers_is_held_to_its_name(admin: NewAPIClient) -> None:
    status = admin.status()
    assert NEW_API.problem_of(status) is None
    assert "and gateway_image names One API: give the image a name" in str(ONE_API.problem_of(status))


def test_a_variable_of_its_container_stands_in_its_file_once() -> None:
    """Compose refuses a file that has a name twice; One API's gateways may have set it."""
    chosen = {"gateway_image": "calciumion/new-api:v1.0.0-rc.15", "gateway_environment": {"CRITICAL_RATE_LIMIT": "40"}}
    node = make_node(**chosen)
    (file,) = (each for each in installation.wanted_files(node) if each.path.endswith(layout.COMPOSE_FILE))
    lines = [line.strip() for line in file.content.decode().splitlines()]
    assert [line for line in lines if line.startswith("CRITICAL_RATE_LIMIT")] == ['CRITICAL_RATE_LIMIT: "40"']
    assert NEW_API.environment.keys() <= {line.partition(":")[0] for line in lines}


def test_how_long_to_wait_where_the_keys_of_tokens_are_counted_as_log_ins(
    start_new: Callable[..., NewGateway],
) -> None:
    limits = {"CRITICAL_RATE_LIMIT_ENABLE": "true", "CRITICAL_RATE_LIMIT": "3"}
    gateway = start_new(**limits).set_up(SelfUseModeEnabled=True)
    with NewAPIClient(gateway.url, access_token=gateway.access_token) as client:
        client.call("POST", paths.TOKENS, wire.token_fields(TokenSpec("a")))
        with pytest.raises(RateLimited) as limited:
            for _ in range(4):
                client.tokens()
    assert recovery.told(limited.value, "/d").endswith("run again in 20 minutes; what was done until here is kept")
