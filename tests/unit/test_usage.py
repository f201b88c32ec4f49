"""What a report of usage sums up, of a log made by hand, and what it says where the log does not know."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_gateway.flavours.oneapi.usage import LOG
from llm_gateway.hosts import remote, sums
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.inputs.prices import prices as checked_prices
from llm_gateway.model.checks import InvalidError
from llm_gateway.model.columns import width
from llm_gateway.model.usage import (
    Price,
    Query,
    Since,
    Usage,
    UsageError,
    Zone,
    day_of,
    midnight,
    parse_by,
    stretches,
    zone_of,
)
from llm_gateway.model.wording import CHINESE, ENGLISH, Wording
from llm_gateway.status import usage_page, usage_report, usage_table
from llm_gateway.status.usage_report import GatewayUsage, Report
from llm_gateway.status.usage_words import WORDS

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
HOST: Any = "a host"
SCHEMA = """
CREATE TABLE logs (id integer PRIMARY KEY AUTOINCREMENT, user_id integer, created_at bigint, type integer, content text,
    username text DEFAULT "", token_name text DEFAULT "", model_name text DEFAULT "", quota integer DEFAULT 0,
    prompt_tokens integer DEFAULT 0, completion_tokens integer DEFAULT 0, channel_id integer);
CREATE INDEX idx_created_at_type ON logs(created_at, type);
CREATE TABLE channels (id integer PRIMARY KEY, name text);
INSERT INTO channels VALUES (1, 'main'), (2, '备用');
"""
TEXT = "模型倍率 30.00，分组倍率 1.00，补全倍率 1.00"
SPEECH = "模型倍率 30.00，分组倍率 1.00"
NEWER_TEXT, NEWER_SPEECH = "倍率：30.00 × 1.00 × 1.00", "倍率：30.00 × 1.00"


class Gateway:
    """A gateway's directory on this machine, and a log to be filled."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "data/logs").mkdir(parents=True)
        self.file = place / "data/one-api.db"
        with closing(sqlite3.connect(self.file)) as database:
            database.executescript(SCHEMA)
        self.printed = ""

    def add(self, moment: datetime, **columns: Any) -> None:
        """A row: an answered request, unless the columns say otherwise."""
        row = {
            **{"created_at": int(moment.timestamp()), "type": 2, "content": TEXT, "token_name": "agent1"},
            **{"model_name": "m", "quota": 7, "prompt_tokens": 10, "completion_tokens": 5, "channel_id": 1},
            **columns,
        }
        with closing(sqlite3.connect(self.file)) as database, database:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO logs ({names}) VALUES ({marks})", [*row.values()])  # noqa: S608

    def log(self, *lines: str, name: str = "oneapi-20261101.log") -> None:
        """Lines of a file of the log."""
        with (self.place / "data/logs" / name).open("a", encoding="utf-8") as file:
            file.writelines(f"{line} \n" for line in lines)

    def usage(self, by: str = "agent,model", since: str = "7d", prices: tuple[Price, ...] = ()) -> Usage:
        """What its log sums up to."""
        begin = Since.parse(since).begins(NOW, SHANGHAI)
        changes, priced = stretches(prices, begin, SHANGHAI)
        zone = Zone.over("Asia/Shanghai", SHANGHAI, begin, NOW)
        query = Query(parse_by(by), int(begin.timestamp()), zone, changes, priced)
        store = SQLiteStore(HOST, str(self.file))
        lines = store.run(store.usage_script(str(self.place), LOG, query, SHANGHAI))
        return sums.read(lines, query.by, SHANGHAI)

    def run(self, host: Any, command: str, stdin: str | None = None) -> list[str]:
        """As `remote.run`, by this machine's shell."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env={"PATH": str(self.place / "programs")},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise remote.RemoteError(done.stderr.strip())
        self.printed = done.stdout
        return done.stdout.splitlines()


PROGRAMS = (
    *("awk", "base64", "cat", "date", "docker", "find", "grep", "gzip", "sed", "sh", "sort", "stat", "tail", "tr"),
)
TOOLS = ("sqlite3", "python3")


@pytest.fixture(params=TOOLS)
def gateway(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway on a host that reads SQLite with this tool alone, and on which we are root."""
    made = Gateway(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    if request.param == "sqlite3":
        (programs / "sqlite3").symlink_to(str(shutil.which("sqlite3")))
    else:
        (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "id").write_text("#!/bin/sh\necho 0\n")
    (programs / "setpriv").write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    for name in ("id", "setpriv", "python3"):
        if (programs / name).exists():
            (programs / name).chmod(0o755)
    monkeypatch.setattr(remote, "run", made.run)
    return made


# --- what is asked for


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("24h", "2026-11-29T12:00:00+08:00"),
        ("1d", "2026-11-30T00:00:00+08:00"),
        ("7d", "2026-11-24T00:00:00+08:00"),
        ("2026-11-01", "2026-11-01T00:00:00+08:00"),
    ],
)
def test_periods(text: str, begins: str) -> None:
    assert Since.parse(text).begins(NOW, SHANGHAI).isoformat() == begins


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7w", "7 d", "1e3d", "2026-13-01", "2026-1-1", "20261101"])
def test_a_period_that_is_none_is_told_with_the_right_form(text: str) -> None:
    with pytest.raises(UsageError, match="must be such as 7d, 24h or 2026-11-01"):
        Since.parse(text)


