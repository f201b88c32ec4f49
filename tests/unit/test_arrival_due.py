"""Whose software a database is, where another one is to serve it: told, or nothing is served."""

from __future__ import annotations

import json
import shlex
import sqlite3
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.standin import schema
from lab.standin.database import migrate_table
from lab.standin.newapi import schema as newapi_schema
from lab.standin.schema import Table
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.flavours.known import NEW_API, ONE_API
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import host_data
from llm_gateway.parts import arrival, service
from llm_gateway.parts.database import DatabaseError
from llm_gateway.parts.serving import Serving
from llm_gateway.tasks.upgrades import trial, upgrade
from tests.unit.fake_one_api import FakeOneAPI

HOST: Any = "a host"


def _script(*tables_: Table) -> str:
    """What makes these tables, as the stand-ins do."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        for table in tables_:
            migrate_table(connection, table)
        return "\n".join(connection.iterdump())


OF_ONE_API = _script(*schema.TABLES)
OF_NEW_API = _script(*schema.TABLES, *newapi_schema.TABLES)


def make(tmp_path: Path, flavour: Flavour, sql: str | None, *variables: str, **settings: Any) -> Node:
    file = tmp_path / "one-api.db"
    if sql is not None:
        with closing(sqlite3.connect(file)) as database:
            database.executescript(sql)
    store = SQLiteStore(None, str(file))
    state, known = SimpleNamespace(data_environment=list(variables)), host_data.check(settings)[0]
    gateway = SimpleNamespace(store=store)
    return cast(Node, SimpleNamespace(flavour=flavour, gateway=gateway, state=state, settings=known))


@pytest.mark.parametrize(
    ("sql", "is_due"),
    [
        (None, False),
        ("", False),
        (OF_NEW_API, False),
        (OF_ONE_API, True),
        (f"PRAGMA journal_mode=WAL; {OF_ONE_API}", True),
        (f"{OF_ONE_API} PRAGMA user_version = 7;", True),
        (f"{OF_NEW_API} PRAGMA user_version = 7;", False),
    ],
)
def test_a_database_of_one_api_is_carried_over(tmp_path: Path, sql: str | None, is_due: bool) -> None:
    node = make(tmp_path, NEW_API, sql)
    assert (arrival.due(node, node.gateway.store) is not None) is is_due
    assert arrival.problems(node) == []


def test_what_has_begun_is_due_until_all_is_carried_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New tables alone do not say whether the limits of tokens are there, too."""
    node = make(tmp_path, NEW_API, OF_ONE_API)
    store = node.gateway.store
    arrival.begin(store)
    with closing(sqlite3.connect(store.file, isolation_level=None)) as database:
        database.execute("CREATE TABLE setups (id INTEGER)")
        found = arrival.due(node, store)
        assert found is not None
        monkeypatch.setattr(remote, "run", lambda *_: [])
        monkeypatch.setattr(arrival, "step", lambda *_: None)
        fails = replace(found, statements=lambda options: "UPDATE channels SET name = 'half'; SELECT * FROM nothing;\n")
        with pytest.raises(DatabaseError):
            arrival.carry(HOST, node, store, fails, "no container")
        assert arrival.due(node, store) is not None
        arrival.carry(HOST, node, store, replace(found, statements=lambda options: "SELECT 1;\n"), "no container")
        assert arrival.due(node, store) is None


