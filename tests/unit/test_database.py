"""One API's database beside a running gateway: real SQLite, real shell, with each program that a host may have."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from gateway import database
from tests.unit.local_host import TOOLS, LocalHost

OLD, NEW = "old-token", "new';--\"x".ljust(32, "0")


@pytest.fixture(params=TOOLS)
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHost:
    """A host with one of the programs, and a small database."""
    made = LocalHost(tmp_path, monkeypatch, request.param)
    connection = sqlite3.connect(made.file)
    connection.executescript(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, role INTEGER, access_token TEXT UNIQUE);"
        "INSERT INTO users VALUES (3, 1, 'common'), (5, 100, 'old-token');"
        "CREATE TABLE logs (content TEXT);"
        "INSERT INTO logs SELECT hex(randomblob(50)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n);"
    )
    connection.close()
    return made


def test_roots_token_alone_is_changed(host: LocalHost) -> None:
    gateway = host.member()
    assert database.can_be_written(gateway)
    assert database.has_token(gateway, OLD)
    database.set_token(gateway, NEW)
    assert host.rows("SELECT * FROM users ORDER BY id") == [(3, 1, "common"), (5, 100, NEW)]
    assert host.rows("SELECT typeof(access_token) FROM users WHERE id = 5") == [("text",)]
    assert database.has_token(gateway, NEW)
    assert not database.has_token(gateway, OLD)
    assert not [command for command in host.commands if NEW in command or NEW.encode().hex() in command]


def test_a_backup_is_whole_and_for_root_alone(host: LocalHost) -> None:
    (host.place / "backups").mkdir(mode=0o755)
    (host.place / "backups" / "before-reset-admin.partial").write_text("of a run that was cut off")
    kept = Path(database.back_up(host.member()))
    assert host.backups == [kept]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    for query in ("SELECT * FROM users", "SELECT * FROM logs"):
        assert host.rows(query, kept) == host.rows(query)


def test_a_damaged_database_is_told_and_left(host: LocalHost) -> None:
    content = bytearray(host.file.read_bytes())
    content[3 * 4096 : 40 * 4096] = b"\xff" * (37 * 4096)
    host.file.write_bytes(content)
    with pytest.raises(database.DatabaseError, match=r"one-api.db cannot be used: .*") as refusal:
        database.back_up(host.member())
    assert "Traceback" not in str(refusal.value)
    assert host.backups == []


def test_a_lock_names_who_holds_it(host: LocalHost) -> None:
    with host.locked(), pytest.raises(database.DatabaseError) as refusal:
        database.set_token(host.member(), NEW)
    told = str(refusal.value)
    assert f"keeps the database {host.file} locked: " in told
    assert f"(process {os.getpid()})" in told
    assert "End it, and run the command again" in told
    assert host.rows("SELECT access_token FROM users WHERE id = 5") == [(OLD,)]


def test_the_gateway_writes_while_the_backup_is_made(host: LocalHost) -> None:
    connection = sqlite3.connect(host.file, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM users").fetchall()  # a reader in the middle of its work
    assert database.back_up(host.member())
    connection.close()


def test_a_database_without_a_root_user_is_told(host: LocalHost) -> None:
    connection = sqlite3.connect(host.file)
    connection.execute("DELETE FROM users WHERE role = 100")
    connection.commit()
    connection.close()
    with pytest.raises(database.DatabaseError, match="has no root user"):
        database.set_token(host.member(), NEW)


def test_a_gateway_on_another_database_is_told(host: LocalHost) -> None:
    assert database.elsewhere(host.member()) is None
    docker = host.place / "programs/docker"
    docker.write_text("#!/bin/sh\nprintf '%s\\n' TZ=UTC 'SQL_DSN=root:secret@tcp(db)/oneapi'\n")
    docker.chmod(0o755)
    told = database.elsewhere(host.member()) or ""
    assert "(SQL_DSN is set)" in told
    assert "secret@" not in told
    docker.unlink()
    assert "(that file is not there)" in (database.elsewhere(host.member(database_size="")) or "")
    (host.place / "data" / ".env").write_text("# mine\nexport SQLITE_PATH=/data/other.db\n")
    assert "(SQLITE_PATH is set)" in (database.elsewhere(host.member()) or "")


def test_a_host_without_any_program_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not database.can_be_written(LocalHost(tmp_path, monkeypatch).member())
