"""What is neither a gateway of One API nor one of new-api that is known: refused before anything is touched."""

# ruff: noqa: S608 (statements of ours)

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llm_gateway.flavours.flavour import Flavour
from llm_gateway.flavours.known import NEW_API, ONE_API
from llm_gateway.flavours.shapes import Status
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.inputs import host_data
from llm_gateway.parts import arrival
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.backups.archive_members import SourceError
from tests.unit.test_arrival_due import make

_ONE_API = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role INTEGER, status INTEGER);
CREATE TABLE channels (id INTEGER, name TEXT, type INTEGER, base_url TEXT, config TEXT);
CREATE TABLE tokens (id INTEGER, name TEXT, unlimited_quota INTEGER, remain_quota INTEGER);
CREATE TABLE options (key TEXT); CREATE TABLE abilities (model TEXT); CREATE TABLE logs (id INTEGER);
"""
_ROOT = "INSERT INTO users VALUES (1, 'root', 'x', 100, 1);"
_SET_UPS = "CREATE TABLE setups (id INTEGER);"
_OF_A_FORK = "its database is of one-hub, done-hub or a gateway like them (it has the table telegram_menus)"
_FORK = f"{_ONE_API} {_ROOT} ALTER TABLE tokens ADD COLUMN deleted_at; CREATE TABLE telegram_menus (id INTEGER);"
_HALF = f"{_ONE_API} {_SET_UPS} INSERT INTO users VALUES (1, 'visitor', 'x', 1, 1);"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("calciumion/new-api:v0.13.2", "version 'v0.13.2' of new-api was not tried with this deployment: v1.0.0-rc.15"),
        ("calciumion/new-api:v1.0.0-rc.16", "version 'v1.0.0-rc.16' of new-api was not tried"),
        ("calciumion/new-api:latest", "must be pinned"),
        ("calciumion/new-api", "must be an image with its tag"),
        ("martialbe/one-hub:v0.14.27", "one-hub is neither One API nor new-api"),
        ("ghcr.io/deanxv/done-hub:v1.2", "done-hub is neither One API nor new-api"),
        ("calciumion/new-api:v1.0.0-rc.15", ""),
        ("registry.example:5000/mirror/new-api:mine", ""),  # what answers says which version it is
        ("justsong/one-api:v0.6.10", ""),
        ("mine/one-hubble:v1", ""),
    ],
)
def test_an_image_that_is_not_known(image: str, words: str) -> None:
    told = [problem for problem in host_data.check({"gateway_image": image})[1] if problem.startswith("gateway_image")]
    assert [problem.partition(words)[0] for problem in told] == (["gateway_image: "] if words else [])


@pytest.mark.parametrize(
    ("flavour", "status", "words"),
    [
        (ONE_API, Status("v0.6.10", 1), None),
        (ONE_API, Status("of our own", 1), None),
        (
            ONE_API,
            Status("v1.0.0-rc.15", 1, is_new_api=True),
            "what answers is new-api v1.0.0-rc.15, and gateway_image",
        ),
        (NEW_API, Status("v1.0.0-rc.15", 1, is_new_api=True), None),
        (NEW_API, Status("v1.0.0-rc.16", 1, is_new_api=True), "version 'v1.0.0-rc.16' of new-api was not tried"),
        (NEW_API, Status("v0.6.10", 1), "what answers is One API v0.6.10, and gateway_image names new-api"),
    ],
)
def test_what_answers_otherwise_than_its_image_says(flavour: Flavour, status: Status, words: str | None) -> None:
    problem = flavour.problem_of(status)
    assert (problem or "").startswith(words or "") and bool(problem) == bool(words), problem


@pytest.mark.parametrize(
    ("flavour", "is_carried", "sql", "words"),
    [
        (ONE_API, False, f"{_ONE_API} {_ROOT}", None),
        (ONE_API, False, f"{_ONE_API} {_ROOT} {_SET_UPS}", "its database is new-api's"),
        (ONE_API, False, _FORK, _OF_A_FORK),
        (NEW_API, False, f"{_ONE_API} {_ROOT} {_SET_UPS}", None),
        (NEW_API, False, f"{_ONE_API} {_SET_UPS}", None),  # nobody has set it up: that is done out of reach
        (NEW_API, False, _HALF, "its new-api is half set up: somebody has registered"),
        (NEW_API, False, f"{_ONE_API} {_ROOT}", "its database has no table setups: it is not new-api's"),
        (NEW_API, True, f"{_ONE_API} {_ROOT}", None),
        (NEW_API, True, _FORK, _OF_A_FORK),
        (NEW_API, True, f"{_ONE_API} {_ROOT} ALTER TABLE tokens ADD COLUMN model_limits;", "its database is new-api's"),
    ],
)
def test_a_database_of_another(tmp_path: Path, flavour: Flavour, is_carried: bool, sql: str, words: str | None) -> None:
    """Where it is taken over, or moved here from another host."""
    file = tmp_path / "one-api.db"
    with closing(sqlite3.connect(file)) as made:
        made.executescript(sql)
    store = SQLiteStore(None, str(file))
    found = recognition.look(store, flavour, is_carried=is_carried)
    assert (found.problem is None) == (words is None), found
    assert found.problem is None or found.problem.startswith(f"{file}: {words}")
    assert recognition.glimpse(store, flavour, is_carried=True).problem is None or flavour is ONE_API


def test_a_database_of_a_fork_is_not_carried_over_and_not_restored(tmp_path: Path) -> None:
    node = make(tmp_path, NEW_API, _FORK)
    (problem,) = arrival.problems(node)
    assert problem.startswith(_OF_A_FORK)
    for flavour in (ONE_API, NEW_API):
        with pytest.raises(SourceError, match=re.escape(_OF_A_FORK)):
            recognition.require_tables(node.gateway.store.counts(), flavour)
