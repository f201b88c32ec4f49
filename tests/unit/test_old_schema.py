"""A database of One API v0.6.8 or older: its first start ends, and the second is the one that counts."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from lab import legacy_database
from lab.standin.schema import MISSING
from llm_gateway.hosts import remote
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.parts import first_start, service
from llm_gateway.parts.takeover import old_schema
from tests.unit.fake_hosts import FRESH, ROOT
from tests.unit.standin_kit import Gateway
from tests.unit.topology import make_node

HOST: Any = "a host"
CONTAINER = layout.FIRST_START


class Docker:
    """A host whose only container is the stand-in, on a database of its own."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.file = place / "one-api.db"
        self.starts = 0
        self.told: list[str] = []
        self.running: Gateway | None = None
        monkeypatch.setattr(remote, "run", self._run)
        monkeypatch.setattr(remote, "tell", lambda host, text, *_: self.told.append(text))
        monkeypatch.setattr(old_schema, "step", lambda host, text: self.told.append(text))
        monkeypatch.setattr(service, "await_answer", lambda *_: None if self.running else "nothing listens")

    def start(self) -> None:
        self.starts += 1
        try:
            self.running = Gateway(self.place)
        except SystemExit as ended:
            assert ended.code == 1

    def _run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        if command.startswith("docker inspect"):
            return ["true 127.0.0.1" if self.running else "false "]
        if command.startswith("docker logs"):
            return [line for path in (self.place / "logs").iterdir() for line in path.read_text().splitlines()]
        if command.startswith("docker start"):
            self.start()
            return []
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    made = Docker(tmp_path, monkeypatch)
    yield made
    if made.running:
        made.running.stop()


_SERVES = """
import sys, threading
from pathlib import Path
from llm_gateway.flavours.oneapi import AdminClient
from tests.unit.standin_kit import ACCESS_TOKEN, Gateway, Upstream
upstream = Upstream()
threading.Thread(target=upstream.serve_forever, daemon=True).start()
gateway = Gateway(Path(sys.argv[1]))
gateway.add_channel("one", "m", upstream.url)
names = [channel.name for channel in AdminClient(gateway.url, access_token=ACCESS_TOKEN).channels()]
print(names, gateway.chat("m").status_code, file=sys.stderr)
gateway.stop()
"""


@pytest.mark.parametrize("version", MISSING)
def test_the_stand_in_serves_as_an_older_version(tmp_path: Path, version: str) -> None:
    environ = {**os.environ, "STANDIN_SCHEMA": version, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _SERVES, str(tmp_path)], env=environ, capture_output=True, text=True, check=False
    )
    assert "['one'] 200" in done.stderr, done.stderr[-2000:]
    with closing(sqlite3.connect(tmp_path / "one-api.db")) as made:
        columns = {name for (name,) in made.execute("SELECT name FROM pragma_table_info('channels')")}
    assert not columns & {*MISSING[version]["channels"]}


@pytest.mark.parametrize("version", ["", *MISSING])
def test_each_version_is_known_started_as_often_as_it_takes_and_proven(docker: Docker, version: str) -> None:
    docker.file.write_bytes(legacy_database.build(version))
    lacking = MISSING[version]["channels"] if version else ()
    assert old_schema.missing(SQLiteStore(HOST, str(docker.file))) == lacking
    before = SQLiteStore(HOST, str(docker.file)).counts()
    docker.start()
    assert bool(docker.running) == (not version), "the stand-in ends as the real one does"
    old_schema.start_twice(HOST, CONTAINER, 5)
    assert docker.running
    assert docker.starts == (2 if version else 1)
    old_schema.require_migrated(SQLiteStore(HOST, str(docker.file)), before)


def test_one_that_ends_otherwise_is_not_started_again(docker: Docker) -> None:
    docker.file.write_bytes(b"not a database" * 100)
    docker.start()
    old_schema.start_twice(HOST, CONTAINER, 5)
    assert (docker.starts, docker.running) == (1, None)


def test_an_empty_directory_and_a_host_without_sqlite_are_no_old_database(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old_schema.missing(SQLiteStore(HOST, str(docker.file))) == ()
    docker.file.write_bytes(b"")
    assert old_schema.missing(SQLiteStore(HOST, str(docker.file))) == ()
    docker.file.write_bytes(legacy_database.build("v0.6.8"))
    monkeypatch.setattr(remote, "run", lambda *_: (_ for _ in ()).throw(remote.RemoteError("python3: not found")))
    assert old_schema.missing(SQLiteStore(HOST, str(docker.file))) == ()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM logs WHERE id < 9", "logs: 292 rows of 300"),
        ("ALTER TABLE channels DROP COLUMN config", "no config"),
    ],
)
def test_what_does_not_hold_after_two_starts_is_told(docker: Docker, statement: str, words: str) -> None:
    docker.file.write_bytes(legacy_database.build())
    before = SQLiteStore(HOST, str(docker.file)).counts()
    with closing(sqlite3.connect(docker.file, isolation_level=None)) as made:
        made.execute(statement)
    with pytest.raises(old_schema.OldSchemaError, match=words):
        old_schema.require_migrated(SQLiteStore(HOST, str(docker.file)), before)


def _prepared(monkeypatch: pytest.MonkeyPatch, lost: bool) -> tuple[Node, list[str]]:
    """A gateway whose first start is of an old database, and what is told; `lost`: whether it loses a row."""
    counted = [{"logs": 2}, {"logs": 1 if lost else 2}]
    seen = [("system_prompt",), ()]
    told: list[str] = []
    monkeypatch.setattr(old_schema, "missing", lambda *_: seen.pop(0))
    monkeypatch.setattr(SQLiteStore, "counts", lambda *_: counted.pop(0))
    monkeypatch.setattr(old_schema, "start_twice", lambda *_: told.append("started twice"))
    monkeypatch.setattr(first_start, "step", lambda host, text: told.append(text))
    monkeypatch.setattr(first_start, "_make_safe", lambda *_: None)
    monkeypatch.setattr(service, "await_answer", lambda *_: None)
    monkeypatch.setattr(first_start, "route", lambda *_: nullcontext())
    monkeypatch.setattr(remote, "run", lambda *_: ["true 172.18.0.2"])
    monkeypatch.setattr(remote, "write_now", lambda host, path, content, mode: told.append(path.rpartition("/")[2]))
    return make_node({**FRESH, "database_size": "4096\n"}), told


def test_the_first_start_of_an_old_database_is_marked_done_once_it_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = _prepared(monkeypatch, lost=False)
    first_start.make_safe(made.host, made)
    assert "of One API v0.6.8 or older" in told[0]
    assert told[1:] == ["started twice", "first-start-done"]
    made, told = _prepared(monkeypatch, lost=True)
    with pytest.raises(old_schema.OldSchemaError, match="rows were lost"):
        first_start.make_safe(made.host, made)
    assert "first-start-done" not in told
