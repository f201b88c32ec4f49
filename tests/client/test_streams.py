"""A streamed answer: deltas as they come, and one clear error where it breaks off."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from typing import Any

import pytest
from both_ways import BOTH, InALoop, InThreads
from raw_server import raw_server
from test_client import HELLO, KEY

from llm_client import (
    LLMClient,
    LLMConfigError,
    LLMConnectionError,
    LLMError,
    LLMProtocolError,
    LLMStatusError,
    LLMTimeoutError,
    astream_specific_model,
    stream_specific_model,
)
from llm_client.http_library import httpx

Way = type[InThreads] | type[InALoop]
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    return json.dumps({"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def sse(*events: str) -> bytes:
    return "".join(f"data: {event}\n\n" for event in events).encode()


WHOLE = sse(
    chunk({"role": "assistant"}), chunk({"content": "你"}), chunk({"content": "好"}), chunk({}, "stop"), "[DONE]"
)
DELTAS = [{"role": "assistant"}, {"content": "你"}, {"content": "好"}]


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Any:
        yield from self._pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def replying(*pieces: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    return lambda _request: httpx.Response(status, headers=headers or EVENTS, stream=Pieces(*pieces))


def failure(way: Way, *pieces: bytes, **reply: Any) -> LLMError:
    with pytest.raises(LLMError) as caught:
        way(replying(*pieces, **reply)).stream()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("way", BOTH)
def test_deltas_come_as_they_were_sent_and_the_stream_tells_the_rest(way: Way) -> None:
    sent: list[dict[str, Any]] = []
    usage = json.dumps({"choices": [], "usage": {"total_tokens": 7}})
    body = WHOLE.replace(sse("[DONE]"), sse(usage, "[DONE]"))

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, headers={**EVENTS, "X-Oneapi-Request-Id": "r1"}, stream=Pieces(body))

    deltas, stream = way(handler).stream(temperature=0.5)
    assert deltas == DELTAS
    assert (stream.finish_reason, stream.usage, stream.request_id) == ("stop", {"total_tokens": 7}, "r1")
    assert stream.model == "m-1"
    assert sent == [{"model": "m", "messages": HELLO, "temperature": 0.5, "stream": True}]


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_events_may_be_cut_anywhere(way: Way, end: str, size: int) -> None:
    body = b": ping\nevent: x\nid: 7\n\n" + WHOLE.replace(b"data: ", b"data:")
    body = body.replace(b"\n", end.encode())
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    deltas, stream = way(replying(*pieces)).stream()
    assert deltas == DELTAS
    assert stream.finish_reason == "stop"


@pytest.mark.parametrize("way", BOTH)
def test_a_stream_that_ends_well_without_done_is_whole(way: Way) -> None:
    body = WHOLE.removesuffix(sse("[DONE]"))
    assert way(replying(body)).stream()[0] == DELTAS
    assert way(replying(body.rstrip(b"\n"))).stream()[0] == DELTAS


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (sse(chunk({"content": "a"})), "cut before its end"),
        (sse(chunk({"content": "a"}), "[DONE]"), "cut before its end"),  # One API, when its upstream breaks off
        (sse("[DONE]"), "cut before its end"),
        (b"", "cut before its end"),
        (sse(chunk({"content": "a"}), '{"choices":[{"del'), "JSON that is cut"),
        (sse(chunk({"content": "a"}), '{"error":{"message":"upstream broke"}}'), "upstream broke"),
        (sse('{"base_resp":{"status_code":1002,"status_msg":"rate limit"}}'), "the provider's rate limit is reached"),
        (sse('{"choices":null,"base_resp":{"status_code":2049,"status_msg":"no"}}'), "refuses the gateway's key: no"),
        (sse('{"choices":["x"]}'), "not a list of objects"),
        (sse('{"choices":7}'), "not a list of objects"),
    ],
)
def test_a_stream_that_is_no_whole_answer_is_an_error(way: Way, body: bytes, text: str) -> None:
    error = failure(way, body)
    assert isinstance(error, LLMProtocolError)
    assert text in error.summary
    assert error.model == "m"


@pytest.mark.parametrize("way", BOTH)
def test_what_had_come_before_the_error_was_yielded(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    error = failure(way, WHOLE[:-40])
    assert error.deltas == DELTAS[:-1] or error.deltas == DELTAS  # type: ignore[attr-defined]
    assert caplog.text.count("[LLM_Client] Error calling m: ") == 1


@pytest.mark.parametrize("way", BOTH)
def test_a_refusal_is_told_as_for_a_whole_answer(way: Way) -> None:
    body = json.dumps({"error": {"message": f"bad key {KEY}", "type": "one_api_error"}}).encode()
    error = failure(way, body, status=401, headers={"content-type": "application/json"})
    assert isinstance(error, LLMStatusError)
    assert (error.status, error.summary) == (401, "HTTP 401: bad key [key]")
    html = failure(way, b"<html><title>One API</title>", headers={"content-type": "text/html; charset=utf-8"})
    assert "web page (One API)" in html.summary
    whole = failure(way, b'{"choices":[{"message":{}}]}', headers={"content-type": "application/json"})
    assert "instead of a stream" in whole.summary


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("arguments", [{"stream": False}, {"n": 2}, {"timeout": 0}, {"temperature": float("inf")}])
def test_a_bad_argument_is_told_at_once(way: Way, arguments: dict[str, Any]) -> None:
    with pytest.raises(LLMConfigError):
        way(replying(WHOLE)).client("http://gw").stream("m", HELLO, **arguments)


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while True:
        connection.sendall(sse(chunk({"content": "."})))
        time.sleep(0.05)  # the slowness is the subject of the test


@pytest.mark.parametrize("way", BOTH)
def test_a_stream_that_never_ends_is_ended_by_the_deadline(way: Way) -> None:
    with raw_server(drip) as base:
        begun = time.monotonic()
        with pytest.raises(LLMTimeoutError) as caught:
            way().stream(base, timeout=0.5)
        assert time.monotonic() - begun < 5
    assert caught.value.deltas  # type: ignore[attr-defined]


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = sse(chunk({"content": "."}))
    connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


@pytest.mark.parametrize("way", BOTH)
def test_a_connection_that_breaks_off_is_told(way: Way) -> None:
    with raw_server(cut) as base, pytest.raises(LLMConnectionError) as caught:
        way().stream(base, timeout=5)
    assert (caught.value.code, caught.value.retryable) == ("ECONNRESET", False)
    assert caught.value.deltas == [{"content": "."}]  # type: ignore[attr-defined]


def test_leaving_a_stream_early_closes_the_connection() -> None:
    body = Pieces(WHOLE)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, headers=EVENTS, stream=body))
    client = LLMClient("http://gw", KEY, transport=transport)
    for _ in client.stream("m", HELLO):
        break
    gc.collect()
    assert body.closed == 1


def test_the_functions_stream_too() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(WHOLE)

    async def collect(base: str) -> list[dict[str, Any]]:
        return [delta async for delta in astream_specific_model("m", HELLO, base_url=base, api_key=KEY)]

    with raw_server(lambda connection: connection.sendall(head + WHOLE)) as base:
        assert list(stream_specific_model("m", HELLO, base_url=base, api_key=KEY)) == DELTAS
        assert asyncio.run(collect(base)) == DELTAS