@pytest.mark.parametrize(("text", "told"), [("9999d", "at most 3660d"), ("2999-01-01", "in the future")])
def test_a_period_that_cannot_be_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Since.parse(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("agent,modl", "did you mean 'model'"),
        ("agent, model", "did you mean 'model'|no blanks"),
        ("agent,agent", "twice"),
        ("", "agent, model, channel, day"),
    ],
)
def test_groups_that_there_are_not_are_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_by(text)


def test_days_are_exact_where_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin, end = midnight(date(2026, 3, 27), berlin), midnight(date(2026, 11, 1), berlin)
    zone = Zone.over("Europe/Berlin", berlin, begin, end)
    assert [offset for _, offset in zone.offsets] == [3600, 7200, 3600]
    moment = begin
    while moment < end:
        second = int(moment.timestamp())
        offset = [each for start, each in zone.offsets if start <= second][-1]
        assert day_of((second + offset) // 86400) == moment.astimezone(berlin).date()
        moment = (moment.astimezone(UTC) + timedelta(minutes=17)).astimezone(berlin)


def test_a_zone_that_is_not_known_is_utc() -> None:
    assert zone_of("Moon/Crater") == ("UTC", UTC)
    assert zone_of("Asia/Shanghai") == ("Asia/Shanghai", SHANGHAI)


# --- prices


GOOD = {"model": "m", "currency": "CNY", "prompt": 0.8, "completion": 4.8}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({**GOOD}, "must be a list of dicts"),
        (["m"], "price number 1: must be a dict"),
        ([{**GOOD, "prompts": 1}], "price m: there is no field prompts; did you mean 'prompt'?"),
        ([{**GOOD, "prompt": -1}], "price m: prompt must be a number from 0 to 1000000"),
        ([{**GOOD, "prompt": "1"}], "price m: prompt must be a number"),
        ([{**GOOD, "completion": float("nan")}], "price m: completion must be a number"),
        ([{**GOOD, "completion": True}], "price m: completion must be a number"),
        ([{**GOOD, "currency": "RMB"}], "price m: currency must be CNY or USD"),
        ([{**GOOD, "currency": "cny"}], "did you mean 'CNY'?"),
        ([{**GOOD, "since": "2026-11-31"}], 'price m: since must be a day such as "2026-11-01"'),
        ([{**GOOD, "model": "a b"}], "price number 1: model must be a model name"),
        ([{"model": "m"}], "price m: currency is missing; price m: prompt is missing; price m: completion is missing"),
        ([GOOD, GOOD], "price m: there are several without `since`"),
        ([{**GOOD, "since": "2026-11-01"}] * 2, "price m: there are several since 2026-11-01"),
    ],
)
def test_prices_that_are_none_are_told(value: Any, told: str) -> None:
    with pytest.raises(InvalidError) as problem:
        checked_prices(value)
    assert told in str(problem.value)


