"""What timers run on a gateway's host, and the commands that it calls: whether the host takes their settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import commands
from gateway.backups import scheduled_backups
from gateway.canary import scheduled_canary

if TYPE_CHECKING:
    from gateway.fleet import Member


def problems(member: Member) -> Iterator[str]:
    """What stands in the way of every run that installs them. Raises ConnectionLostError."""
    yield from scheduled_backups.problems(member)
    yield from scheduled_canary.problems(member)
    yield from commands.problems(member)
