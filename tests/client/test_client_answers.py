"""What the client makes of errors, and of answers that are none (no network)."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import ANSWER
from test_client import BARE, HELLO, KEY, client_for

from llm_client import LLMClient, LLMError, LLMProtocolError, LLMStatusError, LLMTimeoutError
from llm_client.http_library import httpx
from llm_client.reading import ERROR_LIMIT


def failure(reply: httpx.Response | Callable[[httpx.Request], httpx.Response]) -> LLMError:
    with pytest.raises(LLMError) as caught:
        client_for(reply).chat("m", HELLO)
    return caught.value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "无效的令牌 (request id: 1)", "type": "one_api_error"}}, "无效的令牌"),
        ({"error": "plain text"}, "plain text"),
        ({"message": "from message"}, "from message"),
        ({"msg": "from msg"}, "from msg"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
        ({"error": {"code": 7}}, "7"),
        ({"error": {"message": None}}, '{"error"'),
        (["a list"], "a list"),
    ],
)
def test_the_text_of_an_error_is_found_in_any_shape(body: object, text: str) -> None:
    error = failure(httpx.Response(400, json=body))
    assert isinstance(error, LLMStatusError)
    assert error.summary.startswith("HTTP 400: ")
    assert text in str(error)


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (502, b"<html><head><title>502 Bad Gateway</title>", "502 Bad Gateway"),
        (429, b"", "no message"),
        (500, b"upstream\r\nbroke", "upstream broke"),
        (500, "错".encode("gbk"), "HTTP 500: "),
        (500, b"[" * 60000, "[[["),
    ],
)
def test_an_error_that_is_not_json_is_shown_in_short(status: int, body: bytes, text: str) -> None:
    error = failure(httpx.Response(status, content=body))
    assert error.status == status
    assert text in error.summary
    assert len(error.summary) <= 400
    assert "\n" not in error.summary


def test_the_gateways_own_names_for_the_error_are_kept() -> None:
    body = {"error": {"message": "no", "type": "one_api_error", "code": "pre_consume"}}
    error = failure(httpx.Response(403, json=body, headers={"X-Oneapi-Request-Id": "2026x"}))
    assert (error.error_type, error.error_code) == ("one_api_error", "pre_consume")
    assert (error.status, error.model, error.request_id) == (403, "m", "2026x")
    assert error.code == "LLM_HTTP_STATUS"


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (429, "upstream_error", True),
        (502, "", True),
        (503, "one_api_error", False),  # no channel serves the model
        (503, "upstream_error", True),
        (504, "", True),
        (500, "", False),
        (401, "one_api_error", False),
    ],
)
def test_only_what_may_pass_is_retryable(status: int, kind: str, expected: bool) -> None:
    error = failure(httpx.Response(status, json={"error": {"message": "x", "type": kind}}))
    assert error.retryable is expected


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!doctype html><title>One API</title>", "web page (One API) instead of JSON"),
        (b'{"error":{"message":"model_not_found"}}', "model_not_found"),
        (b'{"error":"text"}', "text"),
        (b'{"choices":null,"base_resp":{"status_code":2013,"status_msg":"bad"}}', "bad"),
        (b'{"choices":[]}', "without choices"),
        (b'{"object":"chat.completion"}', "without choices"),
        (b'{"choices":[{"mess', "cut"),
        (b"", "empty body"),
        (b"ok", "not JSON"),
        (b"null", "not JSON"),
        (b"[1]", "not an object"),
    ],
)
def test_a_200_that_is_no_answer_is_an_error(body: bytes, text: str) -> None:
    error = failure(httpx.Response(200, content=body))
    assert isinstance(error, LLMProtocolError)
    assert error.status == 200
    assert text in error.summary


def test_a_redirect_is_refused() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"location": f"http://evil/?k={BARE}"})

    error = failure(handler)
    assert seen == ["gw"]
    assert "redirect to http://evil/" in error.summary
    assert BARE not in error.summary


def test_the_key_is_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    echo = f"bad key {KEY}, I mean {BARE}"
    filler = "x" * 380

    def handler(request: httpx.Request) -> httpx.Response:
        body = {"error": {"message": filler + echo, "type": BARE, "code": KEY}}
        return httpx.Response(401, json=body, headers={"X-Oneapi-Request-Id": KEY})

    caplog.set_level(logging.DEBUG)
    error = failure(handler)
    text = "".join(traceback.format_exception(error))
    for shown in (str(error), repr(error), repr(vars(error)), repr(error.args), text, caplog.text):
        assert BARE[:10] not in shown
    assert error.__cause__ is None
    assert error.__context__ is None
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert (copy.summary, copy.code, copy.status) == (error.summary, error.code, 401)


def test_a_key_with_a_channel_number_is_hidden_too() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(400, json={"error": BARE}))
    client = LLMClient("http://gw", f"{KEY}-7", transport=transport)
    with pytest.raises(LLMStatusError) as caught:
        client.chat("m", HELLO)
    assert BARE not in str(caught.value)


def test_one_line_is_logged_for_a_failed_call(caplog: pytest.LogCaptureFixture) -> None:
    failure(httpx.Response(400, json={"error": "a\nb"}))
    lines = [r.getMessage() for r in caplog.records if r.name == "llm_client"]
    assert lines == ["[LLM_Client] Error calling m: HTTP 400: a b"]


def test_the_line_goes_to_stderr_where_no_logging_is_set_up() -> None:
    code = (
        "import llm_client\n"
        "try: llm_client.call_specific_model('m', [{}], base_url='http://127.0.0.1:9', api_key='k-1')\n"
        "except llm_client.LLMError: pass\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    assert run.stderr.startswith("[LLM_Client] Error calling m: ECONNREFUSED: 127.0.0.1:9")
    assert run.stderr.count("\n") == 1


def test_a_transport_that_times_out_is_a_timeout(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    with pytest.raises(LLMTimeoutError) as caught:
        client_for(handler).chat("m", HELLO, timeout=1.5)
    assert caught.value.code == "ETIMEDOUT"
    assert caught.value.__context__ is None
    assert "[LLM_Client] Error calling m: timeout (1500ms)" in caplog.text


def test_a_packed_answer_is_unpacked_and_a_bomb_is_not() -> None:
    packed = gzip.compress(json.dumps(ANSWER).encode())
    headers = {"content-encoding": "gzip"}

    def reply(body: bytes, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
        stream = httpx.ByteStream(body)
        return lambda _request: httpx.Response(status, headers=headers, stream=stream)

    assert client_for(reply(packed)).chat("m", HELLO) == ANSWER
    bomb = gzip.compress(b" " * (80 << 20), 1)
    assert "more than 32 MiB" in failure(reply(bomb)).summary
    assert failure(reply(bomb, 500)).status == 500
    assert "cannot be unpacked" in failure(reply(b"not gzip")).summary
    headers["content-encoding"] = "br"
    assert "packed as br" in failure(reply(b"x")).summary


def test_of_a_huge_error_only_the_beginning_is_read() -> None:
    read = 0

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            nonlocal read
            while True:
                read += 4096
                yield b"e" * 4096

    error = failure(lambda _request: httpx.Response(500, stream=Endless()))
    assert error.status == 500
    assert read <= ERROR_LIMIT + 2 * 4096
