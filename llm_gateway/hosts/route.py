"""How HTTP from the machine that runs pyinfra reaches a port: as that is easiest, or as a host itself reaches it.

`route` leads to a port of a host: directly where that works (on the host itself, or from a machine of the same
tailnet), otherwise through the SSH connection that pyinfra holds already. `route_from` is the way of a host, with its
name resolution and its routes, and never this machine's. Through SSH it goes by a socket in a private directory, so
that no port is opened here.
"""

from __future__ import annotations

import ipaddress
import logging
import shlex
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import paramiko
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

TAILNET = ipaddress.IPv4Network("100.64.0.0/10")
CONNECT_SECONDS = 3.0
HOST_SECONDS = 10.0
"""How long a host may take to connect to another: a first packet through a relay of Tailscale's takes its time."""
_CHUNK = 65536

_PROHIBITED = 1  # RFC 4254 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
_CONNECTED = b"+"
_RELAY = 'exec 3<>"/dev/tcp/$1/$2" || exit 1; printf +; cat <&3 & cat >&3; kill $!'

# The gateway speaks plain HTTP inside the tailnet: loading the CA bundle, at 40 ms a client, would be for nothing.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# paramiko prints every refused channel to stderr; while a gateway starts, refusals are what is awaited, and
# where they matter a RouteError tells them.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


_offered: WeakKeyDictionary[Host, Ahead] = WeakKeyDictionary()


class RouteError(Exception):
    """There is no way to the port; the text says why and what fixes it."""


@contextmanager
def route(host: Host, address: str, port: int) -> Iterator[httpx.BaseTransport]:
    """A transport for httpx clients that reaches `address:port` as the host sees it.

    Raises RouteError when nothing listens there or the SSH connection is gone.
    """
    if isinstance(host.connector, LocalConnector) or _reaches_directly(address, port):
        with httpx.HTTPTransport(verify=_NO_TLS) as transport:
            yield transport
    else:
        with (
            _forward(_ssh_transport(host), address, port) as path,
            httpx.HTTPTransport(verify=_NO_TLS, uds=path) as transport,
        ):
            yield transport


@contextmanager
def route_from(host: Host, name: str, port: int) -> Iterator[httpx.BaseTransport]:
    """A transport for httpx clients that takes the host's own way to `name:port`.

    Parameters: `name`, an address or a name that the host resolves.
    Raises RouteError when the host gets no connection, or its SSH connection here is gone.
    """
    if isinstance(host.connector, LocalConnector):
        _connect(name, port, HOST_SECONDS)
        with httpx.HTTPTransport(verify=_NO_TLS) as transport:
            yield transport
    else:
        with (
            _forward(_ssh_transport(host), name, port, HOST_SECONDS, Ahead.taken(host, name, port)) as path,
            httpx.HTTPTransport(verify=_NO_TLS, uds=path) as transport,
        ):
            yield transport


@contextmanager
def route_from_here(address: str, port: int) -> Iterator[httpx.BaseTransport | None]:
    """This machine's own way by the tailnet; None where it is not on it. Raises RouteError where it is closed."""
    if not _is_on_tailnet(address, port):
        yield None
        return
    _connect(address, port, CONNECT_SECONDS)
    with httpx.HTTPTransport(verify=_NO_TLS) as transport:
        yield transport


class Ahead:
    """Connections of a host to `name:port` that are opened while a run waits for something else.

    Parameters: `count`, how many.
    """

    def __init__(self, host: Host, name: str, port: int, count: int) -> None:
        self._host, self._leads_to = host, (name, port)
        self._channels: list[paramiko.Channel] = []
        self._opening = threading.Thread(target=self._open, args=(count,), daemon=True)
        self._opening.start()

    def _open(self, count: int) -> None:
        with suppress(RouteError):  # whoever needs them is told
            for _ in range(count):
                self._channels.append(_open_channel(_ssh_transport(self._host), *self._leads_to))

    def offer(self) -> None:
        """Let `route_from` take them, until something is run on the host: that may change who listens there."""
        _offered[self._host] = self

    def take(self) -> list[paramiko.Channel]:
        """Those that stand, for the caller to close."""
        self._opening.join()
        return [channel for channel in self._channels if not (channel.closed or channel.eof_received)]

    def close(self) -> None:
        """Close what nobody has taken."""
        _close(self.take())

    @classmethod
    def taken(cls, host: Host, name: str, port: int) -> list[paramiko.Channel]:
        """What is offered and leads to just this port."""
        offered = _offered.get(host)
        return _offered.pop(host).take() if offered and offered._leads_to == (name, port) else []


def drop_offered(host: Host) -> None:
    """Close what is offered."""
    if offered := _offered.pop(host, None):
        offered.close()


