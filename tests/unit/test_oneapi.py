"""The admin client: what it sends, what it returns (no network)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from llm_gateway.flavours import Ambiguous, ChannelSpec, Invalid, Status, Token, TokenSpec, User, only
from llm_gateway.flavours.oneapi import AdminClient, wire

ACCESS = "0123456789abcdef0123456789abcdef"
KEY = "sk-dashscope-4f2b9c7d1e8a"
SPEC = ChannelSpec(
    name="dashscope",
    type=1,
    base_url="https://dashscope.aliyuncs.com/compatible-mode",
    key=KEY,
    models=("qwen3.5-plus", "text-embedding-v4"),
)
CHANNEL_ROW = {
    "id": 7,
    "type": 1,
    "key": "",
    "status": 1,
    "name": "dashscope",
    "weight": 0,
    "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
    "models": "qwen3.5-plus,text-embedding-v4",
    "group": "default",
    "model_mapping": "",
    "priority": 0,
    "config": "",
    "system_prompt": None,
    "created_time": 1732000000,
}
LOG_ROW = {
    "id": 8,
    "user_id": 1,
    "created_at": 1732000000,
    "type": 2,
    "content": "倍率：15.00 × 1.00",
    "username": "root",
    "token_name": "agent1",
    "model_name": "qwen3.5-plus",
    "quota": 24,
    "prompt_tokens": 7359,
    "completion_tokens": 3,
    "channel": 7,
    "elapsed_time": 1200,
    "is_stream": True,
    "system_prompt_reset": False,
}
TOKEN_ROW = {
    "id": 3,
    "key": "k" * 48,
    "status": 1,
    "name": "agent1",
    "expired_time": -1,
    "remain_quota": 0,
    "used_quota": 0,
    "unlimited_quota": True,
    "models": None,
    "subnet": "",
}

Handler = Callable[[httpx.Request], httpx.Response]


def ok(data: object = None, **more: object) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "message": "", "data": data, **more})


def admin_for(
    reply: httpx.Response | Handler, *, access_token: str | None = ACCESS
) -> tuple[AdminClient, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return reply(request) if callable(reply) else reply

    admin = AdminClient("http://gw:3000/", access_token=access_token, transport=httpx.MockTransport(handler))
    return admin, seen


def sent(seen: list[httpx.Request]) -> tuple[str, str, Any]:
    (request,) = seen
    body = json.loads(request.content) if request.content else None
    return request.method, request.url.raw_path.decode(), body


def test_status() -> None:
    data = {"version": "v0.6.10", "system_name": "One API", "start_time": 1732000000, "logo": ""}
    admin, seen = admin_for(ok(data))
    assert admin.status() == Status("v0.6.10", 1732000000)
    assert sent(seen) == ("GET", "/api/status", None)


def test_the_access_token_goes_into_the_header() -> None:
    admin, seen = admin_for(ok({"id": 1, "username": "root", "role": 100}))
    assert admin.own_user() == User(1, "root", 100)
    assert seen[0].headers["authorization"] == ACCESS
    assert ACCESS not in repr(admin)


def test_a_login_begins_a_session() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/user/login":
            reply = ok({"id": 1, "username": "root", "role": 100})
            reply.headers["set-cookie"] = "session=abc; Path=/; Max-Age=2592000"
            return reply
        assert request.headers["cookie"] == "session=abc"
        return ok({"id": 1, "username": "root", "role": 100})

    admin, seen = admin_for(handler, access_token=None)
    assert admin.log_in("root", "123456") is True
    assert sent(seen)[2] == {"username": "root", "password": "123456"}
    assert admin.own_user().username == "root"


def test_a_wrong_password_is_an_answer_and_no_error() -> None:
    body = {"success": False, "message": "用户名或密码错误，或用户已被封禁"}
    admin, _ = admin_for(httpx.Response(200, json=body), access_token=None)
    assert admin.log_in("root", "wrong") is False


@pytest.mark.parametrize("length", [0, 7, 21, 32])
def test_a_password_of_a_length_that_is_refused_is_not_sent(length: int) -> None:
    admin, seen = admin_for(ok())
    with pytest.raises(Invalid, match="8 to 20"):
        admin.set_own_password("é" * length)
    assert seen == []


@pytest.mark.parametrize("length", [8, 20])
def test_the_own_password_is_set(length: int) -> None:
    admin, seen = admin_for(ok())
    admin.set_own_password("é" * length)
    assert sent(seen) == ("PUT", "/api/user/self", {"password": "é" * length})


def test_a_new_access_token() -> None:
    admin, seen = admin_for(ok("f" * 32))
    assert admin.new_access_token() == "f" * 32
    assert sent(seen)[:2] == ("GET", "/api/user/token")


def test_all_channels_come_with_one_request() -> None:
    broken = {**CHANNEL_ROW, "id": 8, "model_mapping": "{broken", "base_url": None, "weight": None}
    mapped = {**CHANNEL_ROW, "id": 9, "model_mapping": '{"a":"b"}', "group": "default,vip"}
    admin, seen = admin_for(ok([CHANNEL_ROW, broken, mapped]))
    first, second, third = admin.channels()
    assert sent(seen)[:2] == ("GET", "/api/channel/search?keyword=")
    assert first.models == ("qwen3.5-plus", "text-embedding-v4")
    assert (second.model_mapping, second.base_url, second.weight) == (None, "", 0)
    assert (third.model_mapping, third.groups) == ({"a": "b"}, ("default", "vip"))


def test_a_null_list_is_an_empty_list() -> None:
    admin, _ = admin_for(ok(None))
    assert admin.channels() == []
    assert admin.tokens() == []


def test_a_channel_is_created() -> None:
    admin, seen = admin_for(httpx.Response(200, json={"success": True, "message": ""}))
    admin.create_channel(SPEC)
    method, path, body = sent(seen)
    assert (method, path) == ("POST", "/api/channel/")
    assert body == {
        "name": "dashscope",
        "type": 1,
        "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
        "key": KEY,
        "models": "qwen3.5-plus,text-embedding-v4",
        "model_mapping": "",
        "group": "default",
        "priority": 0,
        "weight": 0,
        "status": 1,
        "config": "{}",
        "other": "",
        "system_prompt": "",
    }


def test_a_new_channel_needs_a_key_and_an_old_one_keeps_its_own() -> None:
    keyless = ChannelSpec(name="x", type=1, base_url="", key="", models=("m",))
    admin, seen = admin_for(ok({**CHANNEL_ROW, "key": KEY}))
    with pytest.raises(Invalid, match="needs a key"):
        admin.create_channel(keyless)
    assert seen == []
    admin.update_channel(7, keyless)
    method, path, body = sent(seen)
    assert (method, path) == ("PUT", "/api/channel/")
    assert body["id"] == 7
    assert "key" not in body
    assert (body["base_url"], body["model_mapping"]) == ("", "")  # empty, not absent: cleared


def test_tokens_have_their_key_but_do_not_show_it() -> None:
    admin, seen = admin_for(ok([TOKEN_ROW]))
    (token,) = admin.tokens()
    assert sent(seen)[:2] == ("GET", "/api/token/search?keyword=")
    assert token.api_key == "sk-" + "k" * 48
    assert "kkk" not in repr(token)
    assert (token.models, token.subnets, token.unlimited_quota) == ((), (), True)


def test_the_log_of_a_token_is_read_back_to_a_row() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["p"])
        return ok([{**LOG_ROW, "id": number} for number in range(30 - 10 * page, 20 - 10 * page, -1)])

    admin, seen = admin_for(answer)
    assert admin.last_logged("agent 1&p=9") == 30
    assert [row.id for row in admin.log("agent 1&p=9", 17)] == list(range(30, 17, -1))
    assert [request.url.params["p"] for request in seen] == ["0", "0", "1"]
    assert {request.url.params["token_name"] for request in seen} == {"agent 1&p=9"}
    assert {(request.url.path, request.url.params["type"]) for request in seen} == {("/api/log/", "2")}


def test_a_token_without_requests_has_no_log() -> None:
    admin, _ = admin_for(ok(None))
    assert (admin.last_logged("agent1"), admin.log("agent1", 0)) == (0, [])


def test_a_log_row_has_the_tokens_of_question_and_answer() -> None:
    admin, _ = admin_for(lambda request: ok([LOG_ROW] if request.url.params["p"] == "0" else []))
    (row,) = admin.log("agent1", 0)
    assert (row.model_name, row.channel, row.prompt_tokens, row.completion_tokens) == ("qwen3.5-plus", 7, 7359, 3)


def test_a_token_is_always_sent_whole() -> None:
    admin, seen = admin_for(ok(TOKEN_ROW))
    spec = TokenSpec("agent1", models=("a", "b"), subnets=("100.64.0.0/10",))
    fields = {
        "name": "agent1",
        "expired_time": -1,
        "remain_quota": 0,
        "unlimited_quota": True,
        "models": "a,b",
        "subnet": "100.64.0.0/10",
    }
    assert isinstance(admin.create_token(spec), Token)
    assert sent(seen) == ("POST", "/api/token/", fields)
    seen.clear()
    token = admin.update_token(wire.read_token({**TOKEN_ROW, "used_quota": 30}), spec)
    assert sent(seen) == ("PUT", "/api/token/", {"id": 3, **fields})
    seen.clear()
    admin.update_token(wire.read_token({**TOKEN_ROW, "used_quota": 30}), TokenSpec("agent1", quota=100))
    assert (sent(seen)[2]["remain_quota"], sent(seen)[2]["unlimited_quota"]) == (70, False)
    seen.clear()
    admin.set_token_status(token, 1)
    body = {"id": 3, "name": "agent1", "status": 1}
    assert sent(seen) == ("PUT", "/api/token/?status_only=1", body)


def test_things_are_deleted_by_id() -> None:
    admin, seen = admin_for(ok())
    admin.delete_channel(7)
    admin.delete_token(3)
    assert [(request.method, request.url.path) for request in seen] == [
        ("DELETE", "/api/channel/7"),
        ("DELETE", "/api/token/3"),
    ]


def test_a_channel_is_switched_off_and_left_alone_otherwise() -> None:
    admin, seen = admin_for(ok({**CHANNEL_ROW, "key": KEY}))
    admin.switch_channel_off(7)
    assert sent(seen) == ("PUT", "/api/channel/", {"id": 7, "status": 2})


def test_what_may_be_secret_in_a_channel_is_not_shown() -> None:
    row = {**CHANNEL_ROW, "config": '{"region":"","sk":"s3cret","ak":null}', "system_prompt": "be private"}
    channel = wire.read_channel(row)
    assert (channel.config, channel.system_prompt) == ({"sk": "s3cret"}, "be private")
    spec = ChannelSpec("x", 33, "", KEY, ("m",), config={"sk": "s3cret"}, system_prompt="be private")
    for shown in (repr(channel), repr(spec)):
        assert "s3cret" not in shown
        assert "private" not in shown


def test_use_does_not_change_a_tokens_total() -> None:
    row = {**TOKEN_ROW, "unlimited_quota": False, "remain_quota": -5, "used_quota": 105}
    assert wire.read_token(row).total_quota == 100
    assert wire.read_token(TOKEN_ROW).total_quota is None


def test_options_are_read_and_set() -> None:
    admin, seen = admin_for(ok([{"key": "RegisterEnabled", "value": "true"}]))
    assert admin.options() == {"RegisterEnabled": "true"}
    seen.clear()
    admin.set_option("RegisterEnabled", "false")
    body = {"key": "RegisterEnabled", "value": "false"}
    assert sent(seen) == ("PUT", "/api/option/", body)


def test_a_name_finds_the_one_thing_that_has_it() -> None:
    channel = wire.read_channel(CHANNEL_ROW)
    longer = wire.read_channel({**CHANNEL_ROW, "id": 8, "name": "dashscope-2"})
    assert only([longer, channel], "dashscope") is channel
    assert only([longer], "dashscope") is None
    with pytest.raises(Ambiguous, match="ids 7, 9"):
        only([channel, wire.read_channel({**CHANNEL_ROW, "id": 9})], "dashscope")
