"""Lines for the person who waits, on standard error: standard output belongs to commands."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

WORTH_TELLING_S = 2.0
STILL_AT_IT_S = 15.0


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, that it still goes on, and how long it took.

    Args:
        what: the work in a few words, such as ``building the host image``.
    """
    say(f"{what} ...")
    started = time.monotonic()
    finished = threading.Event()

    def remind() -> None:
        while not finished.wait(STILL_AT_IT_S):
            say(f"{what} ... still at it after {time.monotonic() - started:.0f} s")

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    finally:
        finished.set()
        reminder.join()
    took = time.monotonic() - started
    if took >= WORTH_TELLING_S:
        say(f"{what}: done in {took:.1f} s")
