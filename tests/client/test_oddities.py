"""What gateways, networks and programs really do, and a fresh reader found by trying."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from both_ways import BOTH, InALoop, InThreads
from raw_server import ANSWER, BODY, OK, raw_server, read_request
from test_client import HELLO, KEY
from test_streams import DELTAS, EVENTS, WHOLE, chunk, replying, sse

from llm_client import LLMClient, LLMConfigError, LLMConnectionError, LLMError, LLMStatusError, acall_specific_model
from llm_client.http_library import httpx

Way = type[InThreads] | type[InALoop]
HANGING_RESOLVER = """
import asyncio, socket, sys, threading, llm_client
socket.getaddrinfo = lambda *_, **__: threading.Event().wait(60)
async def main():
    try: await llm_client.acall_specific_model("m", [{}], base_url="http://slow.example", api_key="k-1", timeout=0.3)
    except llm_client.LLMTimeoutError: print("timed out")
asyncio.run(main())
"""


def test_a_resolver_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    run = subprocess.run([sys.executable, "-c", HANGING_RESOLVER], capture_output=True, text=True, timeout=20)
    assert run.stdout == "timed out\n", run.stderr


@pytest.mark.parametrize("by_hand", [False, True], ids=["asyncio.run", "by-hand"])
def test_event_loops_that_are_over_are_let_go(server: tuple[str, Any], by_hand: bool) -> None:
    base, _ = server
    loops: list[weakref.ref[Any]] = []

    async def ask() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        assert await acall_specific_model("m", HELLO, base_url=base, api_key=KEY) == ANSWER

    for _ in range(6):
        if by_hand:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(ask())
            loop.close()
            del loop
        else:
            asyncio.run(ask())
    gc.collect()
    assert sum(loop() is not None for loop in loops) <= 1


@pytest.mark.parametrize("way", BOTH)
def test_what_is_left_over_of_one_answer_is_not_the_next_calls(way: Way) -> None:
    connections: list[int] = []

    def behave(connection: socket.socket) -> None:
        connections.append(1)
        connection.sendall(OK + OK.replace(b'"hi"', b'"no"'))
        connection.recv(65536)

    with raw_server(behave) as base:

        async def ask_twice(client: Any) -> list[Any]:
            return [await client.chat("m", HELLO) for _ in range(2)]

        if way is InALoop:
            answers = InALoop().run(base, ask_twice)
        else:
            with LLMClient(base, KEY) as client:
                answers = [client.chat("m", HELLO) for _ in range(2)]
    assert answers == [ANSWER, ANSWER]
    assert len(connections) == 2


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": ""}, "error": {"message": "upstream broke"}}]},
        {"code": "InvalidApiKey", "message": "Invalid API-key provided."},
    ],
)
def test_a_choice_without_a_message_is_no_answer(reply: dict[str, Any]) -> None:
    with pytest.raises(LLMError) as caught:
        InThreads(lambda _request: httpx.Response(200, json=reply)).chat()
    assert caught.value.code == "LLM_BAD_ANSWER"
    for said in ("upstream broke", "Invalid API-key provided."):
        assert (said in json.dumps(reply)) == (said in caught.value.summary)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": [{"message": "in a list"}]}, "in a list"),
        ([{"error": {"message": "Gemini's way"}}], "Gemini's way"),
        ({"detail": [{"msg": "FastAPI's way", "loc": []}]}, "FastAPI's way"),
        ({"detail": "as text"}, "as text"),
    ],
)
def test_errors_in_lists_are_unwrapped(body: Any, said: str) -> None:
    with pytest.raises(LLMStatusError) as caught:
        InThreads(lambda _request: httpx.Response(400, json=body)).chat()
    assert caught.value.summary == f"HTTP 400: {said}"


@pytest.mark.parametrize("way", BOTH)
def test_an_error_is_told_though_its_text_breaks_off(way: Way) -> None:
    head = b"HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    body = b'{"error":"told"}'
    with (
        raw_server(lambda connection: connection.sendall(head + body)) as base,
        pytest.raises(LLMStatusError) as caught,
    ):
        way().chat(base)
    assert caught.value.summary == "HTTP 400: told"


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + WHOLE,
        b"data:\n\n" + WHOLE,
        WHOLE.replace(b"data: [DONE]", b"data: " + chunk().encode() + b"\n\ndata: [DONE]"),
    ],
    ids=["byte-order-mark", "empty-event", "late-chunk"],
)
def test_streams_with_oddities_are_read(way: Way, body: bytes) -> None:
    assert way(replying(body)).stream()[0] == DELTAS


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "body",
    [
        sse('{"code":"Throttling","message":"too many requests"}'),
        b'{"code":"Throttling","error":{"message":"too many requests"}}',
    ],
    ids=["event", "no-stream-at-all"],
)
def test_what_the_provider_says_in_place_of_a_stream_is_told(way: Way, body: bytes) -> None:
    with pytest.raises(LLMError, match="too many requests"):
        way(replying(body)).stream()


@pytest.mark.parametrize("way", BOTH)
def test_a_stream_whose_end_alone_is_missing_is_whole(way: Way) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = WHOLE.removesuffix(sse("[DONE]"))
    with raw_server(lambda connection: connection.sendall(b"%s%x\r\n%s\r\n" % (head, len(body), body))) as base:
        assert way().stream(base)[0] == DELTAS


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    def endless(_request: httpx.Request) -> httpx.Response:
        class Body(httpx.SyncByteStream):
            def __iter__(self) -> Any:
                while True:
                    yield b"data: " + b"x" * 65536 + b"\n"

        return httpx.Response(200, headers=EVENTS, stream=Body())

    with pytest.raises(LLMError, match="more than 4 MiB"):
        InThreads(endless).stream()


def serve_streams(connection: socket.socket) -> None:
    """Keep the connection: the first request has been read, answer it and those that follow."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = b"%s%x\r\n%s\r\n0\r\n\r\n" % (head, len(WHOLE), WHOLE)
    connection.sendall(answer)
    while read_request(connection):
        connection.sendall(answer)


