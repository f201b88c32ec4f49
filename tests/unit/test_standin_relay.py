"""The lab's stand-in for One API: the relay, its errors and its accounts."""

from __future__ import annotations

import concurrent.futures
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from standin_kit import RELAY_KEY, Gateway, Upstream, wait_for

from lab.standin.config import load_config
from lab.standin.upstream import Upstream as Proxied

pytest_plugins = ["standin_fixtures"]

JSON = "application/json"


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error object, whose text has to end in the answer's request id."""
    error = answer.json()["error"]
    suffix = f" (request id: {answer.headers['x-oneapi-request-id']})"
    assert error["message"].endswith(suffix)
    return {**error, "message": error["message"].removesuffix(suffix)}


def new_token(gateway: Gateway, **fields: Any) -> dict[str, Any]:
    return dict(gateway.ok("POST", "/api/token/", {"name": "t", "unlimited_quota": True, **fields}))


def new_key(gateway: Gateway, **fields: Any) -> str:
    return str(new_token(gateway, **fields)["key"])


@pytest.fixture(scope="module", autouse=True)
def channel(gateway: Gateway, upstream: Upstream) -> int:
    """A channel for the model `m`."""
    return gateway.add_channel("main", "m,n", upstream.url)


# --- passing through


def test_bytes_go_through_unchanged(gateway: Gateway, upstream: Upstream) -> None:
    raw = b'{ "model":"m", "messages":[{"role":"user","content":"hi"}], "unknown": 1.50 }'
    headers = {"Authorization": f"Bearer sk-{RELAY_KEY}", "Content-Type": "application/json; x=y"}
    answer = gateway.client.post("/v1/chat/completions?a=b", content=raw, headers=headers)
    path, sent, body = upstream.requests[-1]
    assert (path, body) == ("/v1/chat/completions?a=b", raw)
    assert sent["Authorization"] == "Bearer sk-main"
    assert sent["Content-Type"] == "application/json; x=y"
    assert answer.headers["x-upstream"] == "seen"
    assert answer.json()["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize("prefix", ["Bearer sk-", "Bearer ", "sk-", ""])
def test_key_forms(gateway: Gateway, prefix: str) -> None:
    answer = gateway.client.get("/v1/models", headers={"Authorization": prefix + RELAY_KEY})
    assert answer.status_code == 200


def test_stream(gateway: Gateway, upstream: Upstream) -> None:
    answer = gateway.chat("m", stream=True)
    assert answer.headers["content-type"] == "text/event-stream"
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert len(chunks) == 3, "a chunk without choices and usage is left out"
    assert upstream.requests[-1][1]["Accept"] == "*/*"


def test_stream_is_passed_on_as_it_comes(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        gateway.add_channel("slow", "slow", url)
        body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"Authorization": f"Bearer {RELAY_KEY}"}
        chunk = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        with concurrent.futures.ThreadPoolExecutor() as pool:
            accepted = pool.submit(listener.accept)
            stream = gateway.client.stream("POST", "/v1/chat/completions", json=body, headers=headers)
            answering = pool.submit(stream.__enter__)
            peer, _ = accepted.result(5)
            peer.sendall(head + chunk)
            lines = answering.result(5).iter_lines()
            assert next(lines).startswith("data: {"), "arrives while the upstream is still open"
            peer.close()
            assert [line for line in lines if line] == ["data: [DONE]"]
            stream.__exit__(None, None, None)


def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    body = {"model": "m", "input": ["x"], "encoding_format": "float", "dimensions": 2}
    answer = gateway.relay("/v1/embeddings", body)
    assert answer.json()["data"][0]["embedding"] == [0.5, 0.5]
    assert json.loads(upstream.requests[-1][2]) == body


def test_mapped_model_is_written_anew(gateway: Gateway, upstream: Upstream) -> None:
    gateway.add_channel("map", "from", upstream.url, model_mapping='{"from":"to"}')
    gateway.chat("from", unknown=1, temperature=0, max_tokens=0, user="u")
    assert json.loads(upstream.requests[-1][2]) == {
        "messages": [{"role": "user", "content": "hi"}],
        "model": "to",
        "temperature": 0,
        "user": "u",
    }
    assert wait_for(lambda: gateway.ok("GET", "/api/log/?model_name=to")), "logged after mapping"


def test_unreadable_mapping_is_ignored(gateway: Gateway, upstream: Upstream) -> None:
    gateway.add_channel("badmap", "badmap", upstream.url, model_mapping="{nonsense")
    assert gateway.chat("badmap").status_code == 200
    assert "failed to unmarshal model mapping" in gateway.log_text()


def test_chunked_request(gateway: Gateway, upstream: Upstream) -> None:
    raw = b'{"model":"m","input":"x"}'
    headers = {"Authorization": f"Bearer {RELAY_KEY}", "Content-Type": JSON}
    pieces = iter([raw[:9], raw[9:]])
    answer = gateway.client.post("/v1/embeddings", content=pieces, headers=headers)
    assert answer.status_code == 200
    assert upstream.requests[-1][2] == raw


def test_client_that_leaves_a_stream_is_charged_for_all_of_it(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gateway.add_channel("left", "left", f"http://127.0.0.1:{listener.getsockname()[1]}")
        body = b'{"model":"left","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        client = socket.create_connection(gateway.server.server_address[:2])
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (RELAY_KEY.encode(), len(body), body)
        )
        peer, _ = listener.accept()
        asked = b""
        while not asked.endswith(body):
            asked += peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        client.close()
        for _ in range(5):
            peer.sendall(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n')
        usage = b'{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10}'
        peer.sendall(b'data: {"choices":[],"usage":%b}\n\n' % usage)
        peer.close()
    (row,) = wait_for(lambda: gateway.ok("GET", "/api/log/?model_name=left"))
    assert row["completion_tokens"] == 9


# --- proxies


def test_relay_proxy_is_asked_for_the_whole_url(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(RELAY_PROXY=upstream.url)
    gateway.add_channel("far", "m", "http://far.invalid")
    assert gateway.chat("m").status_code == 200
    assert upstream.requests[-1][0] == "http://far.invalid/v1/chat/completions"


@pytest.mark.parametrize(
    "url, proxy",
    [
        ("http://far.invalid/v1", "http://p1"),
        ("https://far.invalid/v1", "http://p2"),
        ("https://near.invalid/v1", ""),
        ("http://127.0.0.1:9/v1", ""),
        ("http://localhost/v1", ""),
    ],
)
def test_proxies_of_the_environment(tmp_path: Path, url: str, proxy: str) -> None:
    env = {"HTTP_PROXY": "http://p1", "https_proxy": "http://p2", "NO_PROXY": "near.invalid"}
    assert Proxied(load_config(env, tmp_path)).proxy_for(urlsplit(url)) == proxy


# --- routing


def test_highest_priority_alone_is_used(gateway: Gateway, upstream: Upstream) -> None:
    gateway.add_channel("low", "prio", upstream.url, priority=1)
    gateway.add_channel("high", "prio", upstream.url, priority=9)
    for _ in range(8):
        gateway.chat("prio")
        assert upstream.requests[-1][1]["Authorization"] == "Bearer sk-high"


def test_equal_priorities_are_drawn_at_random(gateway: Gateway, upstream: Upstream) -> None:
    for name in ("left", "right"):
        gateway.add_channel(name, "draw", upstream.url)
    seen = set()
    for _ in range(40):
        gateway.chat("draw")
        seen.add(upstream.requests[-1][1]["Authorization"])
    assert seen == {"Bearer sk-left", "Bearer sk-right"}


def test_retry_times(gateway: Gateway, upstream: Upstream) -> None:
    gateway.add_channel("dead", "retry", "http://127.0.0.1:9", priority=1)
    gateway.add_channel("alive", "retry", upstream.url, priority=0)
    assert gateway.chat("retry").status_code == 500
    gateway.ok("PUT", "/api/option/", {"key": "RetryTimes", "value": "30"})
    try:
        assert gateway.chat("retry").status_code == 200
        upstream.replies["n"] = (400, JSON, b'{"error":{"message":"bad"}}')
        asked = len(upstream.requests)
        assert gateway.chat("n").status_code == 400
        assert len(upstream.requests) == asked + 1, "a 400 is not tried again"
    finally:
        gateway.ok("PUT", "/api/option/", {"key": "RetryTimes", "value": "0"})


def test_channel_suffix(gateway: Gateway, channel: int, upstream: Upstream) -> None:
    assert gateway.chat("unlisted", f"{RELAY_KEY}-{channel}").status_code == 200
    for suffix in ("x", "99999"):
        bad = gateway.chat("m", f"{RELAY_KEY}-{suffix}")
        assert (bad.status_code, error_of(bad)["message"]) == (400, "无效的渠道 Id")
    off = gateway.add_channel("off", "off", upstream.url, status=2)
    disabled = gateway.chat("m", f"{RELAY_KEY}-{off}")
    assert (disabled.status_code, error_of(disabled)["message"]) == (403, "该渠道已被禁用")


def test_channel_suffix_is_for_admins(gateway: Gateway, channel: int) -> None:
    user = gateway.add_user("suffix", quota=10**12)
    key = gateway.ok("GET", "/api/token/", token=user["access_token"])[0]["key"]
    assert gateway.chat("m", key).status_code == 200
    answer = gateway.chat("m", f"{key}-{channel}")
    assert (answer.status_code, error_of(answer)["message"]) == (403, "普通用户不支持指定渠道")


def test_models(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer sk-{new_key(gateway, models='m,gpt-4')}"}
    listed = gateway.client.get("/v1/models", headers=headers).json()
    assert listed["object"] == "list"
    assert {row["id"]: row["owned_by"] for row in listed["data"]} == {"m": "custom", "gpt-4": "openai"}
    fields = {"id", "object", "created", "owned_by", "permission", "root", "parent"}
    assert listed["data"][0].keys() == fields
    headers = {"Authorization": f"Bearer sk-{RELAY_KEY}"}
    whole = gateway.client.get("/v1/models", headers=headers).json()["data"]
    assert {"m", "n"} <= {row["id"] for row in whole}
    unknown = gateway.client.get("/v1/models/no-such", headers=headers)
    assert unknown.status_code == 200
    assert unknown.json()["error"]["code"] == "model_not_found"


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


# --- accounts


def test_unlimited_token_keeps_its_counters(gateway: Gateway) -> None:
    token = new_token(gateway, name="unlimited")
    gateway.chat("m", token["key"])
    wait_for(lambda: gateway.ok("GET", "/api/log/?token_name=unlimited"))
    assert gateway.ok("GET", f"/api/token/{token['id']}") == token


def test_limited_token_pays_ratio_30(gateway: Gateway, channel: int) -> None:
    before = gateway.ok("GET", f"/api/channel/{channel}")["used_quota"]
    token = new_token(gateway, name="limited", unlimited_quota=False, remain_quota=1000)
    gateway.chat("m", token["key"])

    def counters() -> tuple[int, int]:
        row = gateway.ok("GET", f"/api/token/{token['id']}")
        return row["remain_quota"], row["used_quota"]

    wait_for(lambda: counters() == (850, 150))
    wait_for(lambda: gateway.ok("GET", f"/api/channel/{channel}")["used_quota"] >= before + 150)


def test_user_without_quota(gateway: Gateway) -> None:
    user = gateway.add_user("poor")
    key = gateway.ok("GET", "/api/token/", token=user["access_token"])[0]["key"]
    answer = gateway.chat("m", key)
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "user quota is not enough",
        "type": "one_api_error",
        "param": "",
        "code": "insufficient_user_quota",
    }


def test_quota_taken_beforehand(gateway: Gateway, upstream: Upstream) -> None:
    user = gateway.add_user("modest", quota=100_000)
    access = user["access_token"]
    small = {"name": "small", "remain_quota": 10}
    key = gateway.ok("POST", "/api/token/", small, access)["key"]
    answer = gateway.chat("m", key)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "pre_consume_token_quota_failed")
    key = gateway.ok("GET", "/api/token/search?keyword=default", token=access)[0]["key"]
    upstream.replies["fails"] = (400, JSON, b'{"error":{"message":"x"}}')
    gateway.add_channel("fails", "fails", upstream.url)
    gateway.chat("fails", key)

    def quota() -> int:
        return int(gateway.ok("GET", "/api/user/self", token=access)["quota"])

    wait_for(lambda: quota() == 100_000)
    gateway.chat("m", key)
    wait_for(lambda: quota() == 100_000 - 150)
    gateway.add_channel("dead", "dead", "http://127.0.0.1:9")
    gateway.chat("dead", key)
    assert quota() < 90_000, "not given back when the upstream cannot be reached"


# --- under load


def test_200_connections_at_once(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start()
    gateway.add_channel("many", "m", upstream.url)
    with httpx.Client(base_url=gateway.url, limits=httpx.Limits(max_connections=200), timeout=30) as client:
        headers = {"Authorization": f"Bearer {RELAY_KEY}"}
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

        def ask(_: int) -> int:
            return client.post("/v1/chat/completions", json=body, headers=headers).status_code

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            assert set(pool.map(ask, range(200))) == {200}
    wait_for(lambda: gateway.ok("GET", "/api/log/?type=2&p=19")[9:], seconds=20)
