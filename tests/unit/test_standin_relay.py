"""The lab's stand-in for One API: what the relay passes on, and to which channel."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from standin_kit import ACCESS_TOKEN, RELAY_KEY, Gateway, Upstream, error_of, new_key, wait_for

from lab.standin.config import load_config
from lab.standin.upstream import Upstream as Proxied
from llm_gateway.flavours.oneapi import AdminClient

pytest_plugins = ["standin_fixtures"]

JSON = "application/json"


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
    with AdminClient(gateway.url, access_token=ACCESS_TOKEN) as admin:
        newest = admin.last_logged("Initial Root Token")
        (row,) = admin.log("Initial Root Token", newest - 1)
    assert (row.id, row.model_name, row.token_name) == (newest, "to", "Initial Root Token")


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
        while not asked.endswith(b"\r\n0\r\n\r\n"):
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
