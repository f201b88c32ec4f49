"""What event loops and threads do in ways of their own, by the names that `_sync/primitives.py` has, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import anyio
from anyio.lowlevel import current_token

from ..deadline import Deadline, TimeLeft
from ..failures import timed_out

_Result = TypeVar("_Result")

Attempt = Callable[[], Awaitable[_Result]]
sleep = anyio.sleep
owner = current_token
"""Whose a connection is: no loop can use or close those of another."""


async def in_time(step: Awaitable[_Result], deadline: Deadline) -> _Result:
    """Return what `step` does. Raises LLMTimeoutError once the deadline has passed."""
    with anyio.move_on_after(deadline.left()):
        return await step
    raise timed_out(deadline)


def shielded() -> AbstractContextManager[object, bool | None]:
    """Do what is in it in a cancelled task, too: a server that shuts down closes its client in one."""
    return anyio.CancelScope(shield=True)


def timeouts(deadline: Deadline, connecting: Deadline) -> dict[str, float]:
    """The time-outs of a request: `in_time` ends all but the turns of a name's addresses, and of gateways."""
    return {"connect": TimeLeft(connecting)}
