"""files/budgets, with real databases: what it counts, whom it shuts out and lets in again, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_gateway.contents import budgets
from llm_gateway.hosts import other_databases
from llm_gateway.model import layout
from llm_gateway.model.budgets import Month
from llm_gateway.model.checkout import ROOT
from tests.unit.local_host import TOOLS
from tests.unit.topology import Run, make_agent, make_node

pytestmark = pytest.mark.slow
SHANGHAI = ZoneInfo("Asia/Shanghai")
PRICES = [
    {"model": "chat", "currency": "CNY", "prompt": 1000, "completion": 2000},
    {"model": "chat", "currency": "CNY", "prompt": 500, "completion": 1000, "since": "2026-12-15"},
    {"model": "other", "currency": "USD", "prompt": 1, "completion": 1},
    {"model": "embed", "currency": "CNY", "prompt": 10, "completion": 0},
]
CHAT = {"type": 1, "key": "LAB", "name": "c", "base_url": "http://upstream", "models": ["chat", "embed"]}
_PROGRAMS = (
    *("awk", "bash", "cat", "date", "dirname", "flock", "grep", "head", "mkdir", "mv", "readlink"),
    *("rm", "sed", "seq", "tail", "tr", "wc"),
)
_SETPRIV = 'echo "${*:1:6}" >> "$PRIVILEGES"; while [ "$1" != -- ]; do shift; done; shift; exec "$@"'


def at(text: str) -> int:
    """A moment in Shanghai, in seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


NOON = at("2026-12-10 12:00")


