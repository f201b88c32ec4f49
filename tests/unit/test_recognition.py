"""A restore asks on this machine what the host would refuse, so that a dry run says it, too."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import DeployError

from llm_gateway.flavours import known
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.tasks.migration import migration
from llm_gateway.tasks.restore import local_sources, restore
from tests.unit.test_preflight import found
from tests.unit.test_preflight_data import SET_UP
from tests.unit.topology import DIRECTORY, make_node

HOST: Any = "a host"
"""The commands run on this machine, so no host is asked."""

_WHOLE = dict.fromkeys(recognition.NEEDED_TABLES, 1)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "no table users, channels, tokens, options, abilities: it is not One API's"),
        ({"users": 1, "tokens": 1, "songs": 0}, "no table channels, options, abilities: it is not One API's"),
        ({name: 1 for name in _WHOLE if name != "channels"}, "no table channels"),
        ({**_WHOLE, "users": 0}, "no user: it is empty"),
        ({**_WHOLE, "setups": 1}, "new-api's.*setups"),
    ],
)
def test_what_is_not_one_api_s_is_refused(counts: dict[str, int], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        recognition.require_tables(counts, known.ONE_API)


def test_one_api_s_is_taken() -> None:
    recognition.require_tables(_WHOLE, known.ONE_API)


@pytest.mark.parametrize("view", [False, True])
def test_a_run_refuses_it_before_it_goes_to_the_host(tmp_path: Path, view: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as made:
        for name in recognition.NEEDED_TABLES:
            made.execute(f"CREATE {'VIEW tokens AS' if view and name == 'tokens' else f'TABLE {name} AS'} SELECT 1")
    target = make_node()
    if not view:
        assert restore._find(target, str(tmp_path / "other.db")).tables["tokens"] == 1
        return
    with pytest.raises(DeployError, match=r"other\.db: its tokens is a view.*; nothing was changed"):
        restore._find(target, str(tmp_path / "other.db"))


_ONE_API = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role INTEGER, status INTEGER);
CREATE TABLE channels (id INTEGER); CREATE TABLE tokens (id INTEGER, key TEXT); CREATE TABLE options (key TEXT);
CREATE TABLE abilities (model TEXT); CREATE TABLE logs (id INTEGER);
"""
_ROOT = "INSERT INTO users VALUES (1, 'root', 'x', 100, 1);"
_VIEW = "ALTER TABLE logs RENAME TO l; CREATE VIEW logs AS SELECT * FROM l;"
_TRIGGER = "CREATE TRIGGER {} AFTER INSERT ON logs BEGIN DELETE FROM logs; END;"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said, on a host that is this machine."""
    said: list[str] = []
    monkeypatch.setattr(remote, "run", lambda host, script, stdin=None: tables._run_here(script))
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: said.append(text))
    return said


@pytest.mark.parametrize(
    ("sql", "problem", "note"),
    [
        (_ROOT, None, ""),
        ("", None, ""),  # One API makes the first account itself
        ("DROP TABLE channels; DROP TABLE options;", None, ""),  # a first start that was cut off
        (f"{_ROOT} CREATE TABLE setups (id INTEGER);", "is new-api's.*setups", ""),
        (f"{_ROOT} ALTER TABLE tokens ADD COLUMN model_limits TEXT;", "is new-api's.*its tokens have model_limits", ""),
        (_ROOT + _VIEW, "its logs is a view", ""),
        (
            "INSERT INTO users VALUES (1, 'bob', 'x', 1, 1), (2, 'ann', 'x', 10, 1);",
            r"nobody can administer.*\(none of its users is an administrator\).*WHERE id = \(SELECT min",
            "",
        ),
        (
            "INSERT INTO users VALUES (7, 'root', 'x', 100, 2);",
            r"nobody can administer.*\(root has role 100, status 2\).*status = 1 WHERE id = 7",
            "",
        ),
        ("INSERT INTO users VALUES (1, 'boss', 'x', 100, 1);", None, ""),  # by its access token
        (_ROOT + _TRIGGER.format("purge"), None, 'it has triggers.*purge on logs; `DROP TRIGGER "purge"` removes one'),
        (_ROOT + _TRIGGER.format('"a\nb"'), None, r"it has triggers.*'a\\nb' on logs$"),
        (_ROOT + "".join(_TRIGGER.format(f"t{n}") for n in range(5)), None, "t0 on logs, t1 on logs, t2 .*2 more"),
        (
            "".join(f"DROP TABLE {name};" for name in ("users", "channels", "tokens", "options", "abilities", "logs"))
            + "CREATE TABLE songs (id INTEGER);",
            "not One API's: it has the tables songs",
            "",
        ),
    ],
)
def test_what_is_to_be_taken_over_is_looked_at_on_its_host(
    told: list[str], tmp_path: Path, sql: str, problem: str | None, note: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "one-api.db", isolation_level=None)) as made:
        made.executescript(_ONE_API + sql)
    found = recognition.look(SQLiteStore(HOST, str(tmp_path / "one-api.db")), known.ONE_API)
    assert (found.problem is None) == (problem is None), found
    assert re.search(problem or "", found.problem or "", re.DOTALL), found.problem
    assert re.search(note, " ".join(found.notes), re.DOTALL) and bool(note) == bool(found.notes), found.notes
    # A restore asks the same of a file of this machine, but for what is without a table or a row.
    if not problem or "administer" in problem or "view" in problem:
        asked = str(tmp_path / "one-api.db")
        if problem:
            with pytest.raises(SourceError, match=r"nobody can administer.*on a copy of it|its logs is a view"):
                local_sources.find(asked)
        else:
            assert bool(note) == ("it has triggers" in "\n".join(local_sources.find(asked).notes))


@pytest.mark.parametrize(("number", "is_told"), [(1, False), (2, True)])
def test_a_root_whom_new_api_would_not_let_ask_is_told(
    told: list[str], tmp_path: Path, number: int, is_told: bool
) -> None:
    """Whoever registers before new-api is set up becomes number 1, and root another one."""
    with closing(sqlite3.connect(tmp_path / "one-api.db", isolation_level=None)) as made:
        made.executescript(f"{_ONE_API} CREATE TABLE setups (id INTEGER);")
        made.execute("INSERT INTO users VALUES (?, 'root', 'x', 100, 1)", (number,))
    store = SQLiteStore(HOST, str(tmp_path / "one-api.db"))
    assert ("root has the number 2" in str(recognition.look(store, known.NEW_API).problem)) == is_told
    recognition.require_number(store.schema(), known.ONE_API)


def test_one_in_utf_16_is_refused_with_what_makes_it_utf_8(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "wide.db", isolation_level=None)) as made:
        made.executescript(f"PRAGMA encoding = 'UTF-16le'; {_ONE_API} {_ROOT}")
    with pytest.raises(
        SourceError, match=r"in UTF-16le.*`sqlite3 .* COPY \.dump \| sqlite3 .* one-api\.db '\.read /dev/stdin'`"
    ):
        local_sources.find(str(tmp_path / "wide.db"))


def test_what_is_no_database_is_not_taken_over(told: list[str], tmp_path: Path) -> None:
    (tmp_path / "one-api.db").write_bytes(b"Dear diary, " * 400)
    found = recognition.look(SQLiteStore(HOST, str(tmp_path / "one-api.db")), known.ONE_API)
    assert "one-api.db cannot be read: " in str(found.problem)
    assert "not a database" in str(found.problem)
    (tmp_path / "one-api.db").write_bytes(b"")
    assert recognition.look(SQLiteStore(HOST, str(tmp_path / "one-api.db")), known.ONE_API) == recognition.Found(None)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (_ROOT, None),
        (
            "INSERT INTO users VALUES (4, 'boss', 'x', 100, 1);",
            r"no enabled account root \(boss has role 100\).*id = 4",
        ),
        ("INSERT INTO users VALUES (5, 'root', 'x', 1, 1);", r"no enabled account root \(root has role 1\).*id = 5"),
    ],
)
def test_whom_no_password_lets_in_is_told(tmp_path: Path, sql: str, words: str | None) -> None:
    with closing(sqlite3.connect(tmp_path / "one-api.db", isolation_level=None)) as made:
        made.executescript(_ONE_API + sql)
    problem = recognition.without_root(SQLiteStore(None, str(tmp_path / "one-api.db")).schema())
    assert (problem is None) == (words is None)
    assert re.search(words or "", problem or "")


@pytest.mark.parametrize(
    ("sql", "is_told"),
    [
        (_ROOT, False),
        ("CREATE TABLE setups (id INTEGER)", True),
        ('CREATE TABLE "setups" (id INTEGER)', True),
        ("CREATE TABLE `setups` (`id` integer)", True),
        ("CREATE TABLE setups_of_another (id INTEGER)", False),
        ("ALTER TABLE tokens ADD COLUMN `deleted_at` datetime", True),
        ("ALTER TABLE logs ADD COLUMN `deleted_at` datetime", False),
    ],
)
def test_new_api_s_is_seen_on_a_host_that_has_no_sqlite_yet(
    told: list[str], tmp_path: Path, sql: str, is_told: bool
) -> None:
    with closing(sqlite3.connect(tmp_path / "one-api.db", isolation_level=None)) as made:
        made.executescript(_ONE_API + sql)
        made.execute("INSERT INTO abilities VALUES (randomblob(20000))")
    found = recognition.glimpse(SQLiteStore(HOST, str(tmp_path / "one-api.db")), known.ONE_API)
    assert ("seems to be new-api's" in str(found.problem)) == is_told
    assert ("once sqlite3 is installed" in " ".join(found.notes)) != is_told
    found = recognition.glimpse(SQLiteStore(HOST, str(tmp_path / "one-api.db")), known.NEW_API)
    assert ("seems to be no database of new-api" in str(found.problem)) != is_told


@pytest.mark.parametrize("tools", ["sqlite3\n", "python3\n", "age\n"])
def test_a_deployment_and_a_migration_refuse_it_before_anything_is_touched(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tools: str
) -> None:
    asked = []
    name = "glimpse" if tools == "age\n" else "look"

    def look(store: SQLiteStore, flavour: Flavour, *, is_carried: bool = False) -> recognition.Found:
        asked.append(store.file)
        return recognition.Found("it is new-api's", ("it has triggers",))

    monkeypatch.setattr(recognition, name, look)
    answers = {"database_size": "4096\n", "data": "one-api.db\n", "tools": tools}
    assert found(answers) == ["it is new-api's"]
    assert (told, asked) == (["it has triggers"], [f"{DIRECTORY}/data/one-api.db"])
    assert found({**SET_UP, "tools": tools}) == []
    assert len(asked) == 1, "one of ours is not looked at again and again"
    old_store = SQLiteStore(HOST, "/x/data/one-api.db")
    target = SimpleNamespace(flavour=known.ONE_API)
    move: Any = SimpleNamespace(old_store=old_store, source=SimpleNamespace(host=HOST), target=target, is_over=False)
    assert migration._recognise(move, name == "look") == "it is new-api's"
    assert asked[-1] == "/x/data/one-api.db"
