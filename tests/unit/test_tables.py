"""The checksums of a database's tables: the same by sqlite3 and by Python, another as soon as a value is another."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.tables import Account, Schema, SQLiteStore, Table, Verdict
from tests.unit import odd_databases

HOST: Any = "a host"
"""The commands run on this machine, so no host is asked."""

_ODD = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, quota REAL);
CREATE TABLE "od""d;' x" (a, b);
CREATE TABLE options (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE empty (a);
INSERT INTO users VALUES (1, 'root', 0.1), (2, '小王', 1e300), (-3, NULL, -9.5);
INSERT INTO "od""d;' x" VALUES (1.5, x'00ff'), ('a' || char(0) || 'b', NULL), (-9223372036854775808, 'two
lines|and a bar'), (CAST(x'ff41' AS TEXT), '');
INSERT INTO options VALUES ('b', '1'), ('a', '2');
CREATE INDEX users_name ON users (name, quota, id);
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with values that are hard to print."""
    path = tmp_path / "one-api.db"
    connection = sqlite3.connect(path)
    connection.executescript(_ODD)
    connection.close()
    return path


@pytest.fixture(params=["sqlite3", "python3"])
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A machine that has this tool alone."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if request.param == "sqlite3":
        if (found := shutil.which("sqlite3")) is None:
            pytest.skip("this machine has no sqlite3")
        (programs / "sqlite3").symlink_to(found)
    else:
        (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (programs / "python3").chmod(0o755)
    for name in ("cat", "awk"):
        (programs / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setattr(remote, "run", _run_with(programs))
    return str(request.param)


def _run_with(programs: Path) -> Callable[[Any, str], list[str]]:
    def run(host: Any, command: str, stdin: str | None = None) -> list[str]:
        done = subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": str(programs)}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise remote.RemoteError(done.stderr.strip())
        return done.stdout.splitlines()

    return run


def _change(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute(statement)
    connection.commit()
    connection.close()


# As sqlite3 3.40 says it; every version must say so, or two hosts could not be compared.
_CHECKSUMS = {
    "empty": Table(0, "7CEFA546CF11E594EA3FD97140156BB1CA8E28FCB6A53DC9330EF7AEA22CD12B"),
    "od\"d;' x": Table(4, "6D33061FACE14346B0603B29F1339AE16B6657CE9EE8285E6670880EBD10C153"),
    "options": Table(2, "9B4B47F0C091545712536EE609AF80499F9F46E8B352AC8AF7F5E615824F9402"),
    "users": Table(3, "8E622468A0C1DEE45369D13B07C9E52B954732E02686E3B7748BBE310D976D37"),
}


def test_every_tool_says_the_same(tool: str, database: Path) -> None:
    assert SQLiteStore(HOST, str(database)).read() == _CHECKSUMS
    assert SQLiteStore(HOST, str(database)).counts() == {name: table.count for name, table in _CHECKSUMS.items()}


def test_every_tool_says_whose_it_is(tool: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as made:
        made.executescript("""
            CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, role INTEGER, status INTEGER);
            CREATE TABLE "a
            b" (x); CREATE TABLE tokens ("k|ey" TEXT, models TEXT);
            INSERT INTO users VALUES (1, 'root', 100, 1), (3, '小|王', 'x|y', 1),
                (4, NULL, 100, NULL), (5, 'root', NULL, 2);
            CREATE TRIGGER "de'l" AFTER INSERT ON users BEGIN DELETE FROM tokens; END;
            CREATE VIEW logs AS SELECT * FROM tokens;
        """)
    assert SQLiteStore(HOST, str(tmp_path / "a.db")).schema() == Schema(
        {
            "a\n            b": (),
            "tokens": ("k|ey", "models"),
            "users": ("id", "username", "role", "status"),
        },
        (("de'l", "users"),),
        4,
        (Account(1, "root", 100, 1), Account(4, "", 100, 0), Account(5, "root", 0, 2)),
        ("logs",),
    )
    with closing(sqlite3.connect(tmp_path / "b.db")) as made:
        made.execute("CREATE TABLE users (id INTEGER, role INTEGER, status_of INTEGER)")
    assert SQLiteStore(HOST, str(tmp_path / "b.db")).schema().users is None


def test_a_database_in_utf_16_is_counted(tool: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "wide.db")) as made:
        made.executescript("PRAGMA encoding = 'UTF-16le'; CREATE TABLE users (a); INSERT INTO users VALUES (1);")
    assert SQLiteStore(HOST, str(tmp_path / "wide.db")).counts() == {"users": 1}
    assert SQLiteStore(HOST, str(tmp_path / "wide.db")).schema().columns == {"users": ("a",)}


def test_pages_do_not_count_but_values_do(tool: str, database: Path) -> None:
    before = SQLiteStore(HOST, str(database)).read()
    _change(database, "VACUUM")
    assert SQLiteStore(HOST, str(database)).read() == before
    _change(database, "UPDATE users SET quota = 0.2 WHERE id = 1")
    assert tables.differences(before, SQLiteStore(HOST, str(database)).read()) == [
        "users: as many rows (3), but not the same"
    ]
    _change(database, "DELETE FROM users WHERE id = 1")
    _change(database, "DROP TABLE empty")
    assert tables.differences(before, SQLiteStore(HOST, str(database)).read()) == [
        "empty: this table is missing, and should not be",
        "users: 2 rows, not 3",
    ]


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_what_is_no_database_is_told(tool: str, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    if content == b"":
        assert SQLiteStore(HOST, str(path)).read() == {}
        return
    with pytest.raises(tables.TablesError, match="not there" if content is None else "not a database"):
        SQLiteStore(HOST, str(path)).read()
    assert path.exists() == (content is not None), "nothing is made where nothing was"


def test_a_damaged_file_is_found_damaged(tool: str, database: Path) -> None:
    assert SQLiteStore(HOST, str(database)).examine() == SQLiteStore(None, str(database)).examine() == Verdict(None, ())
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\x99" * 500 + content[4596:])
    for host in (HOST, None):
        assert SQLiteStore(host, str(database)).examine().damage


def test_an_odd_database_is_counted_whole_and_told_with_what_fixes_it(tool: str, tmp_path: Path) -> None:
    path = odd_databases.make(tmp_path / "odd.db", *odd_databases.KINDS)
    for host in (HOST, None):
        assert SQLiteStore(host, str(path)).counts() == odd_databases.ROWS
        found = SQLiteStore(host, str(path)).examine()
        assert found.damage is None
        assert dict(found.odd) == {
            "NULL in users.password, which may not hold it": (
                'UPDATE "users" SET "password" = \'\' WHERE typeof("password") = \'null\''
            ),
            "the index idx_users_name does not hold what its table does": "REINDEX",
        }
    connection = sqlite3.connect(path, isolation_level=None)
    for _, fix in found.odd:
        connection.execute(fix)
    connection.close()
    assert SQLiteStore(HOST, str(path)).examine() == Verdict(None, ())


def test_no_statement_is_told_that_holds_a_name_of_somebody_else_s_making(tool: str, tmp_path: Path) -> None:
    path = odd_databases.make(tmp_path / "odd.db", odd_databases.NULL, table='x" SET y = writefile(1, 2); --')
    ((what, fix),) = SQLiteStore(HOST, str(path)).examine().odd
    assert "writefile" in what
    assert fix == "-- give each of its rows a value there"


def test_fewer_rows_are_a_loss_and_more_are_none() -> None:
    before = {"users": 3, "logs": 300, "tokens": 0}
    assert tables.lost(before, {"users": 3, "logs": 301, "tokens": 0, "new": 1}) == []
    assert tables.lost(before, {"users": 2, "logs": 300}) == [
        "tokens: the table is gone",
        "users: 2 rows of 3 are left",
    ]