class Host:
    """A gateway's directory below a test's own, with budgets as a deployment writes them; `tool` for SQLite."""

    def __init__(self, place: Path, tool: str) -> None:
        self.place, self.home, self.run_directory = place / "gateway", place / "home", place / "run"
        self._programs = place / "programs"
        for directory in (self.place / "data", self.place / "backups", self.home, self.run_directory, self._programs):
            directory.mkdir(parents=True)
        for name in _PROGRAMS:
            (self._programs / name).symlink_to(shutil.which(name) or name)
        (self._programs / tool).symlink_to(sys.executable if tool == "python3" else shutil.which(tool) or tool)
        for name, script in (("id", "echo 0"), ("setpriv", _SETPRIV)):
            (self._programs / name).write_text(f"#!/bin/bash\n{script}\n")
            (self._programs / name).chmod(0o755)
        for script in ("budgets", "database-access", "script-functions"):
            shutil.copy(ROOT / "files" / script, self.place)
        shutil.copy(other_databases.SCRIPT, self.place)
        (self.place / "first-start-done").touch()
        self.privileges = place / "privileges"
        with self.database() as database:
            database.execute(
                "CREATE TABLE logs (id integer PRIMARY KEY AUTOINCREMENT, created_at bigint, type integer,"
                " content text, token_name text, model_name text, quota integer, prompt_tokens integer,"
                " completion_tokens integer)"
            )
            database.execute("CREATE INDEX idx_created_at_type ON logs (created_at, type)")
            database.execute(
                "CREATE TABLE tokens (id integer PRIMARY KEY, name text, status integer, unlimited_quota numeric)"
            )
            names = ("a1", "a2", "llm-gateway-canary", "llm-gateway-verification")
            database.executemany("INSERT INTO tokens (name, status, unlimited_quota) VALUES (?, 1, 1)", [*zip(names)])

    def declare(self, zone: str = "Asia/Shanghai", **declared: Any) -> None:
        """Give agents budgets, by their names; what is written is what a deployment would."""
        run = Run()
        node = make_node(run=run, gateway_prices=PRICES, gateway_channels=[CHAT], gateway_timezone=zone)
        for name in ("a1", "a2", "模型 host"):
            make_agent(name=name, run=run, openclaw_budget=declared.get(name))
        (conf,) = [each for each in budgets.script_files(node) if each.path.endswith(layout.BUDGETS_CONF)]
        more = f"home={shlex.quote(str(self.home))}\nrun={shlex.quote(str(self.run_directory))}\n"
        (self.place / layout.BUDGETS_CONF).write_text(conf.content.decode() + more)

    def database(self) -> sqlite3.Connection:
        """The gateway's."""
        return sqlite3.connect(self.place / "data/one-api.db", timeout=30)

    def use(self, agent: str, tokens: int, when: int = NOON - 60, model: str = "chat", completion: int = 0) -> None:
        """Log a request, as One API does."""
        row = (when, 2, "模型倍率 1，分组倍率 1，补全倍率 2", agent, model, 7, tokens, completion)
        with self.database() as database:
            database.execute(
                "INSERT INTO logs (created_at, type, content, token_name, model_name, quota, prompt_tokens,"
                " completion_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def look(self, now: int = NOON, *options: str, code: int = 0) -> Month:
        """Run it; what it says that was used."""
        done = self.run(now, *options)
        assert done.returncode == code, done.stderr + done.stdout
        assert json.loads(done.stdout) == json.loads((self.home / "budgets.json").read_text())
        month = Month.parse(done.stdout)
        assert month is not None, done.stdout
        return month

    def run(self, now: int = NOON, *options: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [str(self._programs / "bash"), str(self.place / "budgets"), "--at", str(now), *options],
            env={"PATH": str(self._programs), "PRIVILEGES": str(self.privileges)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def used(self, agent: str = "a1", now: int = NOON) -> float:
        """What it says that an agent has used."""
        spent = self.look(now).of(agent)
        assert spent is not None
        return float(spent.used)

    def statuses(self) -> dict[str, int]:
        """Of the tokens, by name."""
        return dict(self.database().execute("SELECT name, status FROM tokens").fetchall())

    def alarms(self) -> list[str]:
        """What the canary is to tell."""
        return sorted(path.read_text().strip() for path in (self.home / "problems").glob("budget-*"))


@pytest.fixture(params=TOOLS)
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    """A host that has the one or the other program for SQLite."""
    return Host(tmp_path, request.param)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with sqlite3 where this machine has it."""
    return Host(tmp_path, TOOLS[0])


def test_it_tells_at_80_percent_and_shuts_out_at_100(either: Host) -> None:
    either.declare(a1={"tokens": 1000, "at_limit": "disable"}, a2={"tokens": 1000})
    either.use("a1", 700, completion=99)
    month = either.look()
    assert (month.month, month.zone, month.error) == ("2026-12", "Asia/Shanghai", "")
    assert month.until == datetime(2027, 1, 1, tzinfo=SHANGHAI)
    assert (month.of("a1").used, either.alarms()) == (799, [])
    either.use("a1", 1)
    assert not either.look().of("a1").is_used_up
    (near,) = either.alarms()
    assert near.startswith("budget of a1 for 2026-12, 1000 tokens: 80 % is used: raise openclaw_budget")
    assert either.statuses()["a1"] == 1
    either.use("a1", 200)
    either.use("a2", 5000)
    either.use("llm-gateway-canary", 5000)
    assert either.look().of("a1").is_refused
    assert either.statuses() == {"a1": 4, "a2": 1, "llm-gateway-canary": 1, "llm-gateway-verification": 1}
    alarms = either.alarms()
    assert near in alarms, "the text of an alarm stays as it is, or it would be told anew"
    assert any("a1" in each and "refused until 2027-01-01T00:00:00+08:00" in each for each in alarms)
    assert any("a2" in each and "all of it is used: raise" in each for each in alarms)
    names = {path.name for path in (either.home / "problems").iterdir()}
    assert names == {"budget-a1-near", "budget-a1-over", "budget-a2-near", "budget-a2-over"}
    lines = either.privileges.read_text().splitlines()
    assert {*lines} == {"--reuid 59300 --regid 59300 --clear-groups --no-new-privs"}


def test_a_raised_budget_and_a_new_month_let_in_again(either: Host) -> None:
    either.declare(a1={"tokens": 100, "at_limit": "disable"})
    either.use("a1", 100)
    either.look()
    assert either.statuses()["a1"] == 4
    either.declare(a1={"tokens": 1000, "at_limit": "disable"})
    either.look()
    assert (either.statuses()["a1"], either.alarms()) == (1, [])
    either.declare(a1={"tokens": 100, "at_limit": "disable"})
    last = at("2026-12-31 23:59:59")
    either.look(last)
    assert either.statuses()["a1"] == 4
    assert either.used(now=last + 1) == 0
    assert (either.statuses()["a1"], either.alarms()) == (1, [])


def test_whom_a_person_has_shut_out_stays_so(host: Host) -> None:
    host.declare(a1={"tokens": 100, "at_limit": "disable"})
    with host.database() as database:
        database.execute("UPDATE tokens SET status = 2 WHERE name = 'a1'")
    host.use("a1", 100)
    host.look()
    assert host.statuses()["a1"] == 2
    host.look(at("2027-01-02 00:00"))
    assert host.statuses()["a1"] == 2


def test_a_used_up_quota_of_its_own_is_not_taken_back(host: Host) -> None:
    host.declare(a1={"tokens": 100, "at_limit": "disable"})
    with host.database() as database:
        database.execute("UPDATE tokens SET status = 4, unlimited_quota = 0 WHERE name = 'a1'")
    host.look()
    assert host.statuses()["a1"] == 4


def test_rows_are_read_once_and_stay_counted_when_they_are_removed(host: Host) -> None:
    host.declare(a1={"tokens": 10**6})
    for number in range(1, 31):
        host.use("a1", number)
    script = host.place / "budgets"
    script.write_text(script.read_text().replace("portion=5000 ", "portion=7 "))
    assert host.used() == 465
    with host.database() as database:
        database.execute("DELETE FROM logs")
    assert host.used() == 465
    host.use("a1", 5)
    assert (host.used(), host.used()) == (470, 470)
    with host.database() as database:
        database.execute("DELETE FROM logs")
    host.use("a1", 1)
    assert host.used() == 471


def test_a_clock_that_was_wrong_for_a_while_loses_nothing(host: Host) -> None:
    host.declare(a1={"tokens": 10**6})
    host.use("a1", 5)
    assert host.used() == 5
    later = at("2031-01-05 00:00")
    assert host.used(now=later) == 0
    host.use("a1", 7, later)
    assert host.used(now=later) == 7
    host.use("a1", 6)
    assert host.used() == 11


def test_months_of_long_ago_are_forgotten(host: Host) -> None:
    host.declare(a1={"tokens": 10**6})
    for month in range(1, 7):
        now = at(f"2026-{month:02}-10 12:00")
        host.use("a1", month, now)
        assert host.used(now=now) == month
    days = {line.split()[3] for line in (host.place / "budgets.sums").read_text().splitlines() if "sum" in line}
    assert days == {"2026-04-10", "2026-05-10", "2026-06-10"}


def test_another_database_is_summed_up_anew(host: Host) -> None:
    host.declare(a1={"tokens": 10**6})
    for _ in range(5):
        host.use("a1", 10)
    assert host.used() == 50
    with host.database() as database:
        database.execute("DELETE FROM logs WHERE id > 3")
    assert host.used() == 30, "an older one, with fewer rows"
    with host.database() as database:
        database.execute("UPDATE logs SET created_at = created_at - 7, prompt_tokens = 1")
    assert host.used() == 3, "another one, with as many"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "America/Sao_Paulo", "Africa/Cairo", "No/Such"])
def test_a_month_is_that_of_the_zone(host: Host, zone: str) -> None:
    host.declare(zone, a1={"tokens": 10**6})
    here = ZoneInfo("UTC" if zone == "No/Such" else zone)
    # In Cairo the clocks are put forward at a midnight of April.
    begin = int(datetime(2026, 4, 1, tzinfo=here).timestamp())
    end = int(datetime(2026, 5, 1, tzinfo=here).timestamp())
    for when, tokens in ((begin - 1, 1), (begin, 10), (end - 1, 100), (end, 1000)):
        host.use("a1", tokens, when)
    month = host.look(end - 1)
    assert (month.month, month.of("a1").used, month.zone) == ("2026-04", 110, str(here))
    assert host.used(now=end) == 1000


def test_money_goes_by_the_prices_of_the_day(host: Host) -> None:
    host.declare(a1={"CNY": 2.5, "at_limit": "disable"})
    host.use("a1", 500, at("2026-12-14 23:59"), completion=100)  # 0.5 + 0.2
    host.use("a1", 500, at("2026-12-15 00:00"), completion=100)  # 0.25 + 0.1
    host.use("a1", 1000, model="embed")  # 0.01
    now = at("2026-12-20 00:00")
    assert host.used(now=now) == pytest.approx(1.06)
    assert host.statuses()["a1"] == 1
    host.use("a1", 10**9, model="other")
    host.use("a1", 10**9, model="模型")
    spent = host.look(now).of("a1")
    assert (float(spent.used), {*spent.unpriced}) == (pytest.approx(1.06), {"other", "模型"})
    host.use("a1", 1440)
    assert host.look(now).of("a1").is_refused
    assert host.statuses()["a1"] == 4


def test_what_a_rotation_has_set_aside_counts_and_is_shut_out(host: Host) -> None:
    host.declare(a1={"tokens": 100, "at_limit": "disable"})
    with host.database() as database:
        for name in ("a1.old-69338a80", "a1.old-x", "b.a1.old-69338a80"):
            database.execute("INSERT INTO tokens (name, status, unlimited_quota) VALUES (?, 1, 1)", (name,))
    host.use("a1.old-69338a80", 60)
    host.use("b.a1.old-69338a80", 60)
    host.use("a1", 50)
    assert host.used() == 110
    statuses = host.statuses()
    assert (statuses["a1"], statuses["a1.old-69338a80"]) == (4, 4)
    assert (statuses["a1.old-x"], statuses["b.a1.old-69338a80"]) == (1, 1)


def test_names_of_any_kind_are_told_apart(host: Host) -> None:
    name = "模型 host"
    host.declare(**{name: {"tokens": 10, "at_limit": "disable"}})
    with host.database() as database:
        database.execute("INSERT INTO tokens (name, status, unlimited_quota) VALUES (?, 1, 1)", (name,))
    host.use(name, 4)
    host.use(name, 6, model="")
    host.use("'; DROP TABLE tokens; --|x", 10)
    assert host.used(name) == 10
    assert host.statuses()[name] == 4
    names = [path.name for path in (host.home / "problems").iterdir()]
    assert len(names) == 2
    assert all(re.fullmatch("[a-z][a-z0-9_-]{0,31}", each) for each in names), "as the canary takes them"


def test_failures_and_images_are_no_tokens(host: Host) -> None:
    host.declare(a1={"tokens": 10**6})
    host.use("a1", 5)
    with host.database() as database:
        database.execute(
            "INSERT INTO logs (created_at, type, content, token_name, model_name, quota, prompt_tokens,"
            " completion_tokens) SELECT created_at, 1, content, token_name, model_name, quota, 900, 900 FROM logs"
        )
        database.execute(
            "INSERT INTO logs (created_at, type, content, token_name, model_name, quota, prompt_tokens,"
            " completion_tokens) VALUES (?, 2, '模型倍率 1，分组倍率 1', 'a1', 'tts', 700, 700, 0)",
            (NOON,),
        )
    assert host.used() == 5


def test_a_locked_database_is_told_and_what_is_known_holds(host: Host) -> None:
    host.declare(a1={"tokens": 100})
    host.use("a1", 90)
    host.look()
    script = host.place / "budgets"
    script.write_text(script.read_text().replace("patience=10000", "patience=1"))
    with host.database() as database:
        database.execute("BEGIN EXCLUSIVE")
        month = host.look(code=1)
        failing = host.home / "problems/budgets"
        assert not failing.exists(), "once may be another program's lock"
        host.look(code=1)
    assert "locked" in month.error
    assert (month.of("a1").used, len(host.alarms())) == (90, 1)
    assert failing.read_text().startswith(
        "the budgets cannot be looked at: `journalctl -u openclaw-llm-gateway-budgets"
    )
    host.look()
    assert not failing.exists()


def test_it_looks_without_writing_where_nothing_is_to_be_switched(host: Host) -> None:
    host.declare(a1={"tokens": 100, "at_limit": "disable"})
    host.use("a1", 100)
    host.look()
    with host.database() as database:
        database.execute("BEGIN IMMEDIATE")  # whoever would write now, would wait
        assert host.look().of("a1").is_refused


def test_a_log_in_another_database_is_told(host: Host) -> None:
    host.declare(a1={"tokens": 100})
    (host.place / "data/.env").write_text("SQL_DSN=postgres://u:hush@h/d\n")
    month = host.look(code=1)
    assert "the gateway's log is not in" in month.error
    assert "hush" not in month.error


@pytest.mark.parametrize("place", ["gateway/migrated-to", "home/unfinished", "run/openclaw-llm-gateway.lock"])
def test_it_keeps_out_of_the_way_of_others_alone(host: Host, tmp_path: Path, place: str) -> None:
    host.declare(a1={"tokens": 100, "at_limit": "disable"})
    host.use("a1", 100)
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / place).write_text(f"{os.getpid()} {started}\nwei@laptop\nrun\n")
    done = host.run()
    assert (done.returncode, done.stdout, host.statuses()["a1"]) == (0, "", 1)
    assert "nothing is done" in done.stderr
    host.look(NOON, "--by-run")
    assert host.statuses()["a1"] == 4


def test_an_empty_log_and_an_unknown_option(host: Host) -> None:
    host.declare(a1={"tokens": 100})
    assert host.used() == 0
    done = host.run(NOON, "--now")
    assert done.returncode == 1
    assert re.search("no such option", done.stderr)
