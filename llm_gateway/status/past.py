"""The last two weeks of a gateway, which a page shows: the looks of its canary, its backups, what was used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_gateway.status.status_answers import StatusAnswers
from llm_gateway.status.usage_report import GatewayUsage

DAYS = 14


@dataclass(frozen=True)
class Hour:
    """The canary's looks of an hour.

    Args:
        begin: seconds since 1970.
        asked, failed: how often it looked, and how often no completion came.
        seconds, slowest: that the completions took which came, in sum and at most.
    """

    begin: float
    asked: int
    failed: int
    seconds: float
    slowest: float


@dataclass(frozen=True)
class Past:
    """What a host has kept of its gateway.

    Args:
        hours: in the order of the file; after a jump of the clock an hour can be there twice.
        backups: those that are kept: (seconds since 1970, bytes).
        failed_backups: when the timer's failed, in seconds since 1970, as far as the host's journal goes back.
        usage: by agent and model; None where it was not read.
    """

    hours: tuple[Hour, ...] = ()
    backups: tuple[tuple[float, int], ...] = ()
    failed_backups: tuple[float, ...] = ()
    usage: GatewayUsage | None = None


NONE = Past()
"""Of a host that has kept nothing, or was not asked."""


def of(seen: StatusAnswers, usage: GatewayUsage | None = None) -> Past:
    """What a host answers. A line that is not whole, as after a full disk, counts for nothing."""
    return Past(
        tuple(_hours(seen.canary_hours)),
        tuple((float(made), int(size)) for _, size, made in map(str.split, seen.backups)),
        tuple(_moments(seen.failed_backups)),
        usage,
    )


def _hours(lines: list[str]) -> Iterator[Hour]:
    for line in lines:
        try:
            name, asked, failed, seconds, slowest = line.split()
            begin = datetime.strptime(name, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()
            yield Hour(begin, int(asked), int(failed), float(seconds), float(slowest))
        except ValueError:
            continue


def _moments(lines: list[str]) -> Iterator[float]:
    for line in lines:
        try:
            yield float(line)
        except ValueError:  # "-- No entries --"
            continue
