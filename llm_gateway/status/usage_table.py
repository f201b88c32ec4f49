"""A report of usage as text: a table for each gateway, at most 80 columns wide, and below it what its log misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from llm_gateway.model.columns import width
from llm_gateway.model.usage import DAY, Sums, Usage
from llm_gateway.model.wording import Wording
from llm_gateway.status import usage_report
from llm_gateway.status.usage_report import GatewayUsage, Report

WIDTH = 80
GAP = "  "
NARROWEST_NAME = 6
READABLE_NAME = 10
"""Below which numbers are shortened rather than names; a day is as long, and is never cut."""
_LONG_AMOUNT = 10_000
_UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


def text(report: Report, words: Wording) -> str:
    """All gateways, one after the other."""
    if not report.gateways:
        return words("no gateway")
    parts = ["\n".join(_gateway(found, report, words)) for found in report.gateways]
    if any(found.usage for found in report.gateways):
        parts.append(words("misses"))
    return "\n\n".join(parts)


def state(found: GatewayUsage, words: Wording) -> str:
    """One line for a gateway of which there is no usage."""
    return words(found.state, name=found.name, problem=found.problem)


def period(found: GatewayUsage, words: Wording) -> str:
    """One line: whose, and since when."""
    return words("period", name=found.name, since=_moment(found.since), zone=found.zone)


def notes(found: GatewayUsage, report: Report, words: Wording) -> Iterator[str]:
    """What the numbers of a gateway miss, a line each."""
    usage = found.usage
    if usage is None:
        return
    if found.rows_begin:
        kind = "pruned" if found.is_pruned else "young"
        yield words(kind, oldest=_moment(found.rows_begin), days=found.log_days)
    if usage.group_count > len(usage.groups):
        yield words("capped", count=usage.group_count, shown=len(usage.groups))
    if usage.total.unpriced:
        models = [words("of tokens", model=model, tokens=f"{tokens:,}") for model, _, tokens in usage.unpriced]
        yield words("unpriced", requests=f"{usage.total.unpriced:,}", models=words("and").join(models))
    if usage.total.without_tokens:
        yield words("without tokens", count=f"{usage.total.without_tokens:,}")
    if usage.lost:
        yield words("lost", count=f"{usage.lost:,}")
    if usage.failures_since is None:
        yield words("no failures known")
    elif count := usage_report.failed_in_all(usage):
        told = words("failures", count=f"{count:,}", since=_moment(_latest(usage.failures_since, found.since)))
        yield told if usage_report.tells_failures(usage, report.by) else f"{told} {words('failures by')}"


def _latest(one: datetime, other: datetime | None) -> datetime:
    return max(one, other) if other else one


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""


def _gateway(found: GatewayUsage, report: Report, words: Wording) -> Iterator[str]:
    if found.usage is None:
        yield from wrapped(state(found, words), "")
        return
    yield period(found, words)
    groups = usage_report.rows(found.usage, report.by)
    if groups:
        yield from _table(found.usage, report, words)
    else:
        yield f"  {words('none')}"
    for note in notes(found, report, words):
        yield from wrapped(note)


def wrapped(line: str, indent: str = "  ") -> Iterator[str]:
    """A line in pieces of at most 80 columns, where there are blanks to part it at; Chinese is parted anywhere."""
    begun = ""
    for piece in _pieces(line):
        if begun and width(indent + begun + piece.rstrip()) > WIDTH:
            yield f"{indent}{begun.rstrip()}"
            begun, indent = "", "  "
        begun += piece
    yield f"{indent}{begun.rstrip()}"


def _pieces(line: str) -> Iterator[str]:
    begun = ""
    for character in line:
        begun += character
        if character == " " or width(character) == 2:
            yield begun
            begun = ""
    yield begun


def _table(usage: Usage, report: Report, words: Wording) -> Iterator[str]:
    """The head, the groups and the total; numbers are exact where there is room for them."""
    for number in (lambda count: f"{count:,}", short):
        names, numbers = _cells(usage, report, words, number)
        room = WIDTH - sum(_widest(numbers)) - len(GAP) * (len(names[0]) + len(numbers[0]) - 1)
        if room >= sum(min(each, READABLE_NAME) for each in _widest(names)):
            break
    limits = shared(_widest(names), room, [name != DAY for name in report.by])
    for name_cells, number_cells in zip(names, numbers, strict=True):
        cells = [_padded(cut(cell, limit), limit) for cell, limit in zip(name_cells, limits, strict=True)]
        cells += [
            " " * (columns - width(cell)) + cell for cell, columns in zip(number_cells, _widest(numbers), strict=True)
        ]
        yield GAP.join(cells).rstrip()


_Rows = list[tuple[str, ...]]


def _cells(usage: Usage, report: Report, words: Wording, number: Callable[[int], str]) -> tuple[_Rows, _Rows]:
    by = report.by
    has_failures = usage_report.tells_failures(usage, by)
    heads = ("requests", "prompt", "completion", *(("failed",) if has_failures else ()), "cost")
    names: _Rows = [tuple(words(name) for name in by)]
    numbers: _Rows = [tuple(words(name) for name in heads)]

    def add(named: tuple[str, ...], sums: Sums, failed: int | None) -> None:
        failures = () if not has_failures else ("" if failed is None else number(failed),)
        told = (number(sums.requests), number(sums.prompt), number(sums.completion), *failures)
        # Each currency has a line of its own.
        costs = usage_report.cost(sums, "?", short_amount if number is short else None).split(" + ")
        for place, cost in enumerate(costs):
            names.append(("",) * len(by) if place else named)
            numbers.append((*("",) * len(told), f"+ {cost}") if place else (*told, cost))

    for group in usage_report.rows(usage, by):
        add(group.names, group.sums, usage_report.failed(usage, by, group))
    rest = ("",) * (len(by) - 1)
    if usage.group_count > len(usage.groups):
        add((words("others", count=usage.group_count - len(usage.groups)), *rest), usage.others, None)
    add((words("total"), *rest), usage.total, usage_report.failed_in_all(usage))
    return names, numbers


def _widest(cells: _Rows) -> list[int]:
    return [max(map(width, column)) for column in zip(*cells, strict=True)]


def shared(wanted: Sequence[int], room: int, can_be_cut: Sequence[bool]) -> list[int]:
    """How many columns each name gets of those there are: the widest that can be cut give first."""
    limits = list(wanted)
    while sum(limits) > room:
        width, place = max(
            (width * can, place) for place, (width, can) in enumerate(zip(limits, can_be_cut, strict=True))
        )
        if width <= NARROWEST_NAME:
            break
        limits[place] -= 1
    return limits


def cut(name: str, limit: int) -> str:
    """A name of at most that many columns."""
    if width(name) <= limit:
        return name
    while width(name) > limit - 1:
        name = name[:-1]
    return f"{name}…"


def _padded(name: str, columns: int) -> str:
    return name + " " * (columns - width(name))


def short_amount(amount: Decimal) -> str:
    """Such as "84.8k", "9,999.99"."""
    return short(int(amount)) if amount >= _LONG_AMOUNT else usage_report.exact(amount)


def short(count: int) -> str:
    """Such as "999", "12.3k", "4.56M"."""
    for size, unit in _UNITS:
        if count >= size:
            value = count / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(count)