def _close(channels: Iterable[paramiko.Channel]) -> None:
    for channel in channels:
        with suppress(OSError, EOFError):
            channel.close()


def _connect(name: str, port: int, seconds: float) -> None:
    """See that a connection can be had. Raises RouteError."""
    try:
        socket.create_connection((name, port), seconds).close()
    except TimeoutError:
        raise RouteError(_silent(name, port, seconds)) from None
    except OSError as problem:
        raise RouteError(f"no connection to {name}:{port} ({problem.strerror or problem})") from None


def _silent(name: str, port: int, seconds: float) -> str:
    return f"no answer from {name}:{port} within {seconds:g} s"


def _reaches_directly(address: str, port: int) -> bool:
    """Whether this machine is on the tailnet and the port answers."""
    if not _is_on_tailnet(address, port):
        return False
    try:
        _connect(address, port, CONNECT_SECONDS)
    except RouteError:
        return False
    return True


def _is_on_tailnet(address: str, port: int) -> bool:
    """Whether this machine sends to an address of the tailnet as a member of it. Looking that up sends no packet."""
    if ipaddress.IPv4Address(address) not in TAILNET:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))
        except OSError:
            return False
        return ipaddress.IPv4Address(probe.getsockname()[0]) in TAILNET


def _ssh_transport(host: Host) -> paramiko.Transport:
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if isinstance(client, paramiko.SSHClient) else None
    if transport is None or not transport.is_active():
        raise RouteError(f"there is no SSH connection to {host.name} to go through: connect to it by SSH")
    return transport


@contextmanager
def _forward(
    transport: paramiko.Transport,
    address: str,
    port: int,
    seconds: float = CONNECT_SECONDS,
    ahead: Sequence[paramiko.Channel] = (),
) -> Iterator[str]:
    """A Unix socket here that leads to `address:port` there, for as long as the context lasts.

    Parameters: `ahead`, channels that lead there already.
    """
    # One, and never two at once: paramiko keeps only one refusal for all channels that are being opened.
    open_channel = partial(_open_channel, transport, address, port, seconds)
    ready = [*ahead] or [open_channel()]
    with tempfile.TemporaryDirectory(prefix="llm-gateway-") as directory:
        path = str(Path(directory) / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(16)
            threading.Thread(target=_accept, args=(listener, open_channel, ready), daemon=True).start()
            try:
                yield path
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # ends the accept
                _close(ready)


def _open_channel(
    transport: paramiko.Transport, address: str, port: int, seconds: float = CONNECT_SECONDS
) -> paramiko.Channel:
    began = time.monotonic()
    try:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds)
    except paramiko.ChannelException as refusal:
        if refusal.code != _PROHIBITED:
            raise RouteError(f"nothing listens on {address}:{port}") from None
        return _open_relay(transport, address, port, seconds)
    except (paramiko.SSHException, OSError, EOFError) as problem:
        if transport.is_active() and time.monotonic() - began >= seconds:
            raise RouteError(_silent(address, port, seconds)) from None
        raise RouteError(f"the SSH connection cannot carry it: {problem}") from None


def _open_relay(transport: paramiko.Transport, address: str, port: int, seconds: float) -> paramiko.Channel:
    """The same by bash on the host, for an SSH server that was hardened with `AllowTcpForwarding no`."""
    try:
        channel = transport.open_session(timeout=CONNECT_SECONDS)
        channel.settimeout(seconds)
        channel.exec_command(f"bash -c {shlex.quote(_RELAY)} relay {shlex.quote(address)} {port} 2>/dev/null")
        if channel.recv(1) != _CONNECTED:
            channel.close()
            raise RouteError(f"nothing listens on {address}:{port}")
        channel.settimeout(None)
        return channel
    except TimeoutError:
        channel.close()  # which ends the relay
        raise RouteError(_silent(address, port, seconds)) from None
    except (paramiko.SSHException, OSError, EOFError) as problem:
        raise RouteError(f"the SSH connection cannot carry it: {problem}") from None


def _accept(
    listener: socket.socket, open_channel: Callable[[], paramiko.Channel], ready: list[paramiko.Channel]
) -> None:
    """Join each connection to a channel; the first ones were opened beforehand and wait in `ready`."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the context has ended
        try:
            channel = ready.pop() if ready else open_channel()
        except RouteError:
            connection.close()  # the HTTP client sees a server that hung up
            continue
        for source, sink in ((connection, channel), (channel, connection)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: Any, sink: Any) -> None:
    """Copy until the source ends, then tell the sink so. Sockets and channels are alike here."""
    with suppress(OSError, EOFError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)
