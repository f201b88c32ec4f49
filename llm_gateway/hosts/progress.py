"""How far a long operation is: told to the person, and kept in the host's journal."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyinfra.api.host import Host

from llm_gateway.hosts import journal, remote

_seconds = [10.0]
"""Between two words about how far something is: each is a line of pyinfra's own output."""


def step(host: Host, text: str) -> None:
    """Say what comes next. Every long operation calls this before each of its steps.

    Parameters: `text`, such as "migrate: stopping the old gateway".
    Raises RemoteError where the host cannot be reached, or has begun to undo what the run is doing there.
    """
    remote.tell(host, f"{text} ...")
    journal.note(host, text)


def tell_each(seconds: float) -> None:
    """How often it is told how far something is: each time, where a live line shows the last of it."""
    _seconds[:] = [seconds]


class Told:
    """Tells now and then how far something is; it is called with each text that would be true now."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host, self._clock = host, clock
        self._told_at = clock()

    def __call__(self, text: str) -> None:
        """This is how far it is."""
        if (now := self._clock()) - self._told_at >= _seconds[0]:
            self._told_at = now
            remote.tell(self._host, f"{text} ...")


class Moved:
    """Tells now and then how many bytes of a file have gone; it is called with each piece's number of them.

    Parameters: `what`, such as "sending the image"; `total`, in bytes.
    """

    def __init__(self, host: Host, what: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = Told(host, clock)
        self._what, self._total = what, total
        self._moved = 0

    def __call__(self, count: int) -> None:
        """So many bytes more have gone."""
        self._moved += count
        mib = 1 << 20
        self._tell(f"{self._what}: {self._moved / mib:.0f} of {self._total / mib:.0f} MiB")
