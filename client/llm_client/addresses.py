"""A host's addresses: how they are looked up, and which of them is tried for how long."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator

from .deadline import Deadline, TimeLeft
from .failures import system_error
from .http_library import httpcore

_FIRST_PATIENCE = 1.0
_LATER_PATIENCE = 4.0
"""Seconds for one of several addresses; TCP itself tries anew after 1 s and 3 s."""
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})


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
