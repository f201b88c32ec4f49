"""Sockets that keep to a deadline, where the usual ones keep to a time-out for each read."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .deadline import Deadline, TimeLeft
from .http_library import httpcore

_WRITE_PIECE = 65536


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens TCP connections, name resolution included, before the deadline of the request."""

    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers.

        Each address gets an equal share of the time left, so that a dead one cannot eat it all.
        """
        addresses = resolved(host, port, timeout)
        for number, address in enumerate(addresses, start=1):
            share = seconds_left(timeout, httpcore.ConnectTimeout)
            if share is not None:
                share /= len(addresses) - number + 1
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return DeadlineStream(stream)
        raise httpcore.ConnectError(f"{host} has no address")


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose every read and write asks the deadline what is left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, waiting at most until the deadline."""
        return self._stream.read(max_bytes, seconds_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`, in pieces, so that a slow reader cannot outlast the deadline."""
        for start in range(0, len(buffer), _WRITE_PIECE):
            piece = buffer[start : start + _WRITE_PIECE]
            self._stream.write(piece, seconds_left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Do the TLS handshake; CPython itself bounds all of it by one time-out."""
        left = seconds_left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Facts about the socket, as httpcore asks for them."""
        return self._stream.get_extra_info(info)


def seconds_left(timeout: float | None, late: type[Exception]) -> float | None:
    """What a socket operation may take now; raises `late` when nothing is left."""
    if not isinstance(timeout, TimeLeft):
        return timeout
    left = timeout.deadline.left()
    if left <= 0:
        raise late("the deadline has passed")
    return left


def resolved(host: str, port: int, timeout: float | None) -> list[str]:
    """Return the addresses of `host`, before the deadline."""
    if is_address(host):
        return [host]
    deadline = timeout.deadline if isinstance(timeout, TimeLeft) else Deadline(timeout or 60.0)
    done = threading.Event()
    look_up = LookUp(host, port, done.set)
    done.wait(max(deadline.left(), 0))
    return look_up.addresses()


class LookUp:
    """A name being looked up in a thread of its own, because getaddrinfo takes no time-out and cannot be ended."""

    def __init__(self, host: str, port: int, done: Callable[[], object]) -> None:
        """Begins at once; `done` is called at the end, in the thread. Raises httpcore.ConnectError without one."""
        self._host = host
        self._found: list[str] | OSError | None = None
        worker = threading.Thread(target=self._work, args=(port, done), name="llm-client-dns", daemon=True)
        try:
            worker.start()
        except RuntimeError as exc:  # too many threads, or the interpreter is about to end
            self._found = socket.gaierror(socket.EAI_AGAIN, str(exc))
            self.addresses()  # which raises it

    def addresses(self) -> list[str]:
        """Return what was found.

        Raises:
            httpcore.ConnectTimeout: nothing yet.
            httpcore.ConnectError: there is no such name.
        """
        if isinstance(self._found, OSError):
            try:
                raise self._found
            except OSError as exc:  # as __context__: httpcore's pool drops the __cause__
                raise httpcore.ConnectError(str(exc)) from exc
        if not self._found:
            raise httpcore.ConnectTimeout(f"the name {self._host} was not resolved in time")
        return self._found

    def _work(self, port: int, done: Callable[[], object]) -> None:
        try:
            rows = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM)
            self._found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        except OSError as exc:
            self._found = exc
        except UnicodeError as exc:  # a label that is empty or too long
            self._found = socket.gaierror(socket.EAI_NONAME, str(exc))
        done()


def is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, UnicodeError):
            continue
        return True
    return False
