"""What a caller of the client sees, for each shape of answer (no network)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import ANSWER

from llm_client import (
    KeyUsage,
    LLMClient,
    LLMConfigError,
    LLMProtocolError,
    call_specific_model,
    embed,
)
from llm_client.http_library import httpx

KEY = "sk-" + "Q7zX2mN8vB4kL1pR9tY6wE3uI5oA0sD7fG2hJ4kL6zX8cV1b"  # made up; in two, so that no scanner takes it for one
BARE = KEY.removeprefix("sk-")
HELLO = [{"role": "user", "content": "你好"}]


def client_for(
    reply: httpx.Response | Callable[[httpx.Request], httpx.Response],
    base: str = "http://gw:3000",
) -> LLMClient:
    handler = reply if callable(reply) else lambda _request: reply
    return LLMClient(base, KEY, transport=httpx.MockTransport(handler))


def test_the_request_is_what_the_api_wants() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER)

    answer = client_for(handler).chat("qwen", HELLO, temperature=0.7, max_tokens=5)
    assert answer == ANSWER
    (request,) = seen
    assert str(request.url) == "http://gw:3000/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert "你好".encode() in request.content
    assert json.loads(request.content) == {
        "model": "qwen",
        "messages": HELLO,
        "temperature": 0.7,
        "max_tokens": 5,
    }


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("http://gw", "http://gw/v1"),
        (" http://gw:3000/ \n", "http://gw:3000/v1"),
        ("http://gw/v1", "http://gw/v1"),
        ("http://gw/v1/", "http://gw/v1"),
        ("http://gw/v1/v1", "http://gw/v1"),
        ("http://gw/v1/chat/completions", "http://gw/v1"),
        ("http://gw/chat/completions/", "http://gw/v1"),
        ("http://gw/v1/embeddings", "http://gw/v1"),
        ("https://gw/llm/", "https://gw/llm/v1"),
        ("http://[fd7a::1]:3000", "http://[fd7a::1]:3000/v1"),
    ],
)
def test_the_base_url_may_be_written_in_any_way(written: str, used: str) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json=ANSWER)

    client_for(handler, written).chat("m", HELLO)
    assert seen == [f"{used}/chat/completions"]


@pytest.mark.parametrize(
    "base",
    [
        *["", "  ", "gw:3000", "ftp://gw", "http://", "http://gw:x", "http://gw:99999"],
        *["http://g w", "http://gw/?a=1", "http://[::1", f"http://root:{BARE}@gw", KEY],
    ],
)
def test_a_bad_base_url_is_a_configuration_error(base: str) -> None:
    with pytest.raises(LLMConfigError) as caught:
        LLMClient(base, KEY)
    assert caught.value.code == "LLM_CLIENT_CONFIG"
    assert BARE not in str(caught.value)


@pytest.mark.parametrize("key", ["", " \n", "sk-a\nb", "sk-密钥", "sk a"])
def test_a_bad_key_is_a_configuration_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(LLMConfigError) as caught:
        LLMClient("http://gw", key)
    assert not key.strip() or key.strip() not in str(caught.value)


def test_the_environment_names_gateway_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    monkeypatch.delenv("LLM_API_KEY", raising=False)
    with pytest.raises(LLMConfigError, match="LLM_BASE_URL is not set"):
        call_specific_model("m", HELLO)
    monkeypatch.setenv("LLM_BASE_URL", " http://gw:3000/v1 ")
    with pytest.raises(LLMConfigError, match="LLM_API_KEY is not set"):
        call_specific_model("m", HELLO)
    monkeypatch.setenv("LLM_API_KEY", "  ")
    with pytest.raises(LLMConfigError, match="LLM_API_KEY is blank"):
        embed("m", ["x"])
    monkeypatch.setenv("LLM_API_KEY", f" {KEY}\n")
    assert repr(LLMClient()) == "LLMClient('http://gw:3000/v1')"


@pytest.mark.parametrize(
    "arguments",
    [
        {"messages": "hello"},
        {"messages": []},
        {"messages": ["hello"]},
        {"messages": None},
        {"stream": True},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "60"},
        {"timeout": True},
        {"model": ""},
        {"model": None},
        {"temperature": float("nan")},
        {"tools": {1, 2}},
        {"user": "\ud800"},
    ],
)
def test_a_bad_argument_is_a_configuration_error(arguments: dict[str, Any]) -> None:
    client = client_for(httpx.Response(200, json=ANSWER))
    with pytest.raises(LLMConfigError) as caught:
        client.chat(**{"model": "m", "messages": HELLO, **arguments})
    assert caught.value.code == "LLM_CLIENT_CONFIG"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_models_are_listed() -> None:
    rows = {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}
    assert client_for(httpx.Response(200, json=rows)).models() == ["a", "b"]
    with pytest.raises(LLMProtocolError):
        client_for(httpx.Response(200, json={"data": [{}]})).models()


def test_what_a_key_has_used_and_may_still_use() -> None:
    told = {"hard_limit_usd": 2, "access_until": 1801432800, "total_usage": 0.15}
    found = client_for(httpx.Response(200, json=told)).key_usage()
    assert found == KeyUsage(used=0.0015, limit=2.0, expires=1801432800)
    assert (found.left, found.is_counted) == (1.9985, True)
    unlimited = client_for(
        httpx.Response(200, json={**told, "hard_limit_usd": 100_000_000, "total_usage": 0})
    ).key_usage()
    assert (unlimited.limit, unlimited.left, unlimited.is_counted) == (None, None, False)


def test_a_closed_client_says_so() -> None:
    with client_for(httpx.Response(200, json=ANSWER)) as client:
        client.chat("m", HELLO)
    with pytest.raises(LLMConfigError, match="closed"):
        client.chat("m", HELLO)


def test_a_missing_ca_bundle_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    with pytest.raises(LLMConfigError, match="SSL_CERT_FILE"):
        LLMClient("https://127.0.0.1", KEY)
