"""The sums of a gateway's log, computed on its host: the reader for a SQLite file, and what any reader answers.

Another store has a script of its own, which prints the same lines into the answer `usage`::

    total|GROUPS|REQUESTS|PROMPT|COMPLETION|WITHOUT TOKENS|CNY|USD|UNPRICED     how many groups there are, and the sums
    channel|NUMBER|NAME                                                         before what has the number; if asked
    group|AGENT|MODEL|CHANNEL|DAY|REQUESTS|…                                    as above; "" if not asked
    unpriced|MODEL|REQUESTS|TOKENS                                              models without a price
    oldest|SECONDS                                                              the oldest row that is kept

beside those of the flavour's files (see `failures.sh` of One API). Names are in hex, a channel is a number, a day one
counted from 1970. A cost is "" where nothing has that currency.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path

from llm_gateway.hosts import answers, other_databases
from llm_gateway.hosts.answers import Answers, Text, UnreadableError
from llm_gateway.model import shell
from llm_gateway.model.dialect import POSTGRESQL, SQLITE, Dialect
from llm_gateway.model.layout import PROJECT
from llm_gateway.model.usage import (
    AGENT,
    CHANNEL,
    CURRENCIES,
    DAY,
    DIMENSIONS,
    MODEL,
    Failures,
    Group,
    Query,
    Sums,
    Usage,
    UsageLog,
    day_of,
)

MOST_GROUPS = 1000
MOST_BYTES = 80_000
"""Of the lines before they are packed: digits and hex pack to 52 % at worst, and base64 adds a third: below 64 KiB."""
PORTION_ROWS = 5_000
"""Some 10 ms: as long may a write of the gateway wait."""
PATIENCE_SECONDS = 15
"""How long to wait for another program that has the database locked."""
_LONGEST_NAME = 64
_UNPRICED_MODELS = 20
_CHANNELS = 200
_UNPACKED_AT_MOST = 1 << 20
_HERE = Path(__file__).parent


class SumsError(Exception):
    """The log cannot be summed up; the text says why, and what fixes it."""


class MovedError(SumsError):
    """The gateway was moved away; the text is the host that has it now, its log included."""


class SumsAnswers(Answers):
    """What the script says."""

    problem = Text()
    moved = Text()
    usage = Text()


def read(lines: list[str], by: tuple[str, ...], zone: tzinfo) -> Usage:
    """Read what a script of a store printed. Raises SumsError or UnreadableError.

    Parameters: `zone`, in which the files of the log tell the time.
    """
    found = SumsAnswers.parse(lines)
    if found.moved:
        raise MovedError(found.moved.split()[0])
    if found.problem:
        raise SumsError(found.problem)
    return parse(_unpacked(found.answers.get("usage", "")), by, zone)


def script(directory: str, file: str, log: UsageLog, query: Query, zone: tzinfo) -> str:
    """The shell script that sums up a SQLite file."""
    return _script({"database": file, "service": ""}, SQLITE, directory, log, query, zone)


def postgresql_script(directory: str, service: str, log: UsageLog, query: Query, zone: tzinfo) -> str:
    """The same of a PostgreSQL. Parameters: `service`, the file on the host that leads psql there."""
    return _script({"database": "", "service": service}, POSTGRESQL, directory, log, query, zone)


def _script(
    store: Mapping[str, str], dialect: Dialect, directory: str, log: UsageLog, query: Query, zone: tzinfo
) -> str:
    variables = {
        "directory": directory,
        **store,
        "container": PROJECT,
        "patience": str(PATIENCE_SECONDS),
        "portion": str(PORTION_ROWS),
        "most_bytes": str(MOST_BYTES),
        "begin": str(query.begin),
        "begin_text": datetime.fromtimestamp(query.begin, zone).strftime("%Y/%m/%d %H:%M:%S"),
        "by": " ".join(query.by),
        "program": (_HERE / "sums_program.py").read_text(encoding="utf-8"),
        "bounds": f"SELECT min({log.key}), max({log.key}) FROM {log.table} WHERE {log.time} >= {query.begin};",  # noqa: S608 - of ours
        "tables": "\n".join(_tables(dialect, query)),
        "portions": _portion(dialect, log, query),
        "answers": "\n".join(_answers(dialect, log, query)),
    }
    texts = [
        shell.program(variables, answers.SCRIPT, other_databases.SCRIPT),
        log.files,
        shell.program({}, _HERE / "sums.sh"),
    ]
    return "\n".join(texts)


def _tables(dialect: Dialect, query: Query) -> Iterator[str]:
    """Statements that make the tables of this process alone."""
    whole, real = dialect.whole, dialect.real
    yield (
        f"CREATE TEMP TABLE sums (a TEXT, m TEXT, c {whole}, d {whole}, s {whole}, n {whole}, p {whole}, o {whole},"
        f" w {whole}, PRIMARY KEY (a, m, c, d, s)){dialect.keyed};"
    )
    columns = f"m TEXT, s {whole}, u TEXT, p {real}, o {real}"
    yield f"CREATE TEMP TABLE prices ({columns}, PRIMARY KEY (m, s)){dialect.keyed};"
    for each in query.prices:
        price = each.price
        model, costs = dialect.of_text(price.model), f"{price.prompt:f}, {price.completion:f}"
        values = f"{model}, {each.stretch}, '{price.currency}', {costs}"
        yield f"INSERT INTO prices VALUES ({values});"  # noqa: S608 - quoted


def _portion(dialect: Dialect, log: UsageLog, query: Query) -> str:
    """A statement that adds the rows from a key up to another; what is not asked for is one group."""
    at = _offset_at(log.time, query.zone.offsets)
    stretch = "".join(f"WHEN {log.time} < {second} THEN {number} " for number, second in enumerate(query.changes))
    columns = {
        AGENT: f"coalesce({log.agent}, '')",
        CHANNEL: f"coalesce({log.channel}, 0)",
        DAY: f"({log.time} + {at}) / 86400",
    }
    agent, channel, day = (columns[name] if name in query.by else empty for name, empty in _UNASKED.items())
    of_tokens = (f"sum(CASE WHEN {log.has_tokens} THEN {tokens} ELSE 0 END)" for tokens in (log.prompt, log.completion))
    groups = (
        *(agent, f"coalesce({log.model}, '')", channel, day),
        f"CASE {stretch}ELSE {len(query.changes)} END" if stretch else "0",
    )
    # SQLite sorts the rows by all that they are grouped by, constants included: a quarter of all that it takes here.
    varying = (str(place) for place, group in enumerate(groups, 1) if group not in ("''", "0"))
    selected = (*groups, "count(*)", *of_tokens, f"sum(CASE WHEN {log.has_tokens} THEN 0 ELSE 1 END)")
    rows = f"{log.key} >= %d AND {log.key} < %d AND {log.time} >= {query.begin} AND {log.is_request}"
    return (
        f"INSERT INTO sums SELECT {', '.join(selected)} FROM {log.table}{dialect.unordered} WHERE {rows}"  # noqa: S608 - of ours
        f" GROUP BY {', '.join(varying)} ON CONFLICT (a, m, c, d, s) DO UPDATE SET n = sums.n + excluded.n,"
        " p = sums.p + excluded.p, o = sums.o + excluded.o, w = sums.w + excluded.w;"
    )


_UNASKED = {AGENT: "''", CHANNEL: "0", DAY: "0"}


def _offset_at(time: str, offsets: tuple[tuple[int, int], ...]) -> str:
    """How many seconds east of UTC, as an expression."""
    if len(offsets) == 1:
        return str(offsets[0][1])
    cases = (f"WHEN {time} < {ends} THEN {offset}" for (_, offset), (ends, _) in pairwise(offsets))
    return f"(CASE {' '.join(cases)} ELSE {offsets[-1][1]} END)"


def _answers(dialect: Dialect, log: UsageLog, query: Query) -> Iterator[str]:
    """Statements whose rows are the lines of the answer."""
    costs = ", ".join(_cost(dialect, currency) for currency in CURRENCIES)
    name = partial(_name, dialect)
    sums = f"sum(n), sum(sums.p), sum(sums.o), sum(w), {costs}, sum(CASE WHEN u IS NULL THEN n - w ELSE 0 END)"
    both = "sums LEFT JOIN prices USING (m, s)"
    columns = {AGENT: "a", MODEL: "m", CHANNEL: "c", DAY: "d"}
    grouped = ", ".join(columns[name] for name in query.by)
    names = {AGENT: name("a"), MODEL: name("m"), CHANNEL: "c", DAY: "d"}
    shown = ", ".join(names[name] if name in query.by else "''" for name in DIMENSIONS)
    count = f"(SELECT count(*) FROM (SELECT DISTINCT {grouped} FROM sums))"  # noqa: S608 - of ours
    yield f"SELECT 'total', {count}, {sums} FROM {both} HAVING count(*) > 0;"  # noqa: S608 - of ours
    yield f"SELECT 'oldest', min({log.time}) FROM {log.table};"  # noqa: S608 - of ours
    if CHANNEL in query.by:
        yield f"SELECT 'channel', id, {name('name')} FROM {log.channels} ORDER BY id DESC LIMIT {_CHANNELS};"  # noqa: S608 - of ours
    yield (
        f"SELECT 'unpriced', {name('m')}, sum(n - w), sum(sums.p + sums.o) FROM {both}"  # noqa: S608 - of ours
        f" WHERE u IS NULL AND n > w GROUP BY m ORDER BY 4 DESC LIMIT {_UNPRICED_MODELS};"
    )
    yield (
        f"SELECT 'group', {shown}, {sums} FROM {both} GROUP BY {grouped}"  # noqa: S608 - of ours
        f" ORDER BY sum(sums.p + sums.o) DESC, sum(n) DESC, {grouped} LIMIT {MOST_GROUPS};"
    )


def _name(dialect: Dialect, expression: str) -> str:
    return dialect.hex.format(f"substr({expression}, 1, {_LONGEST_NAME})")


def _cost(dialect: Dialect, currency: str) -> str:
    """What is known to cost that currency; an empty text where nothing is."""
    cost = f"sum(CASE WHEN u = '{currency}' THEN (sums.p * prices.p + sums.o * prices.o) / 1e6 END)"
    is_known = f"sum(CASE WHEN u = '{currency}' AND n > w THEN 1 ELSE 0 END) > 0"
    return f"CASE WHEN {is_known} THEN {dialect.decimals.format(cost)} ELSE '' END"


def _unpacked(packed: str) -> list[str]:
    """The lines of the answer. Raises UnreadableError."""
    try:
        unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        found = unpacking.decompress(packed.encode("utf-8", "surrogateescape"), _UNPACKED_AT_MOST)
        return found.decode("ascii").splitlines()
    except (zlib.error, UnicodeDecodeError) as problem:
        raise UnreadableError(f"what the host has summed up cannot be unpacked: {problem}") from None


def parse(lines: list[str], by: tuple[str, ...], zone: tzinfo) -> Usage:
    """Read the lines that a reader answers. Raises UnreadableError."""
    channels: dict[str, str] = {}
    total, groups, group_count, more_failures, lost = Sums(), [], 0, 0, 0
    unpriced: list[tuple[str, int, int]] = []
    failures: list[Failures] = []
    oldest = failures_since = None
    try:
        for line in lines:
            match line.split("|"):
                case "total", count, *sums:
                    group_count, total = int(count), _sums(sums)
                case "group", agent, model, channel, day, *sums:
                    names = {
                        AGENT: _named(agent),
                        MODEL: _named(model),
                        CHANNEL: channel,
                        DAY: day and day_of(int(day)).isoformat(),
                    }
                    groups.append(Group(tuple(names[name] for name in by), _sums(sums)))
                case "channel", number, name:
                    channels[number] = _named(name)
                case "unpriced", model, requests, tokens:
                    unpriced.append((_named(model), int(requests), int(tokens)))
                case "oldest", second:
                    oldest = datetime.fromtimestamp(int(second), UTC) if second else None
                case "since", day, clock:
                    failures_since = datetime.strptime(f"{day} {clock}", "%Y/%m/%d %H:%M:%S").replace(tzinfo=zone)
                case "failed", day, channel, count:
                    when = datetime.strptime(day, "%Y/%m/%d").date() if day else None
                    failures.append(Failures(when, channel, int(count)))
                case "more", count:
                    more_failures = int(count)
                case "lost", count:
                    lost = int(count)
    except (ValueError, OverflowError, OSError) as problem:
        raise UnreadableError(f"what the host has summed up is not what was asked for: {problem}") from None
    # A channel that is no more has its number in the place of a name.
    called = {**dict.fromkeys([""], ""), **channels}
    found = tuple(replace(each, names=_with_channel(each.names, by, called)) for each in groups)
    known = sorted(
        (replace(each, channel=called.get(each.channel, f"#{each.channel}")) for each in failures),
        key=lambda each: (str(each.day), each.channel),
    )
    return Usage(total, found, group_count, tuple(unpriced), oldest, tuple(known), more_failures, failures_since, lost)


def _with_channel(names: tuple[str, ...], by: tuple[str, ...], called: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        called.get(name, f"#{name}") if dimension == CHANNEL else name
        for dimension, name in zip(by, names, strict=True)
    )


def _named(digits: str) -> str:
    return bytes.fromhex(digits).decode(errors="replace")


def _sums(fields: list[str]) -> Sums:
    requests, prompt, completion, without, cny, usd, unpriced = fields
    costs = tuple((name, Decimal(cost)) for name, cost in zip(CURRENCIES, (cny, usd), strict=True) if cost)
    return Sums(int(requests), int(prompt), int(completion), int(without), costs, int(unpriced))
