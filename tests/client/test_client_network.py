"""The client on real sockets: deadlines, broken connections, keep-alive, proxies (loopback only)."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import pytest
from fault_server import FaultServer
from raw_server import ANSWER, OK, Behaviour, drip, raw_server, silent
from test_client import HELLO, KEY
from vector_runner import own_certificate

from llm_client import (
    LLMClient,
    LLMConnectionError,
    LLMError,
    LLMProtocolError,
    LLMTimeoutError,
    call_specific_model,
    connections,
)


def call(base: str, timeout: float = 0.4) -> LLMError:
    with LLMClient(base, KEY) as client, pytest.raises(LLMError) as caught:
        client.chat("m", HELLO, timeout=timeout)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        drip(CHUNKED, b"1\r\n \r\n"),
        drip(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["silent", "status", "headers", "body", "chunks", "error-body"],
)
def test_one_deadline_ends_the_whole_call(behave: Behaviour) -> None:
    with raw_server(behave) as base:
        begun = time.monotonic()
        error = call(base, timeout=0.4)
        taken = time.monotonic() - begun
    assert isinstance(error, LLMTimeoutError)
    assert (error.code, error.summary) == ("ETIMEDOUT", "timeout (400ms)")
    assert 0.35 < taken < 5


def test_a_request_that_nobody_reads_ends_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        large = [{"role": "user", "content": "x" * 20_000_000}]
        with LLMClient(base, KEY) as client, pytest.raises(LLMTimeoutError):
            client.chat("m", large, timeout=0.4)


def test_a_name_that_does_not_resolve_in_time_is_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    error = call("http://gw.example.ts.net:3000")
    release.set()
    assert isinstance(error, LLMTimeoutError)


def test_an_unknown_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = call("http://gw.example.ts.net:3000")
    assert isinstance(error, LLMConnectionError)
    assert error.code == "ENOTFOUND"
    assert "gw.example.ts.net" in error.summary


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(lambda connection: connection.sendall(OK)) as base:
        port = int(base.rsplit(":", 1)[1])
        rows = [(2, 1, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
        with LLMClient(f"http://localhost:{port}", KEY) as client:
            assert client.chat("m", HELLO) == ANSWER


def test_a_refused_connection_is_told_and_may_be_retried() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = call(f"http://127.0.0.1:{unused.getsockname()[1]}", timeout=5)
    assert isinstance(error, LLMConnectionError)
    assert (error.code, error.retryable) == ("ECONNREFUSED", True)


def reset(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    "behave",
    [
        reset,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"),
        lambda connection: connection.sendall(CHUNKED + b"5\r\n{"),
    ],
    ids=["reset", "cut", "cut-chunk"],
)
def test_an_answer_that_breaks_off_is_told_and_never_retryable(behave: Behaviour) -> None:
    with raw_server(behave) as base:
        error = call(base, timeout=5)
    assert isinstance(error, LLMConnectionError)
    assert (error.code, error.retryable) == ("ECONNRESET", False)


def test_a_connection_that_ends_before_any_answer_may_be_retried() -> None:
    with raw_server(lambda connection: connection.close()) as base:
        error = call(base, timeout=5)
    assert isinstance(error, LLMConnectionError)
    assert (error.code, error.retryable) == ("ECONNRESET", True)


def test_a_server_that_does_not_speak_http_is_told() -> None:
    with raw_server(lambda connection: connection.sendall(b"220 mail ready\r\n\r\n")) as base:
        error = call(base, timeout=5)
    assert isinstance(error, LLMProtocolError)
    assert "does not speak HTTP" in error.summary


def test_https_to_a_plain_server_is_a_tls_error() -> None:
    with raw_server(lambda connection: connection.sendall(OK)) as base:
        error = call(base.replace("http:", "https:"), timeout=5)
    assert isinstance(error, LLMConnectionError)
    assert error.code == "ETLS"


def test_no_certificates_are_loaded_for_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the CA bundle was loaded")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", loaded)
    with raw_server(lambda connection: connection.sendall(OK)) as base, LLMClient(base, KEY) as client:
        assert client.chat("m", HELLO) == ANSWER


@pytest.mark.parametrize("where", ["default paths", "bundle", "SSL_CERT_FILE", "nowhere"])
def test_a_ca_of_the_systems_store_is_trusted(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With httpx, a CA that a company puts there was not: its own bundle alone counted."""
    tls, pem = own_certificate()
    store = tmp_path / "store.pem"
    store.write_bytes(pem)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(connections, "SYSTEM_BUNDLES", (str(store),) if where == "bundle" else ())
    if where == "SSL_CERT_FILE":
        monkeypatch.setenv("SSL_CERT_FILE", str(store))
    if where == "default paths":

        def load(context: ssl.SSLContext) -> None:
            context.load_verify_locations(store)

        monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", load)
    with FaultServer([{"status": 200, "json": ANSWER}], tls) as server:
        base = f"https://127.0.0.1:{server.port}"
        if where == "nowhere":
            assert call(base, timeout=5).code == "ETLS"
        else:
            with LLMClient(base, KEY) as client:
                assert client.chat("m", HELLO) == ANSWER


def test_calls_share_one_kept_connection(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, connections = server
    for address in (base, f"{base}/v1", f"{base}/v1/"):
        for _ in range(3):
            assert call_specific_model("m", HELLO, base_url=address, api_key=KEY) == ANSWER
    assert len(connections) == 1


def test_threads_share_one_client(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, connections = server
    answers: list[object] = []

    def work() -> None:
        for _ in range(10):
            answers.append(call_specific_model("m", HELLO, base_url=base, api_key=KEY))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [ANSWER] * 80
    assert len(connections) <= 8


@pytest.mark.parametrize("held", [False, True], ids=["function", "client"])
def test_a_forked_child_opens_its_own_connection(server: tuple[str, set[tuple[str, int]]], held: bool) -> None:
    base, connections = server
    client = LLMClient(base, KEY)

    def ask() -> object:
        return client.chat("m", HELLO) if held else call_specific_model("m", HELLO, base_url=base, api_key=KEY)

    assert ask() == ANSWER
    child = os.fork()
    if child == 0:
        os._exit(0 if ask() == ANSWER else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ask() == ANSWER
    assert len(connections) == 2


def test_a_connection_that_the_server_closed_between_calls_is_opened_anew() -> None:
    with raw_server(lambda connection: connection.sendall(OK)) as base, LLMClient(base, KEY) as client:
        assert client.chat("m", HELLO) == ANSWER
        assert client.chat("m", HELLO) == ANSWER


def test_a_client_that_is_dropped_leaves_no_socket(
    server: tuple[str, set[tuple[str, int]]],
) -> None:
    base, _ = server
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        with LLMClient(base, KEY) as client:
            client.chat("m", HELLO)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 20  # noqa: PTH208 (the server's ends)
