"""Sockets that keep to a deadline, where the usual ones keep to a time-out for each read."""

from __future__ import annotations

import selectors
import ssl
import threading
from typing import Any

from ..addresses import LookUp, deadline_of, is_address
from ..connections import WRITE_PIECE
from ..deadline import TimeLeft
from ..http_library import httpcore


class SocketStream(httpcore.NetworkStream):
    """A connection whose every read and write asks the deadline what is left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, waiting at most until the deadline."""
        return self._stream.read(max_bytes, _seconds_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`, in pieces, so that a slow reader cannot outlast the deadline.

        httpcore takes a WriteError as a reason to read what the server has to say.
        """
        for start in range(0, len(buffer), WRITE_PIECE):
            if start and self._is_answered(timeout):
                raise httpcore.WriteError("the server answered before it had the whole request")
            piece = buffer[start : start + WRITE_PIECE]
            self._stream.write(piece, _seconds_left(timeout, httpcore.WriteTimeout))

    def _is_answered(self, timeout: float | None) -> bool:
        """Wait until more can be sent, or an answer has come; over TLS, what comes may be none."""
        connection = self._stream.get_extra_info("socket")
        if isinstance(connection, ssl.SSLSocket):
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            ready = selector.select(_seconds_left(timeout, httpcore.WriteTimeout))
        return any(events & selectors.EVENT_READ for _, events in ready)

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
        left = _seconds_left(timeout, httpcore.ConnectTimeout)
        return SocketStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Facts about the socket, as httpcore asks for them."""
        return self._stream.get_extra_info(info)


def _seconds_left(timeout: float | None, late: type[Exception]) -> float | None:
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
    deadline = deadline_of(timeout)
    done = threading.Event()
    look_up = LookUp(host, port, done.set)
    done.wait(max(deadline.left(), 0))
    return look_up.addresses()
