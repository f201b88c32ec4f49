"""Sockets that keep to a deadline, where the usual ones keep to a time-out for each read."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .deadline import Deadline, TimeLeft
from .failures import system_error
from .http_library import httpcore

WRITE_PIECE = 65536
_FIRST_PATIENCE = 1.0
_LATER_PATIENCE = 4.0
"""Seconds for one of several addresses; TCP itself tries anew after 1 s and 3 s."""
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})


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
        """Connect to the first of the host's addresses that answers."""
        tries = Tries(resolved(host, port, timeout), timeout)
        for address, seconds in tries:
            try:
                stream = self._sockets.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                tries.failed(address, exc)
            else:
                return DeadlineStream(stream)
        raise tries.error


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose every read and write asks the deadline what is left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, waiting at most until the deadline."""
        return self._stream.read(max_bytes, seconds_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`, in pieces, so that a slow reader cannot outlast the deadline.

        httpcore takes a WriteError as a reason to read what the server has to say.
        """
        for start in range(0, len(buffer), WRITE_PIECE):
            if start and self._is_answered(timeout):
                raise httpcore.WriteError("the server answered before it had the whole request")
            piece = buffer[start : start + WRITE_PIECE]
            self._stream.write(piece, seconds_left(timeout, httpcore.WriteTimeout))

    def _is_answered(self, timeout: float | None) -> bool:
        """Wait until more can be sent, or an answer has come; over TLS, what comes may be none."""
        connection = self._stream.get_extra_info("socket")
        if isinstance(connection, ssl.SSLSocket):
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            ready = selector.select(seconds_left(timeout, httpcore.WriteTimeout))
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
        left = seconds_left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Facts about the socket, as httpcore asks for them."""
        return self._stream.get_extra_info(info)


class Tries:
    """The addresses of a name in turns, and the seconds for each, until the deadline.

    A name often has an address of a family that has no way from here, or that is dead. So each gets a second at
    first; then those that have not answered get more, as the way may be long.

    Attributes:
        error: what to raise once there is no address left to try.
    """

    def __init__(self, addresses: list[str], timeout: float | None) -> None:
        self.error: httpcore.ConnectError = httpcore.ConnectError("the name has no address")
        self._addresses = addresses
        self._deadline = deadline_of(timeout)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Raises httpcore.ConnectTimeout once the deadline has passed."""
        patience = _FIRST_PATIENCE
        while self._addresses:
            turn = list(self._addresses)
            for number, address in enumerate(turn):
                left = self._deadline.left()
                if left <= 0:
                    raise httpcore.ConnectTimeout("the deadline has passed")
                yield address, left if len(turn) == 1 else min(patience, left / (len(turn) - number))
            patience = _LATER_PATIENCE

    def failed(self, address: str, error: httpcore.ConnectError | httpcore.ConnectTimeout) -> None:
        """Do not try `address` again where it refused; of several errors, that of a host that was reached counts."""
        if isinstance(error, httpcore.ConnectTimeout):
            return
        if not self.error.__context__ or _has_no_way(self.error):
            self.error = error
        self._addresses.remove(address)


def _has_no_way(error: BaseException) -> bool:
    cause = system_error(error)
    return cause is not None and cause.errno in _NO_WAY


def deadline_of(timeout: float | None) -> Deadline:
    """The deadline that httpcore carries around as a time-out."""
    return timeout.deadline if isinstance(timeout, TimeLeft) else Deadline(timeout or 60.0)


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
    deadline = deadline_of(timeout)
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