def test_the_price_of_a_day_is_the_last_that_has_begun() -> None:
    begin = midnight(date(2026, 11, 10), SHANGHAI)
    listed = checked_prices(
        [GOOD, {**GOOD, "prompt": 1, "since": "2026-11-05"}, {**GOOD, "prompt": 2, "since": "2026-11-20"}]
    )
    changes, found = stretches(listed, begin, SHANGHAI)
    assert changes == (int(midnight(date(2026, 11, 20), SHANGHAI).timestamp()),)
    assert [(each.stretch, each.price.prompt) for each in found] == [(0, Decimal(1)), (1, Decimal(2))]
    assert stretches(checked_prices([{**GOOD, "since": "2026-11-20"}]), begin, SHANGHAI)[1][0].stretch == 1


# --- sums


def test_sums_of_a_log(gateway: Gateway) -> None:
    today = midnight(date(2026, 11, 30), SHANGHAI)
    gateway.add(today, prompt_tokens=100, completion_tokens=50)
    gateway.add(today - timedelta(seconds=1), prompt_tokens=1, completion_tokens=2)
    gateway.add(today - timedelta(days=6), token_name="agent2", model_name="n", channel_id=2)
    gateway.add(today - timedelta(days=6, seconds=1), prompt_tokens=9999)  # before the period
    gateway.add(today, type=1, quota=5, prompt_tokens=9999)  # somebody was given quota
    found = gateway.usage("agent,model,channel,day")
    assert [(each.names, each.sums.requests, each.sums.prompt, each.sums.completion) for each in found.groups] == [
        (("agent1", "m", "main", "2026-11-30"), 1, 100, 50),
        (("agent2", "n", "备用", "2026-11-24"), 1, 10, 5),
        (("agent1", "m", "main", "2026-11-29"), 1, 1, 2),
    ]
    assert (found.total.requests, found.total.prompt, found.total.completion) == (3, 111, 57)
    assert found.oldest == today - timedelta(days=6, seconds=1)
    by_day = gateway.usage("day", since="24h")
    assert [each.names for each in by_day.groups] == [("2026-11-30",), ("2026-11-29",)]


def test_what_is_no_token_is_not_counted_as_one(gateway: Gateway) -> None:
    gateway.add(NOW)
    # Speech has its quota in the place of tokens, in either version's words; an image nothing.
    gateway.add(NOW, content=SPEECH, quota=300, prompt_tokens=300, completion_tokens=0)
    gateway.add(NOW, content=NEWER_SPEECH, quota=300, prompt_tokens=300, completion_tokens=0)
    gateway.add(NOW, content=SPEECH, quota=1000, prompt_tokens=0, completion_tokens=0)
    # An embedding whose ratio is 1 looks alike in numbers.
    gateway.add(NOW, quota=20, prompt_tokens=20, completion_tokens=0)
    gateway.add(NOW, content=NEWER_TEXT, quota=20, prompt_tokens=20, completion_tokens=0)
    found = gateway.usage(prices=checked_prices([GOOD])).total
    assert (found.requests, found.prompt, found.completion) == (6, 50, 5)
    assert (found.without_tokens, found.unpriced) == (3, 0)
    assert dict(found.costs) == {"CNY": Decimal("0.000064")}


def test_an_unknown_price_is_said_and_currencies_are_kept_apart(gateway: Gateway) -> None:
    for model, tokens in (("a", 1_000_000), ("b", 2_000_000), ("free", 10), ("c", 3)):
        gateway.add(NOW, model_name=model, prompt_tokens=tokens, completion_tokens=0)
    listed = checked_prices(
        [
            {**GOOD, "model": "a", "prompt": 0.8},
            {**GOOD, "model": "b", "currency": "USD", "prompt": 0.3},
            {**GOOD, "model": "free", "currency": "USD", "prompt": 0, "completion": 0},
        ]
    )
    found = gateway.usage("agent", prices=listed)
    assert dict(found.total.costs) == {"CNY": Decimal("0.8"), "USD": Decimal("0.6")}
    assert (found.total.unpriced, found.unpriced) == (1, (("c", 1, 3),))
    by_model = {each.names[0]: each.sums for each in gateway.usage("model", prices=listed).groups}
    assert by_model["free"].costs == (("USD", Decimal(0)),)
    assert by_model["c"].costs == ()
    assert usage_report.cost(by_model["c"], "unknown") == "unknown"
    assert usage_report.cost(found.total, "?") == "0.80 CNY + 0.60 USD + ?"


