"""The lab's stand-in where it once was another than One API: each row was seen of the real v0.6.10 beside it."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from standin_kit import RELAY_KEY, Gateway, Upstream, error_of, wait_for

from lab.standin.encoders import ENCODERS
from lab.standin.tokens import Tokens

pytest_plugins = ["standin_fixtures"]

USER = {"role": "user", "content": "hi"}
FORCED = "Be brief."


@pytest.fixture(scope="module", autouse=True)
def channels(gateway: Gateway, upstream: Upstream) -> None:
    """A plain channel, a mapped one, and both with a system prompt."""
    gateway.add_channel("plain", "m,dall-e-2,whisper-1,text-moderation-stable", upstream.url)
    gateway.add_channel("mapped", "asked", upstream.url, model_mapping='{"asked":"called"}')
    gateway.add_channel("prompted", "p", upstream.url, system_prompt=FORCED)
    gateway.add_channel("itself", "i", upstream.url, system_prompt=FORCED, model_mapping='{"i":"i"}')
    gateway.add_channel("both", "pm", upstream.url, system_prompt=FORCED, model_mapping='{"pm":"called"}')


def sent(upstream: Upstream) -> dict[str, Any]:
    return dict(json.loads(upstream.requests[-1][2]))


# --- the database


@contextmanager
def locked(gateway: Gateway, how: str) -> Iterator[None]:
    """Another program has the database locked: EXCLUSIVE, or IMMEDIATE, which lets others read."""
    with closing(sqlite3.connect(gateway.directory / "one-api.db", isolation_level=None, timeout=5)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


def registration(gateway: Gateway) -> str:
    options = gateway.ok("GET", "/api/option/")
    return str(next(row["value"] for row in options if row["key"] == "RegisterEnabled"))


def test_a_locked_database_looks_like_a_wrong_token(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="100")
    gateway.add_channel("main", "m", upstream.url)
    with locked(gateway, "EXCLUSIVE"):
        refusal = gateway.chat("m")
        assert refusal.status_code == 401
        assert error_of(refusal) == {"message": "令牌验证失败", "type": "one_api_error"}
        for method, path in (("GET", "/api/channel/search?keyword="), ("PUT", "/api/option/")):
            assert gateway.api(method, path, {}) == {"message": "无权进行此操作，access token 无效", "success": False}
        assert gateway.login("root", "123456").json()["message"] == "用户名或密码错误，或用户已被封禁"
    assert gateway.chat("m").status_code == 200


def test_an_option_that_is_not_stored_is_a_success(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="100")
    gateway.add_channel("main", "m", upstream.url)
    with locked(gateway, "IMMEDIATE"):
        assert gateway.chat("m").status_code == 200
        gateway.ok("PUT", "/api/option/", {"key": "RegisterEnabled", "value": "false"})
        token = gateway.api("POST", "/api/token/", {"name": "t"})
        assert token == {"message": "database is locked", "success": False}
    assert registration(gateway) == "false"
    assert registration(start()) == "true", "it comes back open"


def test_a_row_that_cannot_be_written_is_told_in_the_log(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="100")
    gateway.add_channel("main", "m", upstream.url)
    with locked(gateway, "IMMEDIATE"):
        assert gateway.chat("m").status_code == 200
        wait_for(lambda: "failed to record log: database is locked" in gateway.log_text())
    line = next(line for line in gateway.log_text().splitlines() if "failed to record log" in line)
    assert line.startswith("[ERR] ")
    assert gateway.ok("GET", "/api/log/?p=0&type=2") == []


# --- what an upstream gets


def test_a_body_that_is_passed_on_goes_in_chunks(gateway: Gateway, upstream: Upstream) -> None:
    gateway.chat("m")
    headers = upstream.requests[-1][1]
    assert (headers["Transfer-Encoding"], headers["User-Agent"]) == ("chunked", "Go-http-client/1.1")
    assert "Content-Length" not in headers
    gateway.chat("asked")
    headers = upstream.requests[-1][1]
    assert int(headers["Content-Length"]) == len(upstream.requests[-1][2])
    assert "Transfer-Encoding" not in headers


def test_a_packed_answer_is_unpacked(gateway: Gateway, upstream: Upstream) -> None:
    content = b'{"choices":[]}'
    upstream.replies["m"] = (200, "application/json", gzip.compress(content))
    upstream.more_headers["Content-Encoding"] = "gzip"
    try:
        answer = gateway.chat("m")
    finally:
        del upstream.replies["m"], upstream.more_headers["Content-Encoding"]
    assert upstream.requests[-1][1]["Accept-Encoding"] == "gzip"
    assert (answer.content, "content-encoding" in answer.headers) == (content, False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            {"enable_thinking": False, "thinking": {}, "chat_template_kwargs": {}, "extra_body": {}, "top_k": 5},
            {"top_k": 5},
        ),
        ({"reasoning_effort": "low", "repetition_penalty": 1.1, "thinking_budget": 9}, {}),
        (
            {"seed": 9007199254740993, "temperature": 0, "n": 0, "stop": []},
            {"seed": 2**53, "temperature": 0, "stop": []},
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "strict": True, "parameters": {"b": 1, "a": 2**53 + 1}},
                    }
                ]
            },
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": 2**53}}}]},
        ),
        ({"tools": [{"type": "x"}]}, {"tools": [{"type": "x", "function": {}}]}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"strict": True, "more": 1}, "more": 1}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "", "strict": True}}},
        ),
        ({"stream_options": {"include_usage": False, "x": 1}}, {"stream_options": {}}),
        (
            {"parallel_tool_calls": False, "audio": {"voice": "v", "z": 1}},
            {"parallel_tool_calls": False, "audio": {"voice": "v"}},
        ),
    ],
)
def test_what_a_mapped_body_keeps(gateway: Gateway, upstream: Upstream, given: Any, kept: Any) -> None:
    gateway.chat("asked", **given)
    assert sent(upstream) == {"model": "called", "messages": [USER], **kept}


def test_what_a_mapped_message_keeps(gateway: Gateway, upstream: Upstream) -> None:
    part = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [part], "cache_control": 1},
        {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [{"index": 0, **call}]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]
    gateway.relay("/v1/chat/completions", {"model": "asked", "messages": messages})
    assert sent(upstream)["messages"] == [
        {"role": "user", "content": [part]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"messages": [{"role": 1}]}, "number into Go struct field Message.messages.role of type string"),
        (
            {"tools": [{"function": {"name": 2}}]},
            "number into Go struct field Function.tools.function.name of type string",
        ),
        (
            {"response_format": "json"},
            "string into Go struct field GeneralOpenAIRequest.response_format of type model.ResponseFormat",
        ),
    ],
)
def test_a_field_of_another_type_further_down(gateway: Gateway, change: dict[str, Any], problem: str) -> None:
    answer = gateway.relay("/v1/chat/completions", {"model": "m", "messages": [USER], **change})
    assert (answer.status_code, error_of(answer)["message"]) == (400, f"json: cannot unmarshal {problem}")


@pytest.mark.parametrize(
    ("model", "own", "expected"),
    [
        ("p", [], [USER]),
        ("p", ["mine"], [{"role": "system", "content": "mine"}, USER]),
        ("i", [], [USER]),
        ("pm", [], [{"role": "system", "content": FORCED}, USER]),
        ("pm", ["mine"], [{"role": "system", "content": FORCED}, USER]),
    ],
)
def test_a_system_prompt_counts_only_where_the_model_is_mapped(
    gateway: Gateway, upstream: Upstream, model: str, own: list[str], expected: list[Any]
) -> None:
    messages = [*({"role": "system", "content": text} for text in own), USER]
    gateway.relay("/v1/chat/completions", {"model": model, "messages": messages})
    assert sent(upstream)["messages"] == expected


def test_a_forced_prompt_is_logged_even_where_it_is_lost(gateway: Gateway) -> None:
    gateway.chat("p")
    (row,) = wait_for(lambda: gateway.ok("GET", "/api/log/?model_name=p"))[:1]
    assert row["content"].endswith("（注意系统提示词已被重置）")


# --- what a client gets


@pytest.mark.parametrize(("size", "passes"), [(65535, True), (65536, False), (70000, False)])
def test_a_long_line_ends_a_stream_without_a_word(
    gateway: Gateway, upstream: Upstream, size: int, passes: bool
) -> None:
    first, last = (f'data: {{"choices":[{{"delta":{{"content":"{word}"}}}}]}}' for word in ("a", "z"))
    head, tail = 'data: {"choices":[{"delta":{"content":"', '"}}]}'
    long = f"{head}{'x' * (size - len(head) - len(tail))}{tail}"
    upstream.replies["m"] = (200, "text/event-stream", "\n\n".join((first, long, last, "")).encode())
    try:
        answer = gateway.chat("m", stream=True)
    finally:
        del upstream.replies["m"]
    events = answer.text.split("\n\n")[:-1]
    assert answer.status_code == 200
    assert events == [first, *([long, last] if passes else []), "data: [DONE]"]


def test_models_come_in_any_order(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {RELAY_KEY}"}

    def order() -> tuple[str, ...]:
        return tuple(row["id"] for row in gateway.client.get("/v1/models", headers=headers).json()["data"])

    wait_for(lambda: len({order() for _ in range(20)}) > 1)


# --- paths

JSON_PATHS = [
    ("/v1/moderations", {"input": "x"}),
    ("/v1/edits", {"model": "m", "instruction": "x"}),
    ("/v1/engines/m/embeddings", {"input": "x"}),
    ("/v1/images/generations", {"prompt": "x", "y": 1}),
    ("/v1/audio/speech", {"model": "m", "input": "x", "voice": "v"}),
    ("/v1/audio/transcriptions", {"x": 1}),
    ("/v1/audio/translations", {"x": 1}),
]


@pytest.mark.parametrize(("path", "body"), JSON_PATHS)
def test_other_paths_are_passed_on(gateway: Gateway, upstream: Upstream, path: str, body: Any) -> None:
    answer = gateway.relay(path, body)
    assert answer.status_code == 200, answer.text
    assert (upstream.requests[-1][0], sent(upstream)) == (path, body)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/moderations", {"input": ""}, "invalid_text_request"),
        ("/v1/edits", {"model": "m"}, "invalid_text_request"),
        ("/v1/images/generations", {"model": "m"}, "prompt_missing"),
        ("/v1/audio/speech", {"model": "m", "input": "x" * 4097}, "text_too_long"),
    ],
)
def test_what_other_paths_refuse(gateway: Gateway, path: str, body: Any, code: str) -> None:
    answer = gateway.relay(path, body)
    assert (answer.status_code, error_of(answer)["code"]) == (400, code)


def test_an_image_of_a_mapped_model_is_written_anew(gateway: Gateway, upstream: Upstream) -> None:
    gateway.relay("/v1/images/generations", {"model": "asked", "prompt": "x", "y": 1})
    assert sent(upstream) == {"model": "called", "prompt": "x", "n": 1, "size": "1024x1024"}


def test_a_form_reaches_the_first_channel_empty(gateway: Gateway, upstream: Upstream) -> None:
    headers = {"Authorization": f"Bearer {RELAY_KEY}"}
    form: dict[str, Any] = {"files": {"file": ("a.mp3", b"12345")}, "data": {"model": "m"}}
    answer = gateway.client.post("/v1/audio/transcriptions", headers=headers, **form)
    assert answer.status_code == 200
    assert upstream.requests[-1][2] == b"", "One API v0.6.10 has read it, and does not give it back"


# --- tokens


def logged_tokens(gateway: Gateway, answer: httpx.Response, model: str) -> tuple[int, int]:
    assert answer.status_code == 200, answer.text
    row = wait_for(lambda: gateway.ok("GET", f"/api/log/?model_name={model}"))[0]
    return row["prompt_tokens"], row["completion_tokens"]


def test_a_message_costs_more_than_its_text(gateway: Gateway, upstream: Upstream) -> None:
    """With tables that are empty each byte is a token."""
    upstream.replies["counted"] = (200, "application/json", b'{"choices":[{"message":{"content":"hello"}}]}')
    gateway.add_channel("counted", "counted", upstream.url)
    parts = [{"type": "text", "text": "ab"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [{"role": "system", "content": "s"}, {"role": "user", "name": "bob", "content": parts}]
    answer = gateway.relay("/v1/chat/completions", {"model": "counted", "messages": messages})
    wanted = (3 + 1 + 6) + (3 + 2 + 4 + 1 + 3) + 3
    assert logged_tokens(gateway, answer, "counted") == (wanted, 5)


def test_tokens_are_those_of_the_table(tmp_path: Any) -> None:
    words = [b"h", b"i", b"hi", b" ", b" t", b" th", b"e", b"re", b" there"]
    table = b"".join(base64.b64encode(word) + b" %d\n" % rank for rank, word in enumerate(words))
    for encoder in ENCODERS:
        (tmp_path / encoder.cache_name).write_bytes(table)
    tokens = Tokens(tmp_path)
    for model in ("m", "gpt-4o"):
        assert tokens.of_text("hi there", model, roughly=False) == 2
        assert tokens.of_text("hi" * 100, model, roughly=False) == 100
        assert tokens.of_text("hi there", model, roughly=True) == 3
    assert tokens.of_text("天空是什么颜色?", "m", roughly=True) == 8
    assert tokens.of_text("hi there " * 10**5, "m", roughly=False) > 10**5
