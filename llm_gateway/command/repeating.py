"""A command that is carried out again and again, each time by a process of its own, until Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from llm_gateway.hosts.interruption import INTERRUPTED


def without(words: Sequence[str], flag: str) -> list[str]:
    """The words of a command line without an option and its value."""
    kept: list[str] = []
    left_out = False
    for word in words:
        if left_out:
            left_out = False
        elif word == flag:
            left_out = True
        elif not word.startswith(f"{flag}="):
            kept.append(word)
    return kept


def repeat(
    words: Sequence[str],
    seconds: float,
    run: Callable[[Sequence[str]], int] = lambda words: subprocess.run(words, check=False).returncode,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Run it every so many seconds. Returns the exit code that ends it.

    What fails at first is a mistake, and ends it; later it is a host or a network that will be there again.
    """
    has_worked = False
    try:
        while True:
            began = time.monotonic()
            code = run(words)
            if code in (INTERRUPTED, 2) or (code and not has_worked):
                return code
            has_worked = True
            wait(max(0.0, began + seconds - time.monotonic()))
    except KeyboardInterrupt:
        return INTERRUPTED


def words_again(flag: str, datum: str) -> list[str]:
    """How this process was started, with a datum in the place of an option."""
    return [*without(sys.orig_argv, flag), "--data", datum]