def test_a_price_that_changes(gateway: Gateway) -> None:
    change = midnight(date(2026, 11, 28), SHANGHAI)
    for moment in (change - timedelta(seconds=1), change):
        gateway.add(moment, prompt_tokens=1_000_000, completion_tokens=0)
    listed = checked_prices([GOOD, {**GOOD, "prompt": 10, "since": "2026-11-28"}])
    assert dict(gateway.usage("agent", prices=listed).total.costs) == {"CNY": Decimal("10.8")}
    later = checked_prices([{**GOOD, "prompt": 10, "since": "2026-11-28"}])
    found = gateway.usage("agent", prices=later).total
    assert (dict(found.costs), found.unpriced) == ({"CNY": Decimal(10)}, 1)


def test_names_of_any_kind(gateway: Gateway) -> None:
    names = ("=1+1", "a|b", "x'; DROP TABLE logs; --", "两\n行", "", "é" * 200)
    for name in names:
        gateway.add(NOW, token_name=name, channel_id=9)
    found = gateway.usage("agent,channel")
    assert {each.names[0] for each in found.groups} == {name[:64] for name in names}
    assert {each.names[1] for each in found.groups} == {"#9"}


def test_rows_in_many_portions_are_summed_once(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "PORTION_ROWS", 7)
    for number in range(50):
        gateway.add(NOW - timedelta(hours=number), prompt_tokens=number, completion_tokens=1)
    gateway.add(NOW, id=10**15, prompt_tokens=1000)  # a number that somebody has made up
    found = gateway.usage("agent")
    assert (found.total.requests, found.total.prompt) == (51, sum(range(50)) + 1000)
    assert found.groups[0].sums == found.total


def test_more_groups_than_are_shown_are_counted_and_summed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "MOST_GROUPS", 3)
    for number in range(10):
        gateway.add(NOW, token_name=f"t{number}", prompt_tokens=number, completion_tokens=0)
    found = gateway.usage("agent", prices=checked_prices([GOOD]))
    assert [each.names for each in found.groups] == [("t9",), ("t8",), ("t7",)]
    assert (found.group_count, found.others.requests, found.others.prompt) == (10, 7, 21)
    assert (
        sum((dict(each.sums.costs)["CNY"] for each in found.groups), dict(found.others.costs)["CNY"])
        == dict(found.total.costs)["CNY"]
    )
    assert "10 groups; the 3 largest are shown" in text(found, "agent")


def test_a_log_without_rows(gateway: Gateway) -> None:
    found = gateway.usage("agent,day")
    assert (found.total.requests, found.groups, found.group_count, found.oldest) == (0, (), 0, None)
    assert "no requests" in text(found, "agent,day")


