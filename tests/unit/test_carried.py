"""What a gateway has written since a copy of its database was made for another software, taken over by that."""

# ruff: noqa: S608 (statements of ours)

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.standin import schema
from lab.standin.database import migrate_table
from lab.standin.newapi import schema as newapi_schema
from llm_gateway.flavours.known import NEW_API
from llm_gateway.hosts import progress, remote
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.tasks.swap import SwapError
from llm_gateway.tasks.upgrades import carried

LOG = "INSERT INTO logs (id, content) VALUES ({}, '{}');"
MEANWHILE = {
    "nothing": "",
    "more rows": LOG.format(4, "four") + LOG.format(7, "seven"),
    "the oldest rows deleted": "DELETE FROM logs WHERE id < 3;",
    "some deleted and as many added": "DELETE FROM logs WHERE id IN (1, 3);" + LOG.format(4, "d") + LOG.format(5, "e"),
    "the newest deleted": "DELETE FROM logs WHERE id = 3;" + LOG.format(4, "four"),
    "all deleted": "DELETE FROM logs;",
    "tokens changed": "UPDATE tokens SET models = 'm', used_quota = 9; DELETE FROM tokens WHERE id = 2;"
    " INSERT INTO tokens (id, name, key) VALUES (3, 'new', 'k3');",
    "options and users": "UPDATE options SET value = 'new'; INSERT INTO options VALUES ('More', '1');"
    " UPDATE users SET password = 'p';",
    "a table of somebody": 'CREATE TABLE "odd ""name" ("a b", key); INSERT INTO "odd ""name" VALUES (1, 2);',
}
BEFORE = (
    *(LOG.format(number, f"row {number}") for number in (1, 2, 3)),
    "INSERT INTO tokens (id, name, key) VALUES (1, 'a', 'k1'), (2, 'b', 'k2');",
    "INSERT INTO users (id, username, password, role, status) VALUES (1, 'root', '', 100, 1);",
    "INSERT INTO options VALUES ('Notice', 'old');",
    "INSERT INTO channels (id, name, type) VALUES (1, 'c', 27);",
    "INSERT INTO abilities (\"group\", model, channel_id, enabled) VALUES ('default', 'm', 1, 1);",
)


def _execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for each in statements:
            database.executescript(each)


def _tables(file: Path, tables: tuple[schema.Table, ...]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        for table in tables:
            migrate_table(database, table)


def _rows(file: Path, columns: dict[str, str]) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(file)) as database:
        return {
            table: sorted(database.execute(f'SELECT {names} FROM "{table.replace(chr(34), chr(34) * 2)}"'), key=repr)
            for table, names in columns.items()
        }


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A gateway of One API with some rows, which new-api is to serve."""
    for name in ("data", "switching/data", "incoming"):
        (tmp_path / name).mkdir(parents=True)
    file = tmp_path / "data/one-api.db"
    _tables(file, schema.TABLES)
    _execute(file, *BEFORE)
    monkeypatch.setattr(progress, "step", lambda *_: None)
    monkeypatch.setattr(carried, "step", lambda *_: None)
    monkeypatch.setattr(remote, "run", lambda host, script, stdin=None: SQLiteStore(None, "").run(script, stdin))
    gateway = SimpleNamespace(store=SQLiteStore(None, str(file)))
    return cast(Node, SimpleNamespace(host=None, flavour=NEW_API, gateway=gateway, directory=str(tmp_path)))


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_what_was_written_since_the_copy_is_there(node: Node, tmp_path: Path, meanwhile: str) -> None:
    if meanwhile == "a table of somebody":
        _execute(tmp_path / "data/one-api.db", MEANWHILE[meanwhile])
    found = carried.look(node)
    assert found is not None
    shutil.copy(tmp_path / "data/one-api.db", tmp_path / "incoming")
    _tables(tmp_path / "incoming/one-api.db", newapi_schema.TABLES)
    # As what it writes by itself, with a number that the old one uses as well.
    _execute(tmp_path / "incoming/one-api.db", LOG.format(4, "of new-api"), "INSERT INTO options VALUES ('Own', 'x');")
    if meanwhile != "a table of somebody":
        _execute(tmp_path / "data/one-api.db", MEANWHILE[meanwhile])
    (tmp_path / "data/one-api.db").rename(tmp_path / "switching/data/one-api.db")

    carried._catch_up(node, found)

    old = _rows(tmp_path / "switching/data/one-api.db", found.columns)
    new = _rows(tmp_path / "incoming/one-api.db", found.columns)
    for table in found.columns:
        if table not in ("channels", "options", "users"):
            assert new[table] == old[table], table
    assert {*old["options"]} <= {*new["options"]} and ("Own", "x") in new["options"]
    columns = {"channels": "name, type", "tokens": "id, model_limits_enabled", "users": "username, password, quota"}
    after = _rows(tmp_path / "incoming/one-api.db", columns)
    assert after["channels"] == [("c", 35)]
    assert {flag for _, flag in after["tokens"]} == ({1, 0} if meanwhile == "tokens changed" else {0})
    assert after["users"][0][1:] == ("p" if meanwhile == "options and users" else "", 500_000_000_000_000)


def test_what_lay_beside_the_database_is_taken_in_and_noted(node: Node, tmp_path: Path) -> None:
    """What SQLite has taken in is not there to be given back; the mode in which it lay beside it stays."""
    old = tmp_path / "data/one-api.db"
    _execute(old, "PRAGMA journal_mode = WAL;")
    found = carried.look(node)
    assert found is not None
    with closing(sqlite3.connect(old)) as writing:
        writing.executescript(f"PRAGMA wal_autocheckpoint = 0; BEGIN; {LOG.format(4, 'in the WAL')} COMMIT;")
        for name in ("one-api.db", "one-api.db-wal"):
            shutil.copy(old.with_name(name), tmp_path / "switching/data")
        with closing(sqlite3.connect(tmp_path / "incoming/one-api.db")) as copy:
            writing.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    _tables(tmp_path / "incoming/one-api.db", newapi_schema.TABLES)
    carried._catch_up(node, found)
    assert (tmp_path / "switching/held").read_text().split() == ["data/one-api.db"]
    with closing(sqlite3.connect(tmp_path / "incoming/one-api.db")) as new:
        assert new.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert new.execute("SELECT content FROM logs WHERE id = 4").fetchone() == ("in the WAL",)


def test_lost_rows_are_told(node: Node, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "data/one-api.db", tmp_path / "switching/data")
    carried.require_rows(node)
    _execute(tmp_path / "data/one-api.db", "DELETE FROM logs WHERE id = 2;", "DELETE FROM tokens;")
    with pytest.raises(SwapError, match="logs: 2 rows of 3 are left"):
        carried.require_rows(node)


def test_a_database_that_is_its_own_is_not_carried(node: Node, tmp_path: Path) -> None:
    _tables(tmp_path / "data/one-api.db", newapi_schema.TABLES)
    assert carried.look(node) is None
