"""A report of what a gateway's users have used: its period, its groups, its prices. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from llm_gateway.model.suggestion import suggest

AGENT, MODEL, CHANNEL, DAY = "agent", "model", "channel", "day"
DIMENSIONS = (AGENT, MODEL, CHANNEL, DAY)
"""What requests can be grouped by; an agent is the name of a token, which is that of its host."""
DEFAULT_SINCE = "7d"
DEFAULT_BY = "agent,model"
CURRENCIES = ("CNY", "USD")
LONGEST_DAYS = 3660
_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNIX_DAY_ZERO = date(1970, 1, 1)
_DAY_SECONDS = 86400


class UsageError(ValueError):
    """What was asked for is not understood; the text says what would be."""


@dataclass(frozen=True)
class Since:
    """From when on: the last hours, whole days up to now, or a day on."""

    hours: int | None = None
    days: int | None = None
    day: date | None = None

    @classmethod
    def parse(cls, text: str) -> Since:
        """Read "24h", "7d" (today and the six days before it) or "2026-11-01". Raises UsageError."""
        if found := _SPAN.fullmatch(text):
            count = int(found[1])
            if count > LONGEST_DAYS * (24 if found[2] == "h" else 1):
                raise UsageError(f"--since {text}: must be at most {LONGEST_DAYS}d")
            return cls(hours=count) if found[2] == "h" else cls(days=count)
        try:
            if not _DATE.fullmatch(text):
                raise ValueError
            day = date.fromisoformat(text)
        except ValueError:
            raise UsageError(f"--since {text}: must be such as 7d, 24h or 2026-11-01") from None
        # A day may have begun already east of here.
        if day > datetime.now(UTC).date() + timedelta(days=1):
            raise UsageError(f"--since {text}: is in the future; name a day that has begun, or such as 7d")
        if day < datetime.now(UTC).date() - timedelta(days=LONGEST_DAYS):
            raise UsageError(f"--since {text}: must be at most {LONGEST_DAYS} days ago")
        return cls(day=day)

    def begins(self, now: datetime, zone: tzinfo) -> datetime:
        """The moment, in the zone."""
        here = now.astimezone(zone)
        if self.hours is not None:
            return (now - timedelta(hours=self.hours)).astimezone(zone)
        return midnight(self.day or here.date() - timedelta(days=(self.days or 1) - 1), zone)


def parse_by(text: str) -> tuple[str, ...]:
    """Read "agent,model,day", in the order of the columns. Raises UsageError."""
    names = tuple(text.split(","))
    for name in names:
        if name not in DIMENSIONS:
            hint = suggest(name, DIMENSIONS) or ", with commas and no blanks between"
            raise UsageError(f"--by {text}: must be some of {', '.join(DIMENSIONS)}{hint}")
        if names.count(name) > 1:
            raise UsageError(f"--by {text}: names {name} twice")
    return names


def asked(since: str, by: str, forms: Sequence[str]) -> tuple[Since, tuple[str, ...]]:
    """What a report is to be of. Raises UsageError where there is nothing like it.

    Parameters: `forms`, of "--json", "--csv" and "--html", at most one.
    """
    if len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)}: choose one")
    return Since.parse(since), parse_by(by)


@dataclass(frozen=True)
class Price:
    """What a model costs from a day on.

    Args:
        model: its name at the provider, which is what a gateway logs.
        currency: one of `CURRENCIES`.
        prompt, completion: for a million tokens.
        since: the day from whose beginning on; None: always.
    """

    model: str
    currency: str
    prompt: Decimal
    completion: Decimal
    since: date | None = None


@dataclass(frozen=True)
class Zone:
    """Days of a time zone as numbers, for a host that knows no time zones.

    Args:
        name: what it is called; "UTC" where the wanted one is not known here, as Go does it.
        offsets: (from that second on, seconds east of UTC), the first from the beginning of the period on.
    """

    name: str
    offsets: tuple[tuple[int, int], ...]

    @classmethod
    def over(cls, name: str, zone: tzinfo, begin: datetime, end: datetime) -> Zone:
        """The offsets of a zone between two moments."""
        found = [(int(begin.timestamp()), _offset(zone, int(begin.timestamp())))]
        for moment in range(found[0][0], int(end.timestamp()) + _DAY_SECONDS, _DAY_SECONDS):
            if _offset(zone, moment) != found[-1][1]:
                found.append(_changed(zone, moment - _DAY_SECONDS, moment))
        return cls(name, tuple(found))


def zone_of(name: str) -> tuple[str, tzinfo]:
    """A time zone by its name; UTC where it is not known, which is what Go's programs take it for."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # 4 ms, which no other run has to wait for

    try:
        return name, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC", UTC


def midnight(day: date, zone: tzinfo) -> datetime:
    """The beginning of a day."""
    return datetime.combine(day, time(), zone)


def day_of(number: int) -> date:
    """The day with that number, counted from 1970-01-01."""
    return _UNIX_DAY_ZERO + timedelta(days=number)