def test_a_gateway_that_was_killed_while_it_wrote_is_read(gateway: Gateway) -> None:
    gateway.add(NOW)
    journal = Path(f"{gateway.file}-journal")
    with closing(sqlite3.connect(gateway.file, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("UPDATE logs SET prompt_tokens = 999")
        database.executemany("INSERT INTO logs (content) VALUES (?)", [("x" * 4000,)] * 50)
        shutil.copy(gateway.file, gateway.place / "torn.db")
        shutil.copy(journal, gateway.place / "torn.db-journal")
        database.execute("ROLLBACK")
    shutil.move(gateway.place / "torn.db", gateway.file)
    shutil.move(gateway.place / "torn.db-journal", journal)
    assert gateway.usage("agent").total.prompt == 10


def test_a_writer_is_not_held_up_longer_than_a_portion(gateway: Gateway) -> None:
    """Between two portions no lock is held: each is a transaction of its own."""
    text = sums.script(str(gateway.place), str(gateway.file), LOG, Query(("day",), 0, Zone("UTC", ((0, 0),))), UTC)
    assert "BEGIN" not in text.partition("portions=")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda gateway: gateway.file.unlink(), "is not there: deploy a gateway"),
        (lambda gateway: gateway.file.write_bytes(b"no database" * 99), "cannot be read: "),
        (lambda gateway: gateway.file.rename(gateway.place / "x") and gateway.file.symlink_to("/etc"), "is a link"),
        (
            lambda gateway: (gateway.place / "data/.env").write_text("LOG_SQL_DSN=x"),
            "LOG_SQL_DSN  is set|LOG_SQL_DSN is",
        ),
    ],
)
def test_what_cannot_be_read_is_told(gateway: Gateway, broken: Any, told: str) -> None:
    broken(gateway)
    with pytest.raises(sums.SumsError, match=told):
        gateway.usage()


def test_a_gateway_that_was_moved_away_is_told(gateway: Gateway) -> None:
    (gateway.place / "migrated-to").write_text("gw2\n")
    with pytest.raises(sums.MovedError, match="gw2"):
        gateway.usage()


# --- failures


FAILED = "relay error (channel id {}, user id: 1): upstream"


def test_failures_are_told_by_channel_and_day(gateway: Gateway) -> None:
    gateway.log(
        f"[ERR] 2026/11/23 - 23:59:59 | id | {FAILED.format(1)}",  # before the period
        "[GIN] 2026/11/24 - 00:00:00 | id | 200 | 1s | 100.64.0.7 | POST /v1/chat/completions",
        f"[ERR] 2026/11/24 - 00:00:00 | id | {FAILED.format(1)}",
        f"[ERR] 2026/11/30 - 09:00:00 | id | {FAILED.format(1)}",
        f"[ERROR] 2026/11/30 - 09:00:00 | id | controller/relay.go:125 [processChannelRelayError] {FAILED.format(22)}",
        "[ERR] 2026/11/30 - 09:00:01 | id | failed to record log: database is locked",
        # What an upstream says is no line of One API.
        f"2026/11/30 - 09:00:00 | id | {FAILED.format(1)}",
    )
    found = gateway.usage("channel,day")
    assert [(str(each.day), each.channel, each.count) for each in found.failures] == [
        ("2026-11-24", "main", 1),
        ("2026-11-30", "#22", 1),
        ("2026-11-30", "main", 1),
    ]
    assert found.lost == 1
    assert str(found.failures_since) == "2026-11-23 23:59:59+08:00"
    gateway.add(NOW)
    by_agent = gateway.usage("agent")
    assert [(each.day, each.channel, each.count) for each in by_agent.failures] == [(None, "", 3)]
    assert "Failed attempts at channels since 2026-11-24 00:00: 3;" in text(by_agent, "agent")
    assert "--by channel,day" in text(by_agent, "agent")
    for tell in (usage_report.as_csv, usage_report.as_json, lambda made: usage_page.page(made, Wording(WORDS))):
        assert tell(report(by_agent, "agent"))
    shown = text(gateway.usage("channel,day"), "channel,day")
    assert "could not write their rows (locked, disk full): 1." in " ".join(shown.split())
    # What has only failed is shown, too: no request was answered, one attempt failed.
    rows = [line.split() for line in shown.splitlines() if "  2026-11-30  " in line]
    assert sorted(rows) == [["#22", "2026-11-30", *"0001", "-"], ["main", "2026-11-30", "1", "10", "5", "1", "?"]]


def test_without_files_failures_are_unknown_and_not_none(gateway: Gateway) -> None:
    gateway.add(NOW)
    found = gateway.usage("day")
    assert found.failures_since is None
    assert "Failed attempts are not known" in text(found, "day")
    assert "failed" not in text(found, "day").splitlines()[1]


# --- what is shown


