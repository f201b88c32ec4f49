"""The lab's stand-in for One API: what the relay refuses, and what a failing upstream becomes."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from standin_kit import RELAY_KEY, Gateway, Upstream, error_of, new_key, new_token

pytest_plugins = ["standin_fixtures"]

JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def channel(gateway: Gateway, upstream: Upstream) -> int:
    """A channel for the model `m`."""
    return gateway.add_channel("main", "m,n", upstream.url)


# --- refusals


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and text of a refusal, which has neither code nor param."""
    error = error_of(answer)
    assert error == {"message": error["message"], "type": "one_api_error"}
    return answer.status_code, error["message"]


def test_token_refusals(gateway: Gateway) -> None:
    assert refused(gateway.chat("m", "unknown")) == (401, "无效的令牌")
    assert refused(gateway.client.post("/v1/embeddings", json={})) == (401, "未提供令牌")
    expired = new_key(gateway, expired_time=int(time.time()) - 9)
    assert refused(gateway.chat("m", expired)) == (401, "该令牌已过期")
    empty = new_key(gateway, unlimited_quota=False)
    assert refused(gateway.chat("m", empty)) == (401, "该令牌额度已用尽")
    off = new_token(gateway)
    gateway.ok("PUT", "/api/token/?status_only=1", {"id": off["id"], "status": 2})
    assert refused(gateway.chat("m", off["key"])) == (401, "该令牌状态不可用")


def test_used_up_tokens_change_their_status(gateway: Gateway) -> None:
    expired = new_token(gateway, expired_time=1)
    empty = new_token(gateway, unlimited_quota=False)
    for token, status in ((expired, 3), (empty, 4)):
        gateway.chat("m", token["key"])
        assert gateway.ok("GET", f"/api/token/{token['id']}")["status"] == status
        enabling = {"id": token["id"], "status": 1}
        assert not gateway.api("PUT", "/api/token/?status_only=1", enabling)["success"]


def test_token_models_and_subnet(gateway: Gateway) -> None:
    key = new_key(gateway, models="n")
    assert refused(gateway.chat("m", key)) == (403, "该令牌无权使用模型：m")
    key = new_key(gateway, subnet="100.64.0.0/10")
    text = "该令牌只能在指定网段使用：100.64.0.0/10，当前 ip：127.0.0.1"
    assert refused(gateway.chat("m", key)) == (403, text)
    body = {"model": "m", "input": "x"}
    faked = gateway.relay("/v1/embeddings", body, key, **{"X-Forwarded-For": "100.64.0.7"})
    assert faked.status_code == 200


def test_no_channel_for_the_model(gateway: Gateway) -> None:
    expected = "当前分组 default 下对于模型 absent 无可用渠道"
    assert refused(gateway.chat("absent")) == (503, expected)
    empty = gateway.relay("/v1/embeddings", {"input": "x"})
    assert refused(empty) == (503, "当前分组 default 下对于模型  无可用渠道")


