"""One point in time by which a whole call is over."""

from __future__ import annotations

import math
import time

from .errors import LLMConfigError

DEFAULT_TIMEOUT = 60.0
"""Seconds for a whole call."""
REMAINDER_SECONDS = 0.05
"""What an answer that is over may take to its last byte, after which its connection can be used again."""


class Deadline:
    """A number of seconds from now, shared by all steps of one call."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self._end - time.monotonic()

    def shorten(self, seconds: float) -> None:
        """Let it be over in `seconds`, if it would not be anyway."""
        self._end = min(self._end, time.monotonic() + seconds)

    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.left() <= 0


class TimeLeft(float):
    """A time-out in seconds that still knows its deadline.

    httpcore hands the time-out of a request unchanged to every read and write on the socket, each
    of which would get the whole of it again. Our network streams ask the deadline instead; for
    any other transport this is an ordinary float.
    """

    deadline: Deadline

    def __new__(cls, deadline: Deadline) -> TimeLeft:
        self = super().__new__(cls, max(deadline.left(), 0.001))
        self.deadline = deadline
        return self


def checked_timeout(timeout: object) -> float:
    """Return `timeout` (seconds) as a float.

    Raises:
        LLMConfigError: not a finite number above zero.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise LLMConfigError("timeout must be a number of seconds")
    if not 0 < timeout <= 1e9 or not math.isfinite(timeout):
        raise LLMConfigError("timeout must be a finite number of seconds above zero")
    return float(timeout)
