"""files/prune-logs: what it removes, what it leaves, and when it does nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import other_databases
from llm_gateway.model.checkout import ROOT
from llm_gateway.parts.log_pruning import PRUNING, Pruned, problem
from tests.unit.local_host import TOOLS
from tests.unit.test_other_databases import NAMING, SILENT

pytestmark = pytest.mark.slow
DAYS = 30
_PROGRAMS = (
    *("awk", "bash", "cat", "date", "dirname", "fallocate", "find", "flock", "id", "mkdir", "mv", "readlink", "rm"),
    *("sed", "sleep", "stat", "tail", "tr"),
)
# Who runs what is One API's: tests/lab/test_attack_database.py has a real host.
_SETPRIV = 'echo "${*:1:6}" >> "$PRIVILEGES"; while [ "$1" != -- ]; do shift; done; shift; exec "$@"'


class Host:
    """A gateway's directory below a test's own, and only the programs that it may find; `tool` for SQLite."""

    def __init__(self, place: Path, tool: str) -> None:
        self.place, self.home, self.run_directory = place / "gateway", place / "home", place / "run"
        self.logs = self.place / "data/logs"
        self._programs = place / "programs"
        for directory in (self.logs, self.place / "backups", self.home, self.run_directory, self._programs):
            directory.mkdir(parents=True)
        for name in _PROGRAMS:
            (self._programs / name).symlink_to(shutil.which(name) or name)
        found = sys.executable if tool == "python3" else shutil.which(tool)
        (self._programs / tool).symlink_to(found or tool)
        self.stub("id", "echo 0")
        self.stub("docker", "exit 1")
        self.stub("setpriv", _SETPRIV)
        shutil.copy(ROOT / "files/prune-logs", self.place)
        shutil.copy(other_databases.SCRIPT, self.place)
        for part in ("database-access", "script-functions"):
            shutil.copy(ROOT / "files" / part, self.place)
        (self.place / "prune-logs.conf").write_text(
            f"days={DAYS}\nuid=59300\nhome={self.home}\nrun={self.run_directory}\n"
        )
        (self.place / "first-start-done").touch()
        self.privileges = place / "privileges"
        with self.database() as database:
            database.execute("CREATE TABLE logs (id integer PRIMARY KEY, created_at bigint, content text)")
            database.execute("CREATE INDEX idx_created_at ON logs (created_at)")

    def stub(self, name: str, script: str) -> None:
        """Let a program of the host do something else."""
        file = self._programs / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def database(self) -> sqlite3.Connection:
        """The gateway's."""
        return sqlite3.connect(self.place / "data/one-api.db", timeout=30)

    def write_rows(self, number: int, days: float) -> None:
        """Add rows that are so many days old."""
        moment = int(time.time() - days * 86400)
        with self.database() as database:
            database.executemany("INSERT INTO logs (created_at, content) VALUES (?, 'x')", [(moment,)] * number)

    def rows(self) -> int:
        """How many there are."""
        return int(self.database().execute("SELECT count(*) FROM logs").fetchone()[0])

    def prune(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [str(self._programs / "bash"), str(self.place / "prune-logs")],
            env={"PATH": str(self._programs), "PRIVILEGES": str(self.privileges)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def last(self) -> dict[str, Any]:
        """prune-logs.json."""
        found: dict[str, Any] = json.loads((self.home / "prune-logs.json").read_text())
        return found


@pytest.fixture(params=TOOLS)
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    """A host that has the one or the other program for SQLite."""
    return Host(tmp_path, request.param)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with sqlite3 where this machine has it."""
    return Host(tmp_path, TOOLS[0])


def test_old_rows_go_and_others_stay(either: Host) -> None:
    either.write_rows(1300, DAYS + 1)
    either.write_rows(7, DAYS - 1)
    done = either.prune()
    assert done.returncode == 0, done.stderr
    assert either.rows() == 7
    assert json.loads(done.stdout) == either.last()
    assert (either.last()["ok"], either.last()["removed"], either.last()["rows"]) == (True, 1300, 7)
    lines = either.privileges.read_text().splitlines()
    assert {*lines} == {"--reuid 59300 --regid 59300 --clear-groups --no-new-privs"}
    again = either.prune()
    assert (again.returncode, either.last()["removed"]) == (0, 0)


def test_a_trigger_that_an_intruder_has_left_is_not_run(host: Host) -> None:
    host.write_rows(3, DAYS + 1)
    with host.database() as database:
        database.execute("CREATE TABLE seen (a)")
        database.execute("CREATE TRIGGER trap AFTER DELETE ON logs BEGIN INSERT INTO seen VALUES (1); END")
    assert host.prune().returncode == 0
    assert host.rows() == 0
    assert host.database().execute("SELECT count(*) FROM seen").fetchone() == ((0,) if TOOLS[0] == "sqlite3" else (3,))


def test_a_database_that_stays_locked_is_told(either: Host) -> None:
    script = either.place / "prune-logs"
    script.write_text(script.read_text().replace("patience=1000", "patience=1").replace("attempts=10", "attempts=2"))
    either.write_rows(3, DAYS + 1)
    with either.database() as database:
        database.execute("BEGIN IMMEDIATE")
        done = either.prune()
    assert done.returncode == 1
    assert "rows of the table logs cannot be removed" in either.last()["error"]
    assert "locked" in either.last()["error"]
    assert either.rows() == 3
    assert Pruned.parse(json.dumps(either.last())) is not None


@pytest.mark.parametrize(("line", "name"), NAMING)
def test_a_log_in_another_database_is_left_alone(host: Host, line: str, name: str) -> None:
    host.write_rows(3, DAYS + 1)
    (host.place / "data/.env").write_text(f"{line}\n")
    done = host.prune()
    assert (done.returncode, host.rows()) == (0, 3)
    assert "its rows stay" in done.stderr
    assert "hush" not in done.stderr + done.stdout


def test_a_setting_that_leads_nowhere_else_is_no_reason(host: Host) -> None:
    host.write_rows(3, DAYS + 1)
    (host.place / "data/.env").write_text("\n".join([*SILENT, ""]))
    assert host.prune().returncode == 0
    assert host.rows() == 0


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("gateway/migrated-to", "does not serve on this host"),
        ("gateway/migrating-from", "does not serve on this host"),
        ("home/unfinished", "is to be undone"),
        ("home/undoing", "is to be undone"),
        ("run/openclaw-llm-gateway.lock", "a run is at work"),
        ("gateway/backups/.lock", "a backup is being made"),
    ],
)
def test_it_keeps_out_of_the_way(host: Host, tmp_path: Path, place: str, words: str) -> None:
    host.write_rows(3, DAYS + 1)
    old = host.logs / "oneapi-20200101.log"
    old.touch()
    os.utime(old, (1, 1))
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / place).write_text(f"{os.getpid()} {started}\nwei@laptop\nrun\n")
    with (tmp_path / place).open() as file:
        holder = subprocess.Popen(["flock", str(file.fileno())], pass_fds=[file.fileno()])
        assert holder.wait() == 0
        done = host.prune()
    assert (done.returncode, done.stdout) == (0, "")
    assert words in done.stderr
    assert (host.rows(), old.exists()) == (3, True)
    (tmp_path / place).unlink()
    assert host.prune().returncode == 0
    assert (host.rows(), old.exists()) == (0, False)


def test_a_lock_whose_run_has_ended_holds_up_nobody(host: Host) -> None:
    host.write_rows(3, DAYS + 1)
    (host.run_directory / "openclaw-llm-gateway.lock").write_text(f"{os.getpid()} 1\nwei@laptop\nrun\n")
    assert host.prune().returncode == 0
    assert host.rows() == 0


def log_lines(days: float, number: int) -> str:
    """Lines as One API writes them, so many days old."""
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y/%m/%d - %H:%M:%S")
    return "".join(f"[GIN] {at} | 2026112917{count:08d} | 200 |  7ms | POST /v1\n" for count in range(number))


@pytest.mark.parametrize("can_collapse", [True, False])
def test_the_file_that_one_api_has_open_loses_its_beginning(host: Host, can_collapse: bool) -> None:
    """Lines that are written afterwards still come into it, by the way that was opened before."""
    if not can_collapse:
        host.stub("fallocate", "exit 1")
    file = host.logs / "oneapi-20260101.log"
    kept = log_lines(1, 3000)
    file.write_text(log_lines(DAYS + 3, 3000) + "goroutine 1 [running]:\n" + kept)
    with file.open("a", buffering=1) as opened:
        assert host.prune().returncode == 0
        opened.write("the last line\n")
    text = file.read_text()
    assert text.endswith(kept + "the last line\n")
    assert len(text) < len(kept) + 8192
    assert [path.name for path in host.logs.iterdir()] == [file.name]


def test_old_files_go_and_what_is_not_a_log_of_one_api_stays(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(log_lines(DAYS + 3, 3000))
    (host.logs / "oneapi-link.log").symlink_to(outside)
    for name in ("oneapi-20200101.log", "notes.txt", "oneapi-20260102.log"):
        (host.logs / name).write_text("no line of One API's\n" * 1000)
    for name in ("oneapi-20200101.log", "notes.txt"):
        os.utime(host.logs / name, (1, 1))
    sizes = {path.name: path.stat().st_size for path in host.logs.iterdir()}
    assert host.prune().returncode == 0
    del sizes["oneapi-20200101.log"]
    assert {path.name: path.stat().st_size for path in host.logs.iterdir()} == sizes
    shutil.rmtree(host.logs)
    assert host.prune().returncode == 0


def test_what_is_wrong_with_it_is_told() -> None:
    well = {
        PRUNING.timer: {"LoadState": "loaded", "ActiveState": "active"},
        PRUNING.service: {"Result": "success"},
    }
    failed = Pruned(datetime.now(UTC), 0, None, "locked")
    assert problem(well, None) is None
    assert "run deploy.py" in (problem({}, None) or "")
    assert "does not run" in (problem({PRUNING.timer: {"LoadState": "loaded", "ActiveState": "failed"}}, None) or "")
    service = {PRUNING.service: {"Result": "exit-code"}}
    assert "(locked)" in (problem({**well, **service}, failed) or "")
    assert "exit-code" in (problem({**well, **service}, None) or "")
    assert Pruned.parse("") is None
    assert Pruned.parse('{"at": 1}') is None