def test_body_not_declared_as_json_has_no_model(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {RELAY_KEY}", "Content-Type": "text/plain"}
    answer = gateway.client.post("/v1/chat/completions", content=b'{"model":"m"}', headers=headers)
    assert answer.status_code == 503


def test_unreadable_body_of_a_chat(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {RELAY_KEY}", "Content-Type": JSON}
    answer = gateway.client.post("/v1/chat/completions", content=b"{", headers=headers)
    status, message = refused(answer)
    assert status == 400
    assert message.startswith("common.UnmarshalBodyReusable failed")


def test_abilities_without_a_channel(gateway: Gateway) -> None:
    gateway.app.database.execute("INSERT INTO abilities VALUES ('default', 'ghost', 99999, 1, 0)")
    assert refused(gateway.chat("ghost")) == (503, "数据库一致性已被破坏，请联系管理员")


@pytest.mark.parametrize(
    "body, message",
    [
        ({"model": "m"}, "field messages is required"),
        ({"model": "m", "messages": []}, "field messages is required"),
        ({"model": "m", "messages": [{}], "max_tokens": -1}, "max_tokens is invalid"),
    ],
)
def test_invalid_requests(gateway: Gateway, body: dict[str, Any], message: str) -> None:
    answer = gateway.relay("/v1/chat/completions", body)
    assert answer.status_code == 400
    expected = {"type": "one_api_error", "param": "", "code": "invalid_text_request"}
    assert error_of(answer) == {"message": message, **expected}


def test_not_implemented_needs_a_channel_first(gateway: Gateway) -> None:
    assert gateway.relay("/v1/threads", {"model": "m"}).json()["error"] == {
        "message": "API not implemented",
        "type": "one_api_error",
        "param": "",
        "code": "api_not_implemented",
    }
    assert gateway.relay("/v1/threads", {"model": "m"}).status_code == 501
    assert gateway.relay("/v1/threads", {}).status_code == 503


# --- failures behind a channel


@pytest.mark.parametrize(
    "status, body, expected",
    [
        (
            401,
            b'{"error":{"message":"bad key","type":"auth","param":null,"code":"invalid_api_key"}}',
            {"message": "bad key", "type": "auth", "param": "", "code": "invalid_api_key"},
        ),
        (
            400,
            b'{"error":{"message":"no","code":7}}',
            {"message": "no", "type": "", "param": "", "code": 7},
        ),
        (
            429,
            b'{"error":{"message":"slow down","type":"limit","code":null}}',
            {
                "message": "当前分组上游负载已饱和，请稍后再试",
                "type": "limit",
                "param": "",
                "code": None,
            },
        ),
        (402, b'{"message":"pay"}', "pay"),
        (418, b'{"header":{"message":"h"}}', "h"),
        (500, b'{"response":{"error":{"message":"r"}}}', "r"),
        (500, b"{}", "bad response status code 500"),
        (502, b"<html>", ""),
        (404, b'{"error":"plain"}', ""),
    ],
)
def test_upstream_errors(gateway: Gateway, upstream: Upstream, status: int, body: bytes, expected: Any) -> None:
    upstream.replies["fail"] = (status, JSON, body)
    if not search_has(gateway, "failing"):
        gateway.add_channel("failing", "fail", upstream.url)
    answer = gateway.chat("fail")
    assert answer.status_code == status
    if isinstance(expected, str):
        expected = {
            "message": expected,
            "type": "upstream_error",
            "param": str(status),
            "code": "bad_response_status_code",
        }
    assert error_of(answer) == expected


def search_has(gateway: Gateway, name: str) -> bool:
    return bool(gateway.ok("GET", f"/api/channel/search?keyword={name}"))


def test_upstream_that_cannot_be_reached(gateway: Gateway) -> None:
    gateway.add_channel("gone", "gone", "http://127.0.0.1:9")
    answer = gateway.chat("gone")
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (500, "do_request_failed")
    assert error["type"] == "one_api_error"
    assert error["message"].startswith('do request failed: Post "http://127.0.0.1:9/v1/chat')


def test_error_inside_an_answer_that_says_200(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["m200"] = (200, JSON, b'{"error":{"message":"x","type":"t","code":1}}')
    gateway.add_channel("says200", "m200", upstream.url)
    answer = gateway.chat("m200")
    assert answer.status_code == 200
    assert error_of(answer)["type"] == "t"


def test_native_failure_passes_through(gateway: Gateway, upstream: Upstream) -> None:
    body = b'{"choices":null,"base_resp":{"status_code":1004,"status_msg":"login fail"}}'
    upstream.replies["native"] = (200, JSON, body)
    gateway.add_channel("native", "native", upstream.url)
    answer = gateway.chat("native")
    assert (answer.status_code, answer.content) == (200, body)


def test_json_in_answer_to_a_stream_is_an_error(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["nostream"] = (200, JSON, b'{"message":"no stream"}')
    gateway.add_channel("nostream", "nostream", upstream.url)
    answer = gateway.chat("nostream", stream=True)
    assert error_of(answer)["message"] == "no stream"


def test_other_channel_types(gateway: Gateway, upstream: Upstream) -> None:
    gateway.add_channel("ali", "ali", upstream.url, type=17)
    assert "does not speak channel type 17" in error_of(gateway.chat("ali"))["message"]
    gateway.add_channel("custom", "custom", upstream.url, type=8)
    gateway.add_channel("future", "future", upstream.url, type=50)
    assert gateway.chat("custom").status_code == gateway.chat("future").status_code == 200
    gateway.add_channel("nowhere", "nowhere", "", type=50)
    panic = gateway.chat("nowhere")
    assert (panic.status_code, panic.json()["error"]["type"]) == (500, "one_api_panic")


def test_failing_channel_is_disabled_only_on_demand(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["auto"] = (401, JSON, b'{"error":{"message":"no"}}')
    channel_id = gateway.add_channel("auto", "auto", upstream.url)
    gateway.chat("auto")
    assert gateway.ok("GET", f"/api/channel/{channel_id}")["status"] == 1
    option = {"key": "AutomaticDisableChannelEnabled", "value": "true"}
    gateway.ok("PUT", "/api/option/", option)
    assert gateway.chat("auto").status_code == 401
    gateway.ok("PUT", "/api/option/", {**option, "value": "false"})
    assert gateway.ok("GET", f"/api/channel/{channel_id}")["status"] == 3
    assert gateway.chat("auto").status_code == 503


def test_a_key_that_the_upstream_repeats_is_not_logged(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["echo"] = (401, JSON, b'{"error":{"message":"Bad key: sk-echoed-key"}}')
    gateway.add_channel("echo", "echo", upstream.url, key="sk-echoed-key")
    assert "sk-echoed-key" in error_of(gateway.chat("echo"))["message"]
    assert "Bad key: ***" in gateway.log_text()
    assert "sk-echoed-key" not in gateway.log_text()