def report(usage: Usage | None, by: str) -> Report:
    begin = midnight(date(2026, 11, 24), SHANGHAI)
    found = GatewayUsage("gw1", "read", "", begin, "Asia/Shanghai", 90, usage)
    return Report(NOW, "7d", parse_by(by), (found,))


def text(usage: Usage, by: str, language: str = ENGLISH) -> str:
    """The table of a gateway with this usage."""
    return usage_table.text(report(usage, by), Wording(WORDS, language))


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
@pytest.mark.parametrize("by", ["agent", "agent,model", "agent,model,channel,day", "day"])
def test_a_table_is_80_columns_wide_at_most_with_numbers_at_the_right(gateway: Gateway, by: str, language: str) -> None:
    for number in range(4):
        gateway.add(
            NOW - timedelta(days=number),
            token_name="一个名字很长的主机" if number else "agent1.example.ts.net",
            model_name="Qwen/Qwen3-235B-A22B-Thinking-2507-and-more" if number else "m",
            prompt_tokens=10**11 + number,
            completion_tokens=10**9,
        )
    shown = text(gateway.usage(by, prices=checked_prices([GOOD])), by, language)
    assert max(map(width, shown.splitlines())) <= 80, shown
    table = shown.splitlines()[1:7]
    ends = {width(line) for line in table if line.endswith(("?", "Y"))}
    assert len(ends) == 1, shown
    if "day" in by:
        assert "2026-11-27" in shown  # a day is never cut


def test_each_currency_of_a_cost_has_a_line(gateway: Gateway) -> None:
    for model in ("m", "n", "o"):
        gateway.add(NOW, model_name=model, prompt_tokens=1_000_000, completion_tokens=0)
    listed = checked_prices([GOOD, {**GOOD, "model": "n", "currency": "USD", "prompt": 0.001}])
    by = "agent,model,channel,day"
    lines = text(gateway.usage(by, prices=listed), by).splitlines()
    total = next(place for place, line in enumerate(lines) if line.startswith("total"))
    assert lines[total].endswith("  0.80 CNY")
    assert [line.strip() for line in lines[total + 1 : total + 3]] == ["+ 0.0010 USD", "+ ?"]
    assert len({len(line) for line in lines[1 : total + 3]}) == 1
    assert max(map(width, lines)) <= 80


def test_a_table_says_its_time_zone_and_since_when_rows_exist(gateway: Gateway) -> None:
    gateway.add(datetime(2026, 11, 26, 1, 0, tzinfo=UTC))
    shown = text(gateway.usage(), "agent,model")
    assert shown.startswith("gw1: since 2026-11-24 00:00 (Asia/Shanghai)")
    assert "Rows exist since 2026-11-26 09:00." in shown
    pruned = GatewayUsage("gw1", "read", "", midnight(date(2020, 1, 1), SHANGHAI), "Asia/Shanghai", 90, gateway.usage())
    notes = list(usage_table.notes(pruned, report(None, "agent"), Wording(WORDS)))
    assert "older ones were removed (gateway_log_days = 90)" in notes[0]


def test_gateways_that_cannot_be_read_are_told_beside_the_others() -> None:
    gateways = (
        GatewayUsage("gw1", "down"),
        GatewayUsage("gw2", "unreadable", "no"),
        GatewayUsage("gw3", "moved", "gw4"),
    )
    made = Report(NOW, "7d", ("agent",), gateways)
    assert usage_table.text(made, Wording(WORDS)).split("\n\n") == [
        "gw1: it cannot be reached",
        "gw2: its log cannot be read: no",
        "gw3: its gateway was moved to gw4, and its log with it",
    ]
    shown = json.loads(json.dumps(usage_report.as_json(made)))
    assert [(each["state"], each["total"]) for each in shown["gateways"]] == [
        ("down", None),
        ("unreadable", None),
        ("moved", None),
    ]
    assert usage_report.as_csv(made).count("\n") == 1


