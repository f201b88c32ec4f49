"""A report of usage: what each gateway's log tells, as values, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from llm_gateway.model.usage import CHANNEL, CURRENCIES, DAY, DIMENSIONS, Failures, Group, Sums, Usage

READ, DOWN, UNREADABLE, MOVED = "read", "down", "unreadable", "moved"
_OF_FAILURES = frozenset((CHANNEL, DAY))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class GatewayUsage:
    """What the log of one gateway tells, or why it tells nothing.

    Args:
        state: "read", "down" (not reached), "unreadable", or "moved" (to another host).
        problem: why it is unreadable; the host that it was moved to.
        since: the beginning of the period, in the gateway's time zone.
        zone: that zone's name.
        log_days: for how many days its log is kept; None: always.
    """

    name: str
    state: str
    problem: str = ""
    since: datetime | None = None
    zone: str = "UTC"
    log_days: int | None = None
    usage: Usage | None = None

    @property
    def rows_begin(self) -> datetime | None:
        """Since when rows exist, where that is later than the period begins, in the gateway's time zone."""
        if not (self.usage and self.usage.oldest and self.since) or self.usage.oldest <= self.since:
            return None
        return self.usage.oldest.astimezone(self.since.tzinfo)

    @property
    def is_pruned(self) -> bool:
        """Whether the period begins before what is kept."""
        return bool(self.log_days and self.since and self.since < datetime.now(UTC) - timedelta(days=self.log_days))


@dataclass(frozen=True)
class Report:
    """What was asked for, and what each gateway answers."""

    made_at: datetime
    since: str
    by: tuple[str, ...]
    gateways: tuple[GatewayUsage, ...]


def tells_failures(usage: Usage, by: Sequence[str]) -> bool:
    """Whether failures can be told beside each group: the log knows their channel and day alone, if anything."""
    return _OF_FAILURES.issuperset(by) and usage.failures_since is not None


def failed(usage: Usage, by: Sequence[str], group: Group) -> int | None:
    """How many attempts failed in a group of channels, days or both; None where that cannot be told."""
    if not tells_failures(usage, by):
        return None
    wanted = dict(zip(by, group.names, strict=True))
    return sum(each.count for each in usage.failures if _names(each, by) == wanted)


def rows(usage: Usage, by: Sequence[str]) -> list[Group]:
    """The groups in the order in which a person reads them: by day where that is asked for, else the largest first.

    Where failures are told beside groups, what has only failed is a group, too.
    """
    groups = list(usage.groups)
    if tells_failures(usage, by):
        known = {group.names for group in groups}
        only = {tuple(_names(each, by).values()): None for each in usage.failures}
        groups += [Group(names, Sums()) for names in only if names not in known]
    return sorted(groups, key=lambda group: group.names[by.index(DAY)]) if DAY in by else groups


def _names(failures: Failures, by: Sequence[str]) -> dict[str, str]:
    told = {CHANNEL: failures.channel, DAY: failures.day.isoformat() if failures.day else ""}
    return {name: told[name] for name in by}


def summed(groups: Sequence[Group], place: int) -> dict[str, Sums]:
    """The groups by one of their names alone. Parameters: `place`, of that name."""
    sums: dict[str, Sums] = {}
    for group in groups:
        name = group.names[place]
        sums[name] = sums.get(name, Sums()).plus(group.sums)
    return sums


def failed_in_all(usage: Usage) -> int:
    """How many attempts failed in the period."""
    return sum(each.count for each in usage.failures) + usage.more_failures


def as_json(report: Report) -> dict[str, Any]:
    """Plain values; see llm_gateway/tasks/usage.py for the shape."""
    return {
        "made_at": _utc(report.made_at),
        "since": report.since,
        "by": list(report.by),
        "gateways": [_gateway(each, report.by) for each in report.gateways],
    }