@dataclass(frozen=True)
class Priced:
    """The price of a model in a stretch of time, of which `stretch` is the number."""

    stretch: int
    price: Price


def stretches(prices: Sequence[Price], begin: datetime, zone: tzinfo) -> tuple[tuple[int, ...], tuple[Priced, ...]]:
    """The seconds at which a price changes within a period, and what holds in each stretch between them."""
    days = sorted({each.since for each in prices if each.since and midnight(each.since, zone) > begin})
    starts = [begin.astimezone(zone).date(), *days]
    return (
        tuple(int(midnight(day, zone).timestamp()) for day in days),
        tuple(Priced(number, price) for number, day in enumerate(starts) for price in _in_effect(prices, day)),
    )


def _in_effect(prices: Sequence[Price], day: date) -> Iterator[Price]:
    for model in dict.fromkeys(each.model for each in prices):
        begun = [each for each in prices if each.model == model and (each.since is None or each.since <= day)]
        if begun:
            yield max(begun, key=lambda each: each.since or date.min)


def _offset(zone: tzinfo, moment: int) -> int:
    found = datetime.fromtimestamp(moment, zone).utcoffset()
    return int(found.total_seconds()) if found else 0


def _changed(zone: tzinfo, before: int, after: int) -> tuple[int, int]:
    """The second at which the offset changes between two moments, and the new offset."""
    old, new = _offset(zone, before), _offset(zone, after)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after, new


@dataclass(frozen=True)
class UsageLog:
    """What the log of a gateway software holds: expressions of SQL that every store takes, and what its files tell.

    Args:
        table, key, time: its table, the number of a row, when it was written (seconds since 1970).
        is_request: which rows are answered requests.
        agent, model, channel: the token's name, the model's name, the channel's number.
        prompt, completion: tokens of a row.
        has_tokens: whether these are tokens, and not what an image or a voice is billed by, or nothing at all.
        channels: the table of channels, with `id` and `name`.
        files: a script of sh that tells what the files of the log know of failures (see `failures.sh` of One API).
    """

    table: str
    key: str
    time: str
    is_request: str
    agent: str
    model: str
    channel: str
    prompt: str
    completion: str
    has_tokens: str
    channels: str
    files: str


@dataclass(frozen=True)
class Query:
    """What is to be summed.

    Args:
        by: of `DIMENSIONS`, in the order of the columns.
        begin: from which second on.
        changes: the seconds at which a price changes, in their order.
        prices: what holds in the stretches between them.
    """

    by: tuple[str, ...]
    begin: int
    zone: Zone
    changes: tuple[int, ...] = ()
    prices: tuple[Priced, ...] = ()


@dataclass(frozen=True)
class Sums:
    """What some requests sum up to.

    Args:
        requests: how many were answered.
        prompt, completion: tokens.
        without_tokens: requests of which the log has none: images, voices, answers without any usage.
        costs: by currency; those are not added to each other.
        unpriced: requests with tokens whose model has no price at that time; their cost is not known.
    """

    requests: int = 0
    prompt: int = 0
    completion: int = 0
    without_tokens: int = 0
    costs: tuple[tuple[str, Decimal], ...] = ()
    unpriced: int = 0

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """Both together, or with -1 the one without the other."""
        mine, theirs = dict(self.costs), dict(other.costs)
        costs = ((name, mine.get(name, Decimal()) + sign * theirs.get(name, Decimal())) for name in CURRENCIES)
        return Sums(
            self.requests + sign * other.requests,
            self.prompt + sign * other.prompt,
            self.completion + sign * other.completion,
            self.without_tokens + sign * other.without_tokens,
            tuple((name, cost) for name, cost in costs if name in mine or name in theirs),
            self.unpriced + sign * other.unpriced,
        )


@dataclass(frozen=True)
class Group:
    """Requests that are alike: `names` has what they are grouped by, in the order of the columns."""

    names: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True)
class Failures:
    """Attempts that a channel refused or failed; its number and the day where they were asked for."""

    day: date | None
    channel: str
    count: int


@dataclass(frozen=True)
class Usage:
    """What the log of a gateway tells of a period.

    Args:
        total: of all groups, those that are left out included.
        groups: the largest by tokens; `group_count` says how many there are.
        unpriced: the models without a price, the largest ones: (name, requests with tokens, tokens).
        oldest: when the oldest row was written that is still kept; None where there is none.
        failures: the log's files have them by channel and day alone; a request that is tried at three channels can
            fail three times, and be answered after all.
        more_failures: those of further days and channels.
        failures_since: the oldest line of those files that was read; None where there are none.
        lost: rows that could not be written, by the files.
    """

    total: Sums
    groups: tuple[Group, ...]
    group_count: int
    unpriced: tuple[tuple[str, int, int], ...]
    oldest: datetime | None
    failures: tuple[Failures, ...]
    more_failures: int
    failures_since: datetime | None
    lost: int

    @property
    def others(self) -> Sums:
        """What the groups that are left out sum up to."""
        found = self.total
        for group in self.groups:
            found = found.plus(group.sums, -1)
        return found
