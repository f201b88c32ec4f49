"""Waiting for a condition, never for a fixed time."""

import time
from collections.abc import Callable

from lab.errors import LabError


def until(condition: Callable[[], bool], within_s: float, or_else: Callable[[], LabError]) -> None:
    """Poll a condition until it holds.

    Args:
        condition: asked again and again; raises a LabError where waiting on is pointless.
        within_s: the deadline in seconds.
        or_else: makes the error when the deadline has passed.

    Raises:
        LabError: the deadline has passed, or the condition gave up.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise or_else()
        time.sleep(0.1)