def test_json_has_the_documented_shape(gateway: Gateway) -> None:
    gateway.add(NOW)
    gateway.log(f"[ERR] 2026/11/30 - 09:00:00 | id | {FAILED.format(1)}")
    listed = checked_prices([GOOD])
    shown = usage_report.as_json(report(gateway.usage("agent,day", prices=listed), "agent,day"))["gateways"][0]
    sums = {
        **{"requests": 1, "prompt_tokens": 10, "completion_tokens": 5, "cost": {"CNY": 0.000032}},
        **{"requests_without_price": 0, "requests_without_tokens": 0},
    }
    assert shown == {
        **{"name": "gw1", "state": "read", "problem": "", "since": "2026-11-24T00:00:00+08:00"},
        **{"time_zone": "Asia/Shanghai", "rows_since": "2026-11-30T04:00:00Z", "total": sums},
        "groups": [{"agent": "agent1", "day": "2026-11-30", **sums}],
        **{"group_count": 1, "other_groups": None, "models_without_price": []},
        "failed_attempts": {
            "known_since": "2026-11-30T09:00:00+08:00",
            "total": 1,
            "groups": [{"day": "2026-11-30", "attempts": 1}],
        },
        "lost_rows": 0,
    }


def test_csv_holds_no_formula(gateway: Gateway) -> None:
    for name in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "a,b"):
        gateway.add(NOW, token_name=name)
    shown = usage_report.as_csv(report(gateway.usage(), "agent,model"))
    lines = shown.splitlines()
    assert lines[0].startswith("gateway,agent,model,channel,day,requests,prompt_tokens,completion_tokens,cost_cny")
    agents = [line.split(",", 1)[1] for line in lines[1:]]
    assert len(agents) == 6
    assert not [agent for agent in agents if agent.lstrip('"').startswith(("=", "+", "-", "@", "\t"))]
    assert 'gw1,"a,b",m,,,1,10,5,,,1,0,' in lines


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_a_page_needs_nothing_beside_itself_and_escapes_names(gateway: Gateway, language: str) -> None:
    gateway.add(NOW, token_name="<script>alert(1)</script>", prompt_tokens=100)
    gateway.add(NOW - timedelta(days=1), token_name="agent2", prompt_tokens=50)
    made = report(gateway.usage("agent,day"), "agent,day")
    shown = usage_page.page(made, Wording(WORDS, language))
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "default-src 'none'" in shown
    for part in ("http://", "https://", "url(", "@import", "src=", "href="):
        assert part not in shown
    assert 'name="viewport"' in shown
    assert "prefers-color-scheme: dark" in shown
    assert shown.count('class="bar"') == 4
    assert ("用量" if language == CHINESE else "Usage") in shown


# --- a large log


@pytest.mark.slow
def test_a_million_rows_cross_the_wire_in_64_kib(gateway: Gateway) -> None:
    """Bytes, not time; names that do not repeat, and as long as they are sent."""
    chance = random.Random(1)  # noqa: S311
    names = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=64)) for _ in range(200)]
    rows = 1_000_000 if (gateway.place / "programs/sqlite3").exists() else 50_000
    with closing(sqlite3.connect(gateway.file)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.executemany("INSERT INTO channels VALUES (?, ?)", [(10 + n, name) for n, name in enumerate(names)])
        database.executemany(
            "INSERT INTO logs (created_at, type, content, token_name, model_name, quota, prompt_tokens,"
            " completion_tokens, channel_id) VALUES (?, 2, '', ?, ?, 1, ?, ?, ?)",
            (
                (
                    int(NOW.timestamp()) - n % (89 * 86400),
                    names[n % 200],
                    names[n // 200 % 200],
                    n % 4001,
                    n % 499,
                    10 + n % 200,
                )
                for n in range(rows)
            ),
        )
    found = gateway.usage("agent,model,channel,day", since="90d", prices=checked_prices([GOOD]))
    assert found.total.requests == rows
    assert found.total.prompt == sum(n % 4001 for n in range(rows))
    assert found.group_count > len(found.groups) > 50
    assert found.others.requests == rows - sum(each.sums.requests for each in found.groups)
    assert len(gateway.printed) <= 64 * 1024
