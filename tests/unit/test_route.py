"""The ways to a port of a host: what is tried, and the relay for SSH servers that forbid forwarding."""

from __future__ import annotations

import socket
import subprocess
import threading

import paramiko
import pytest

from llm_gateway.hosts import remote, route
from llm_gateway.hosts.route import RouteError


class _Transport:
    """An SSH server that refuses to forward, as paramiko tells it."""

    def __init__(self, code: int) -> None:
        self._code = code

    def open_channel(self, *_: object, **__: object) -> None:
        raise paramiko.ChannelException(self._code, "refused")

    def open_session(self, timeout: float) -> None:
        raise paramiko.SSHException("no session either")


@pytest.fixture
def echo() -> int:
    """A server that answers what it is sent, in capitals, for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            while data := connection.recv(100):
                connection.sendall(data.upper())

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def _relay(port: int, said: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["bash", "-c", route._RELAY, "relay", "127.0.0.1", str(port)]
    return subprocess.run(command, input=said, capture_output=True, timeout=30, check=False)


def test_the_relay_says_that_it_is_connected_and_then_carries_bytes(echo: int) -> None:
    command = ["bash", "-c", route._RELAY, "relay", "127.0.0.1", str(echo)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.stdin
        assert relay.stdout
        assert relay.stdout.read(1) == route._CONNECTED
        relay.stdin.write(b"hello \0")
        relay.stdin.flush()
        assert relay.stdout.read(7) == b"HELLO \0"
        relay.stdin.close()
        assert relay.wait(timeout=30) is not None, "it ends when we hang up"


def test_the_relay_says_nothing_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    refused = _relay(port, b"")
    assert refused.returncode == 1
    assert refused.stdout == b""


def test_a_refused_connection_is_told() -> None:
    with pytest.raises(RouteError, match=r"nothing listens on 172\.18\.0\.2:3000"):
        route._open_channel(_Transport(code=2), "172.18.0.2", 3000)  # type: ignore[arg-type]


def test_a_server_that_allows_nothing_is_told() -> None:
    with pytest.raises(RouteError, match="the SSH connection cannot carry it: no session either"):
        route._open_channel(_Transport(code=1), "172.18.0.2", 3000)  # type: ignore[arg-type]


def test_only_addresses_of_the_tailnet_are_tried_directly() -> None:
    assert not route._reaches_directly("127.0.0.1", 1)
    assert not route._reaches_directly("172.18.0.2", 3000)


class _Channel:
    """An open channel that ends at once when it is closed."""

    def __init__(self) -> None:
        self.closed = self.eof_received = False

    def close(self) -> None:
        self.closed = True


class _Opening:
    """An SSH server on which somebody listens, but for what `refused` counts."""

    def __init__(self, refused: int = 0) -> None:
        self.refused, self.opened = refused, list[_Channel]()

    def open_channel(self, *_: object, **__: object) -> _Channel:
        if self.refused:
            raise paramiko.ChannelException(2, "refused")
        self.opened.append(_Channel())
        return self.opened[-1]


class _Host:
    """A host by its name alone."""


def _ahead(monkeypatch: pytest.MonkeyPatch, transport: _Opening) -> tuple[_Host, route.Ahead]:
    monkeypatch.setattr(route, "_ssh_transport", lambda host: transport)
    host = _Host()
    return host, route.Ahead(host, "100.64.0.10", 3000, 2)  # type: ignore[arg-type]


def test_what_is_opened_ahead_is_taken_once_by_who_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = _Opening()
    host, ahead = _ahead(monkeypatch, transport)
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == [], "not before it is offered"  # type: ignore[arg-type]
    ahead.offer()
    assert route.Ahead.taken(host, "100.64.0.10", 3001) == []  # type: ignore[arg-type]
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == transport.opened  # type: ignore[arg-type, comparison-overlap]
    assert len(transport.opened) == 2
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == []  # type: ignore[arg-type]


def test_what_has_ended_meanwhile_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = _Opening()
    host, ahead = _ahead(monkeypatch, transport)
    ahead.take()
    transport.opened[0].eof_received = True
    ahead.offer()
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == transport.opened[1:]  # type: ignore[arg-type, comparison-overlap]


def test_what_is_run_on_the_host_drops_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = _Opening()
    host, ahead = _ahead(monkeypatch, transport)
    ahead.offer()
    run = remote._telling_of_loss(host, lambda *_: (True, None))  # type: ignore[arg-type]
    assert run("true") == (True, None)
    assert [channel.closed for channel in transport.opened] == [True, True]
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == []  # type: ignore[arg-type]


def test_a_refusal_ahead_is_left_to_who_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    host, ahead = _ahead(monkeypatch, _Opening(refused=1))
    ahead.offer()
    assert route.Ahead.taken(host, "100.64.0.10", 3000) == []  # type: ignore[arg-type]
