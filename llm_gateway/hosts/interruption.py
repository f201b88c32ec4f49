"""Ctrl-C: the run says so and ends, at a point where nothing else is broken by that."""

from __future__ import annotations

import atexit
import os
import signal
import sys

import gevent
from pyinfra import logger

INTERRUPTED = 130
"""The shell's code for a program that Ctrl-C has ended; pyinfra itself says 0."""
_BUSY_SECONDS = 0.5
_LAST_SECONDS = 5


def watch() -> None:
    """Have Ctrl-C end the run with `INTERRUPTED`, whatever it is doing."""
    signal.signal(signal.SIGINT, _wait_for_turn)
    # A run that has said all keeps its exit code while Python clears up, which would have the signal kill it.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _wait_for_turn(number: int, frame: object) -> None:
    """End the run at the event loop's next turn.

    Python calls this between any two of its instructions. What is raised there may come up in a place that cannot
    pass it on, such as a destructor or a hook of `fork`: Python then prints a traceback, and runs on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends within seconds
    gevent.get_hub().loop.run_callback_threadsafe(gevent.spawn, _end)
    # A run that asks a person something, or computes, gives the loop no turn.
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, _BUSY_SECONDS)


def _end(*_: object) -> None:
    if signal.getsignal(signal.SIGALRM) is not _end:
        return  # the loop and the clock both came to it
    # The exit is an exception in the main greenlet, and code that swallows it would run on.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(INTERRUPTED))
    signal.alarm(_LAST_SECONDS)
    logger.error("Interrupted: run the same command again; it resumes where this run stopped.")
    sys.exit(INTERRUPTED)