def _gateway(found: GatewayUsage, by: tuple[str, ...]) -> dict[str, Any]:
    usage = found.usage
    head = {"name": found.name, "state": found.state, "problem": found.problem}
    if usage is None:
        return {**head, **dict.fromkeys(("since", "time_zone", "rows_since", "total", "groups", "group_count"))} | {
            "other_groups": None,
            "models_without_price": None,
            "failed_attempts": None,
            "lost_rows": None,
        }
    return {
        **head,
        "since": found.since.isoformat(timespec="seconds") if found.since else None,
        "time_zone": found.zone,
        "rows_since": _utc(usage.oldest) if usage.oldest else None,
        "total": _sums(usage.total),
        "groups": [{**dict(zip(by, each.names, strict=True)), **_sums(each.sums)} for each in usage.groups],
        "group_count": usage.group_count,
        "other_groups": _sums(usage.others) if usage.group_count > len(usage.groups) else None,
        "models_without_price": [
            {"model": model, "requests": requests, "tokens": tokens} for model, requests, tokens in usage.unpriced
        ],
        "failed_attempts": {
            "known_since": usage.failures_since.isoformat(timespec="seconds") if usage.failures_since else None,
            "total": failed_in_all(usage),
            "groups": [
                {
                    **_names(each, [name for name in by if name in _OF_FAILURES]),
                    "attempts": each.count,
                }
                for each in usage.failures
            ],
        },
        "lost_rows": usage.lost,
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "prompt_tokens": sums.prompt,
        "completion_tokens": sums.completion,
        "cost": {name: float(round(cost, 6)) for name, cost in sums.costs},
        "requests_without_price": sums.unpriced,
        "requests_without_tokens": sums.without_tokens,
    }


def as_csv(report: Report) -> str:
    """A line for each group below a head; of what is not known the field is empty. Groups left out are one line.

    A name that a spreadsheet would take for a formula has an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (
            *("gateway", *DIMENSIONS, "requests", "prompt_tokens", "completion_tokens"),
            *(f"cost_{currency.lower()}" for currency in CURRENCIES),
            *("requests_without_price", "requests_without_tokens", "failed_attempts"),
        )
    )
    for found in report.gateways:
        if found.usage:
            writer.writerows(_csv_rows(found.name, found.usage, report))
    return text.getvalue()


def _csv_rows(gateway: str, usage: Usage, report: Report) -> Iterator[tuple[object, ...]]:
    for group in rows(usage, report.by):
        # The writer leaves the field of None empty.
        count = failed(usage, report.by, group)
        yield (_safe(gateway), *_dimensions(report.by, group.names), *_numbers(group.sums), count)
    if usage.group_count > len(usage.groups):
        yield (_safe(gateway), *_dimensions(report.by, ("(other)",) * len(report.by)), *_numbers(usage.others), None)


def _dimensions(by: tuple[str, ...], names: tuple[str, ...]) -> Iterator[str]:
    named = dict(zip(by, names, strict=True))
    return (_safe(named.get(name, "")) for name in DIMENSIONS)


def _numbers(sums: Sums) -> tuple[object, ...]:
    costs = dict(sums.costs)
    known = [f"{costs[name]:.6f}" if name in costs else "" for name in CURRENCIES]
    return (sums.requests, sums.prompt, sums.completion, *known, sums.unpriced, sums.without_tokens)


def _safe(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


def cost(sums: Sums, unknown: str, written: Callable[[Decimal], str] | None = None) -> str:
    """Such as "12.34 CNY + 0.0012 USD + unknown"; "-" where there are no tokens to be paid.

    Parameters: `written`, how an amount is written.
    """
    known = [f"{(written or exact)(amount)} {currency}" for currency, amount in sums.costs]
    return " + ".join([*known, unknown] if sums.unpriced else known) or "-"


def exact(amount: Decimal) -> str:
    """With two decimals, or as many as show that it is not nothing."""
    places = next((places for places in (2, 4, 6) if round(amount, places)), 2)
    return f"{amount:,.{places}f}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
