"""Two weeks as strips of SVG, which need no script: bars over the same days, one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from llm_gateway.model.wording import Wording
from llm_gateway.status import ages
from llm_gateway.status.past import DAYS, Hour, Past

SLOT_HOURS = 4
WIDTH, HEIGHT = DAYS * 24, 40
"""In units of the picture, of which one is an hour."""
_LEAST = 6
"""Of the height, so that a single failure of many looks is seen."""
_HOUR = 3600


@dataclass(frozen=True)
class Bar:
    """A bar with words of its own; its kind is "fine", "bad" or "none"."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    told: str


@dataclass(frozen=True)
class Strip:
    """A strip.

    Args:
        told: what it shows, in words.
        path: of the bars that are as they should be, in SVG's words; it has none of its own words.
        bars: the others.
        first, last: its first and its last day.
        scale: what its full height is; "" where it means nothing.
    """

    name: str
    told: str
    path: str
    bars: tuple[Bar, ...]
    first: str
    last: str
    scale: str = ""


def strips(past: Past, made_at: datetime, words: Wording) -> list[Strip]:
    """The canary's strip and that of the backups. Days are those of UTC."""
    today = made_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = today - timedelta(days=DAYS - 1)
    return [_looks(past, begin, words), _backups(past, begin, words)]


def _looks(past: Past, begin: datetime, words: Wording) -> Strip:
    slots = _slots(past.hours, begin.timestamp())
    asked, failed, seconds, slowest = _together([hour for slot in slots for hour in slot])
    means = [_mean(slot) for slot in slots]
    top = max(means, default=0.0) or 1.0
    path = "".join(
        _upright(at * SLOT_HOURS, SLOT_HOURS - 1, max(1.0, HEIGHT * mean / top))
        for at, mean in enumerate(means)
        if mean
    )
    told = words("no looks")
    if asked:
        mean = seconds / (asked - failed) if asked > failed else 0.0
        told = words("looks", ok=asked - failed, asked=asked, mean=mean, slowest=slowest)
    return Strip(
        words("canary past", days=DAYS),
        told,
        path,
        tuple(_failures(slots, begin, words)),
        *_ends(begin),
        words("scale", seconds=top) if any(means) else "",
    )


def _slots(hours: Sequence[Hour], begin: float) -> list[list[Hour]]:
    slots: list[list[Hour]] = [[] for _ in range(WIDTH // SLOT_HOURS)]
    for hour in hours:
        at = int((hour.begin - begin) // (SLOT_HOURS * _HOUR))
        if 0 <= at < len(slots):
            slots[at].append(hour)
    return slots


def _together(hours: Sequence[Hour]) -> tuple[int, int, float, float]:
    return (
        sum(hour.asked for hour in hours),
        sum(hour.failed for hour in hours),
        sum(hour.seconds for hour in hours),
        max((hour.slowest for hour in hours), default=0.0),
    )


def _mean(hours: Sequence[Hour]) -> float:
    asked, failed, seconds, _ = _together(hours)
    return seconds / (asked - failed) if asked > failed else 0.0


def _failures(slots: Sequence[Sequence[Hour]], begin: datetime, words: Wording) -> Iterator[Bar]:
    """From above, so that what came is seen beneath."""
    for at, slot in enumerate(slots):
        asked, failed, _, _ = _together(slot)
        if failed:
            start = begin + timedelta(hours=at * SLOT_HOURS)
            told = words(
                "slot",
                begin=f"{start:%m-%d %H:%M}",
                end=f"{start + timedelta(hours=SLOT_HOURS):%H:%M}",
                failed=failed,
                asked=asked,
            )
            height = max(_LEAST, HEIGHT * failed / asked)
            yield Bar(at * SLOT_HOURS, 0, SLOT_HOURS - 1, round(height, 1), "bad", told)


def _backups(past: Past, begin: datetime, words: Wording) -> Strip:
    largest = max((size for _, size in past.backups), default=0) or 1
    failed_days = {datetime.fromtimestamp(moment, UTC).date() for moment in past.failed_backups}
    bars = []
    for number in range(DAYS):
        day = (begin + timedelta(days=number)).date()
        sizes = [size for moment, size in past.backups if datetime.fromtimestamp(moment, UTC).date() == day]
        kind = "bad" if day in failed_days else "fine" if sizes else "none"
        height = max(_LEAST, HEIGHT * max(sizes) / largest) if sizes else HEIGHT if kind == "bad" else 2
        name = {"bad": "backup failed", "fine": "backup made", "none": "backup none"}[kind]
        told = words(name, day=f"{day:%m-%d}", size=ages.size(max(sizes, default=0)))
        bars.append(Bar(number * 24 + 1, round(HEIGHT - height, 1), 22, round(height, 1), kind, told))
    told = words("no looks")
    if past.backups:
        told = words("backups made", count=len(past.backups), size=ages.size(past.backups[-1][1]))
    if bad := sum(bar.kind == "bad" for bar in bars):
        told += words("backups failed", count=bad)
    return Strip(words("backups past", days=DAYS), told, "", tuple(bars), *_ends(begin))


def _ends(begin: datetime) -> tuple[str, str]:
    return f"{begin:%m-%d}", f"{begin + timedelta(days=DAYS - 1):%m-%d}"


def _upright(x: float, width: float, height: float) -> str:
    return f"M{x} {HEIGHT}v-{height:.1f}h{width}v{height:.1f}z"