@pytest.mark.parametrize("way", BOTH)
def test_the_connection_of_a_stream_is_used_again(way: Way) -> None:
    connections: list[int] = []

    def behave(connection: socket.socket) -> None:
        connections.append(1)
        serve_streams(connection)

    with raw_server(behave) as base:

        async def thrice(client: Any) -> None:
            for _ in range(3):
                assert [delta async for delta in client.stream("m", HELLO)] == DELTAS

        if way is InALoop:
            InALoop().run(base, thrice)
        else:
            with LLMClient(base, KEY) as client:
                for _ in range(3):
                    assert list(client.stream("m", HELLO)) == DELTAS
    assert len(connections) == 1


@pytest.mark.parametrize("proxy", ["http://h:99999", "https://h:1", "socks5://h:1", "http://", 5])
def test_a_bad_proxy_is_a_configuration_error(proxy: Any) -> None:
    for way in BOTH:
        with pytest.raises(LLMConfigError, match="proxy"):
            way(proxy=proxy).client("http://gw.example")


@pytest.mark.parametrize("way", BOTH)
def test_a_proxy_that_is_not_there_is_what_the_error_names(way: Way) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://us%C3%A9r:p%C3%A4ss@127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(LLMConnectionError) as caught:
            way(proxy=proxy, retries=0).chat("http://gw.example")
    assert caught.value.summary.startswith("ECONNREFUSED: the proxy 127.0.0.1:")
    assert "p%C3" not in caught.value.summary


def test_a_proxy_may_be_written_without_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(lambda connection: connection.sendall(OK)) as base:
        monkeypatch.setenv("LLM_PROXY", base.removeprefix("http://"))
        assert InThreads().chat("http://gw.example") == ANSWER


@pytest.mark.parametrize(
    "text", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2300", "1" * 400]
)
def test_a_date_that_no_calendar_has_is_ignored(text: str) -> None:
    reply = httpx.Response(429, headers={"Retry-After": text})
    with pytest.raises(LLMStatusError):
        InThreads(lambda _request: reply, retries=0).chat()


@pytest.mark.parametrize("way", BOTH)
def test_no_thread_for_the_name_is_told(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(LLMError, match="EAI_AGAIN: the name"):
        way(retries=0).chat("http://gw.example", timeout=5)


@pytest.mark.parametrize("key", ["k", "EMPTY", "error", "none"])
def test_a_key_that_is_a_word_spoils_no_text(key: str) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(400, json={"error": "EMPTY error, okay? none"}))
    with pytest.raises(LLMStatusError) as caught:
        LLMClient("http://gw", key, transport=transport).chat("my-model", HELLO)
    assert (caught.value.summary, caught.value.model) == ("HTTP 400: EMPTY error, okay? none", "my-model")


def test_a_path_that_is_encoded_stays_so() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, content=BODY)

    InThreads(handler).chat("http://gw/a%2Fb%3Fc")
    assert seen == [b"/a%2Fb%3Fc/v1/chat/completions"]
