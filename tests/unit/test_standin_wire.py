"""The lab's stand-in for One API: answers as they look on the wire, and Go's words in them."""

from __future__ import annotations

import gzip
import json
import socket

import pytest
from standin_kit import ACCESS_TOKEN, RELAY_KEY, Gateway, Upstream, error_of

from lab.standin.go_words import BROKEN_OFF, read_json

pytest_plugins = ["standin_fixtures"]

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module", autouse=True)
def channel(gateway: Gateway, upstream: Upstream) -> int:
    """A channel for what these tests ask."""
    return gateway.add_channel("main", "m,none,odd", upstream.url)


def exchange(gateway: Gateway, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of an answer, read until the server closes."""
    with socket.create_connection(gateway.server.server_address[:2], 5) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return status, headers, body


def chat_request(version: str, *headers: str, **more: object) -> bytes:
    """A chat completion's request, byte by byte."""
    body = json.dumps({**CHAT, **more}).encode()
    own = (f"Authorization: Bearer {RELAY_KEY}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    head = (f"POST /v1/chat/completions {version}", "Host: x", *own, *headers)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_the_admin_api_is_gzipped_where_the_client_takes_it(gateway: Gateway) -> None:
    for accepted, used in (("gzip, br", "gzip"), ("identity", None)):
        headers = {"Accept-Encoding": accepted, "Authorization": ACCESS_TOKEN}
        for path in ("/api/channel/", "/api/nothing", "/"):
            answer = gateway.client.get(path, headers=headers)
            assert answer.headers.get("content-encoding") == used, path
            assert answer.headers.get("vary") == ("Accept-Encoding" if used else None), path
        assert gateway.client.get("/api/channel/", headers=headers).json()["success"]


def test_an_empty_answer_is_gzipped_too(gateway: Gateway) -> None:
    for _ in range(21):
        answer = gateway.login("root", "wrong", ip="10.9.9.9")
    assert (answer.status_code, answer.content) == (429, b"")
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(gzip.compress(b""))


def test_the_relay_is_not_gzipped(gateway: Gateway) -> None:
    for answer in (gateway.chat("m"), gateway.client.get("/v1/models"), gateway.chat("m", stream=True)):
        assert "content-encoding" not in answer.headers


def test_no_body_where_there_can_be_none(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["none"] = (204, "application/json", b"")
    answer = gateway.chat("none")
    assert (answer.status_code, answer.content) == (204, b"")
    assert gateway.chat("m").status_code == 200, "the connection is still good"


def test_http_1_0(gateway: Gateway) -> None:
    status, headers, body = exchange(gateway, chat_request("HTTP/1.0"))
    assert status == "HTTP/1.0 200 OK"
    assert "connection" not in headers
    assert json.loads(body)["choices"]
    status, headers, body = exchange(gateway, chat_request("HTTP/1.0", stream=True))
    assert status == "HTTP/1.0 200 OK"
    assert not {"connection", "transfer-encoding"} & set(headers)
    assert body.endswith(b"data: [DONE]\n\n")


def test_connection_header(gateway: Gateway) -> None:
    assert exchange(gateway, chat_request("HTTP/1.1", "Connection: close"))[1]["connection"] == "close"
    closing = exchange(gateway, chat_request("HTTP/1.1", "Connection: close", stream=True))
    assert closing[1]["connection"] == "close"
    assert gateway.chat("m", stream=True).headers["connection"] == "keep-alive"


def test_a_long_answer_states_no_length(gateway: Gateway) -> None:
    request = "GET /api/option/ HTTP/1.{}\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\r\n"
    for minor, encoding in ((0, None), (1, "chunked")):
        _, headers, body = exchange(gateway, request.format(minor, ACCESS_TOKEN).encode())
        assert len(body) > 2048
        assert "content-length" not in headers
        assert headers.get("transfer-encoding") == encoding
    assert json.loads(exchange(gateway, request.format(0, ACCESS_TOKEN).encode())[2])["success"]


def test_a_long_relayed_answer_states_no_length_where_the_upstream_does_not(
    gateway: Gateway, upstream: Upstream
) -> None:
    content = json.dumps({"choices": [], "filler": "x" * 3000}).encode()
    upstream.replies["none"] = (200, "application/json", content)
    answer = gateway.chat("none")
    assert answer.content == content
    assert answer.headers["transfer-encoding"] == "chunked"


def test_what_a_redirect_shows(gateway: Gateway) -> None:
    answer = gateway.client.get("/api/channel?p=1&x=<")
    assert answer.text.startswith('<a href="/api/channel/?p=1&amp;x=')
    assert gateway.client.put("/api/channel", json={}).content == b""


def test_an_error_in_mid_stream_is_swallowed(gateway: Gateway, upstream: Upstream) -> None:
    events = ('{"choices":[{"delta":{"content":"a"}}]}', "no JSON", '{"error":{"message":"broken","type":"x"}}')
    body = "".join(f"data: {event}\n\n" for event in events)
    upstream.replies["odd"] = (200, "text/event-stream", body.encode())
    seen = gateway.chat("odd", stream=True).text.split("\n\n")[:-1]
    assert seen == [f"data: {events[0]}", "data: no JSON", "data: [DONE]"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", BROKEN_OFF),
        ("{", BROKEN_OFF),
        ('{"a":', BROKEN_OFF),
        ("<html>", "invalid character '<' looking for beginning of value"),
    ],
)
def test_unreadable_json_in_gos_words(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        read_json(text, BROKEN_OFF)


def test_json_null_is_an_object_without_fields(gateway: Gateway) -> None:
    headers = {"Authorization": ACCESS_TOKEN}
    answer = gateway.client.post("/api/channel/", content=b"null", headers=headers).json()
    assert answer == {"message": "empty slice found", "success": False}
    headers = {"Authorization": RELAY_KEY, "Content-Type": "application/json"}
    answer = gateway.client.post("/v1/chat/completions", content=b"null", headers=headers)
    assert (answer.status_code, error_of(answer)["type"]) == (503, "one_api_error")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": 5}, "number into Go struct field ModelRequest.model of type string"),
        ({"messages": ["hi"]}, "string into Go struct field GeneralOpenAIRequest.messages of type model.Message"),
    ],
)
def test_a_field_of_another_type(gateway: Gateway, change: dict[str, object], problem: str) -> None:
    answer = gateway.relay("/v1/chat/completions", {**CHAT, **change})
    assert answer.status_code == 400
    assert error_of(answer)["message"].endswith(f"json: cannot unmarshal {problem}")


def test_an_upstream_that_is_not_there(gateway: Gateway) -> None:
    gateway.add_channel("closed", "closed", "http://127.0.0.1:1")
    error = error_of(gateway.chat("closed"))
    problem = "dial tcp 127.0.0.1:1: connect: connection refused"
    assert error["message"] == f'do request failed: Post "http://127.0.0.1:1/v1/chat/completions": {problem}'
    assert error["code"] == "do_request_failed"
