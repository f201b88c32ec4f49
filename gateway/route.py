"""How HTTP from the machine that runs pyinfra reaches a port of a host.

Directly where that works: on the host itself, or from a machine of the same tailnet. Otherwise through the SSH
connection that pyinfra holds already, by way of a socket in a private directory, so that no port is opened here.
"""

from __future__ import annotations

import ipaddress
import logging
import shlex
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import paramiko
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

TAILNET = ipaddress.IPv4Network("100.64.0.0/10")
CONNECT_SECONDS = 3.0
_CHUNK = 65536

_PROHIBITED = 1  # RFC 4254 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
_CONNECTED = b"+"
_RELAY = 'exec 3<>"/dev/tcp/$1/$2" || exit 1; printf +; cat <&3 & cat >&3; kill $!'

# The gateway speaks plain HTTP inside the tailnet: loading the CA bundle, at 40 ms a client, would be for nothing.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# paramiko prints every refused channel to stderr; while a gateway starts, refusals are what is awaited, and
# where they matter a RouteError tells them.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class RouteError(Exception):
    """There is no way to the port; the text says why and what mends it."""


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


def _reaches_directly(address: str, port: int) -> bool:
    """Whether this machine is on the tailnet and the port answers. Looking up the route sends no packet."""
    if ipaddress.IPv4Address(address) not in TAILNET:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))
        except OSError:
            return False
        if ipaddress.IPv4Address(probe.getsockname()[0]) not in TAILNET:
            return False
    try:
        with socket.create_connection((address, port), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _ssh_transport(host: Host) -> paramiko.Transport:
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if isinstance(client, paramiko.SSHClient) else None
    if transport is None or not transport.is_active():
        raise RouteError(
            "this machine is not on the tailnet and there is no SSH connection to go through; run pyinfra"
            " from a machine of the tailnet, or connect by SSH"
        )
    return transport


@contextmanager
def _forward(transport: paramiko.Transport, address: str, port: int) -> Iterator[str]:
    """A Unix socket here that leads to `address:port` there, for as long as the context lasts."""
    # One, and never two at once: paramiko keeps only one refusal for all channels that are being opened.
    ready = [_open_channel(transport, address, port)]
    with tempfile.TemporaryDirectory(prefix="llm-gateway-") as directory:
        path = str(Path(directory) / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(16)
            threading.Thread(target=_accept, args=(listener, transport, address, port, ready), daemon=True).start()
            try:
                yield path
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # ends the accept
                for channel in ready:
                    with suppress(OSError, EOFError):
                        channel.close()


def _open_channel(transport: paramiko.Transport, address: str, port: int) -> paramiko.Channel:
    try:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS)
    except paramiko.ChannelException as refusal:
        if refusal.code != _PROHIBITED:
            raise RouteError(f"nothing listens on {address}:{port}") from None
        return _open_relay(transport, address, port)
    except (paramiko.SSHException, OSError, EOFError) as problem:
        raise RouteError(f"the SSH connection cannot carry it: {problem}") from None


def _open_relay(transport: paramiko.Transport, address: str, port: int) -> paramiko.Channel:
    """The same by bash on the host, for an SSH server that was hardened with `AllowTcpForwarding no`."""
    try:
        channel = transport.open_session(timeout=CONNECT_SECONDS)
        channel.settimeout(CONNECT_SECONDS)
        channel.exec_command(f"bash -c {shlex.quote(_RELAY)} relay {shlex.quote(address)} {port} 2>/dev/null")
        if channel.recv(1) != _CONNECTED:
            channel.close()
            raise RouteError(f"nothing listens on {address}:{port}")
        channel.settimeout(None)
        return channel
    except (paramiko.SSHException, OSError, EOFError) as problem:
        raise RouteError(f"the SSH connection cannot carry it: {problem}") from None


def _accept(
    listener: socket.socket,
    transport: paramiko.Transport,
    address: str,
    port: int,
    ready: list[paramiko.Channel],
) -> None:
    """Join each connection to a channel; the first one was opened beforehand and waits in `ready`."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the context has ended
        try:
            channel = ready.pop() if ready else _open_channel(transport, address, port)
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
