"""What was used, as bars: requests and cost, by agent and by model."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from llm_gateway.model.usage import AGENT, CURRENCIES, MODEL, Sums
from llm_gateway.model.wording import Wording
from llm_gateway.status import usage_report
from llm_gateway.status.past import DAYS
from llm_gateway.status.usage_report import GatewayUsage

ROWS = 8
"""The most rows of a chart, and one for all that has no room."""
BY = (AGENT, MODEL)
"""What is asked for."""


@dataclass(frozen=True)
class Bar:
    """A bar: "requests" or "cost", its length in % of the longest of its kind, and what it stands for."""

    kind: str
    length: float
    told: str


@dataclass(frozen=True)
class Row:
    """An agent or a model."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Usage:
    """The charts, each with its name; `told`: why there are none, or that the log is younger than their period."""

    charts: tuple[tuple[str, tuple[Row, ...]], ...]
    told: str = ""


def usage(found: GatewayUsage, words: Wording) -> Usage | None:
    """The charts of a gateway; None where it was moved, and its log with it."""
    if found.usage is None:
        return Usage((), words("usage unread", problem=found.problem)) if found.state != usage_report.MOVED else None
    if not found.usage.total.requests:
        return Usage((), words("no requests", days=DAYS))
    summed = (usage_report.summed(found.usage.groups, place) for place in range(len(BY)))
    rest = found.usage.others
    names = (words(f"by {name}", days=DAYS) for name in BY)
    told = words("rows since", since=found.rows_begin) if found.rows_begin else ""
    return Usage(tuple((name, _rows(sums, rest, words)) for name, sums in zip(names, summed, strict=True)), told)


def _rows(sums: dict[str, Sums], rest: Sums, words: Wording) -> tuple[Row, ...]:
    """The largest by requests, then all others as one; `rest` is of groups that did not even come from the host."""
    ordered = sorted(sums.items(), key=lambda pair: (-pair[1].requests, pair[0]))
    shown, others = ordered[:ROWS], [each for _, each in ordered[ROWS:]]
    left = reduce(Sums.plus, [rest, *others] if rest.requests else others, Sums())
    if left.requests:
        shown.append((words("others", count=len(others)) if not rest.requests else "…", left))
    most = max((each.requests for _, each in shown), default=0) or 1
    dearest = {
        name: max((dict(each.costs).get(name, Decimal()) for _, each in shown), default=Decimal())
        for name in CURRENCIES
    }
    return tuple(
        Row(
            name,
            (
                Bar("requests", _percent(each.requests, most), f"{each.requests:,}"),
                *_costs(each, dearest, words),
            ),
        )
        for name, each in shown
    )


def _costs(sums: Sums, dearest: dict[str, Decimal], words: Wording) -> list[Bar]:
    """A bar for each currency: they are not added to each other. What is not known is said, and has no length."""
    bars = [
        Bar("cost", _percent(cost, dearest[name]), f"{usage_report.exact(cost)} {name}") for name, cost in sums.costs
    ]
    return [*bars, Bar("cost", 0.0, words("unknown"))] if sums.unpriced else bars


def _percent(part: Decimal | int, whole: Decimal | int) -> float:
    return round(float(100 * part / whole), 1) if whole else 0.0
