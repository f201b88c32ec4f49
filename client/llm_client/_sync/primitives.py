"""What event loops and threads do in ways of their own, by the names that `_async/primitives.py` has, too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from ..deadline import Deadline, TimeLeft

_Result = TypeVar("_Result")
_NOTHING = nullcontext()

Attempt = Callable[[], _Result]
sleep = time.sleep
owner = os.getpid
"""Whose a connection is: a forked child must not talk on its parent's."""


def in_time(result: _Result, deadline: Deadline) -> _Result:
    """Return `result`, which is here by now: the sockets keep to the deadline, by `timeouts`."""
    return result


def shielded() -> AbstractContextManager[object, bool | None]:
    """Nothing: nobody cancels a thread."""
    return _NOTHING


def timeouts(deadline: Deadline, connecting: Deadline) -> dict[str, float]:
    """The time-outs of a request, for all that a socket does."""
    left = TimeLeft(deadline)
    connect = left if connecting is deadline else TimeLeft(connecting)
    return {"connect": connect, "read": left, "write": left, "pool": left}