def test_what_cannot_be_read_is_not_served_without_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make(tmp_path, NEW_API, OF_ONE_API)
    monkeypatch.setattr(tables, "PATIENCE_SECONDS", 0)
    with closing(sqlite3.connect(node.gateway.store.file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for look in (lambda: arrival.due(node, node.gateway.store), lambda: arrival.problems(node)):
            with pytest.raises(DatabaseError, match=r"software it is of cannot be told: .*locked"):
                cast(Any, look)()


SEVERAL_KEYS = """INSERT INTO channels (type, name, key, channel_info)
VALUES (1, 'two ''"', 'a' || char(10) || 'b', '{"is_multi_key":true}')"""
TOLD = "channel 'two \\'\"': it has several keys, and One API takes one"


def test_what_one_api_has_nothing_like_is_confirmed_by_name(tmp_path: Path) -> None:
    node = make(tmp_path, ONE_API, f"{OF_NEW_API} {SEVERAL_KEYS};")
    found, how = arrival.problems(node)
    assert found == f"{TOLD}. Confirmed, it is switched off there"
    option = shlex.split(how.partition("--data ")[2])[0].partition("=")
    assert option[0] == "gateway_may_lose"
    cast(Any, node).settings = host_data.check({option[0]: json.loads(option[2])})[0]
    assert arrival.problems(node) == []
    assert arrival.notes(node)[-1] == f"not carried over: {TOLD}: it is switched off there"


@pytest.mark.parametrize(("number", "is_refused"), [(1, False), (2, True)])
def test_root_has_the_number_by_which_new_api_is_asked(tmp_path: Path, number: int, is_refused: bool) -> None:
    people = "INSERT INTO users (id, username, password, role, status) VALUES"
    sql = f"{OF_ONE_API} {people} ({number}, 'root', '', 100, 1), (7, 'ann', '', 1, 1);"
    told = "user 'root': its number is not 1, by which this deployment asks new-api: stay with One API"
    assert arrival.problems(make(tmp_path, NEW_API, sql)) == ([told] if is_refused else [])


def test_a_proxy_that_new_api_would_pass_by_is_told(tmp_path: Path) -> None:
    told = "new-api does not read RELAY_PROXY: give it the proxy by HTTPS_PROXY, and leave RELAY_PROXY out"
    assert arrival.problems(make(tmp_path, NEW_API, OF_ONE_API, "RELAY_PROXY", "THEME")) == [f"data/.env: {told}"]
    data = {"gateway_environment": {"RELAY_PROXY": "http://10.0.0.9:7890", "THEME": "air"}}
    of_new_api = {"gateway_image": "calciumion/new-api:v1.0.0-rc.15"}
    before, after = host_data.check(data)[1], host_data.check({**data, **of_new_api})[1]
    assert [problem for problem in after if problem not in before] == [f"gateway_environment: {told}"]
    assert told not in str(host_data.check({"gateway_environment": {"RELAY_PROXY": None}, **of_new_api})[1])


@pytest.mark.parametrize(
    ("flavour", "words"),
    [(ONE_API, None), (NEW_API, "what answers is One API v0.6.10, and gateway_image names new-api")],
)
def test_an_image_is_what_its_name_says(
    flavour: Flavour, words: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Told on the copy, before its database is looked at: it would be a puzzle of missing columns else."""
    monkeypatch.setattr(trial, "route", FakeOneAPI("").route)
    monkeypatch.setattr(service, "last_words", lambda *_: "Its log is empty")
    node = make(tmp_path, flavour, None)
    with pytest.raises(trial.TrialError, match=words) if words else nullcontext():
        trial._require_software(cast(Any, SimpleNamespace(**vars(node), host=None)), "127.0.0.1")


def test_a_plan_says_what_will_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = cast(Any, make(tmp_path, ONE_API, f"{OF_NEW_API} {SEVERAL_KEYS};"))
    node.host = SimpleNamespace(state=SimpleNamespace(is_executing=False))
    said: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text: said.append(text))
    [*upgrade._upgrade._inner(node, Serving("sha256:1", "new-api:v1"))]  # type: ignore[attr-defined]
    assert "to come: upgrade new-api:v1" in said[0]
    assert said[1].startswith("carried over to One API: deleted and limited tokens")
    assert "deploys/rollback.py, in its place, brings back the data from before the move" in said[2]
    assert said[3].startswith("which will be refused as it is now: channel 'two")
