"""One API's database beside a running gateway: real SQLite, real shell, with each program that a host may have."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from lab.standin.bcrypt import gensalt, hashpw
from llm_gateway.flavours import Unauthorised
from llm_gateway.hosts.topology import Gateway
from llm_gateway.parts import database
from tests.unit import odd_databases
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
    gateway = host.gateway()
    assert database.can_be_written(gateway)
    assert database.has_token(gateway, OLD)
    database.set_token(gateway, NEW)
    assert host.rows("SELECT * FROM users ORDER BY id") == [(3, 1, "common"), (5, 100, NEW)]
    assert host.rows("SELECT typeof(access_token) FROM users WHERE id = 5") == [("text",)]
    assert database.has_token(gateway, NEW)
    assert not database.has_token(gateway, OLD)
    assert not [command for command in host.commands if NEW in command or NEW.encode().hex() in command]


@pytest.mark.parametrize(
    ("token", "passwords", "by"),
    [
        (OLD, ["wrong"], "token"),
        ("common", ["wrong", "root's own 密码"], "password"),
        ("nobody's", ["root's own 密码"], "password"),
        ("nobody's", ["wrong", "123456"], "neither"),
        ("nobody's", [], "neither"),
    ],
)
def test_whether_root_can_be_let_in_is_seen_before_anybody_serves_it(
    host: LocalHost, token: str, passwords: list[str], by: str
) -> None:
    hashed = hashpw("root's own 密码".encode(), gensalt(4))
    with sqlite3.connect(host.file) as connection:
        for column in ("username TEXT", "password TEXT", "status INTEGER DEFAULT 1"):
            connection.execute(f"ALTER TABLE users ADD COLUMN {column}")
        connection.execute("UPDATE users SET username = 'root', password = ? WHERE id = 5", (hashed,))
    gateway = host.gateway()
    assert database.root_access(gateway, str(host.file), token, passwords) == by
    assert not [command for command in host.commands if hashed in command or "密码" in command or OLD in command]
    for change in ("status = 2", "status = 1, role = 1", "role = 100, username = 'boss'"):
        with sqlite3.connect(host.file) as connection:
            connection.execute(f"UPDATE users SET {change} WHERE id = 5")  # noqa: S608
        assert database.root_access(gateway, str(host.file), "nobody's", passwords) == "neither", change


def test_a_host_without_perl_cannot_tell_of_passwords(host: LocalHost) -> None:
    (host.place / "programs/perl").unlink()
    with sqlite3.connect(host.file) as connection:
        for column in ("username TEXT", "password TEXT", "status INTEGER DEFAULT 1"):
            connection.execute(f"ALTER TABLE users ADD COLUMN {column}")
        connection.execute("UPDATE users SET username = 'root', password = 'x' WHERE id = 5")
    assert database.root_access(host.gateway(), str(host.file), "nobody's", ["x"]) == "unknown"
    assert database.root_access(host.gateway(), str(host.file), OLD, ["x"]) == "token"


def test_a_backup_is_whole_and_for_root_alone(host: LocalHost) -> None:
    (host.place / "backups").mkdir(mode=0o755)
    (host.place / "backups" / "before-reset-admin.partial").write_text("of a run that was cut off")
    kept = Path(database.back_up(host.gateway()))
    assert host.backups == [kept]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    for query in ("SELECT * FROM users", "SELECT * FROM logs"):
        assert host.rows(query, kept) == host.rows(query)


@pytest.mark.parametrize("kind", odd_databases.KINDS)
def test_an_odd_database_is_backed_up(host: LocalHost, kind: str) -> None:
    host.file.unlink()
    odd_databases.make(host.file, kind)
    assert host.rows("SELECT count(*) FROM users NOT INDEXED", Path(database.back_up(host.gateway()))) == [(3,)]


def test_a_damaged_database_is_told_and_left(host: LocalHost) -> None:
    content = bytearray(host.file.read_bytes())
    content[3 * 4096 : 40 * 4096] = b"\xff" * (37 * 4096)
    host.file.write_bytes(content)
    with pytest.raises(database.DatabaseError, match=r"one-api.db cannot be used: .*") as refusal:
        database.back_up(host.gateway())
    assert "Traceback" not in str(refusal.value)
    assert host.backups == []


def test_a_lock_names_who_holds_it(host: LocalHost) -> None:
    with host.locked(), pytest.raises(database.DatabaseError) as refusal:
        database.set_token(host.gateway(), NEW)
    told = str(refusal.value)
    assert f"keeps the database {host.file} locked: " in told
    assert f"(process {os.getpid()})" in told
    assert "End it, and run the command again" in told
    assert host.rows("SELECT access_token FROM users WHERE id = 5") == [(OLD,)]


def test_the_gateway_writes_while_the_backup_is_made(host: LocalHost) -> None:
    connection = sqlite3.connect(host.file, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM users").fetchall()  # a reader in the middle of its work
    assert database.back_up(host.gateway())
    connection.close()


def test_a_database_without_a_root_user_is_told(host: LocalHost) -> None:
    connection = sqlite3.connect(host.file)
    connection.execute("DELETE FROM users WHERE role = 100")
    connection.commit()
    connection.close()
    with pytest.raises(database.DatabaseError, match="has no root user"):
        database.set_token(host.gateway(), NEW)


def test_a_gateway_on_another_database_is_told(host: LocalHost) -> None:
    assert database.elsewhere(host.gateway()) is None
    docker = host.place / "programs/docker"
    docker.write_text("#!/bin/sh\nprintf '%s\\n' TZ=UTC 'SQL_DSN=root:secret@tcp(db)/oneapi'\n")
    docker.chmod(0o755)
    told = database.elsewhere(host.gateway()) or ""
    assert "(SQL_DSN is set)" in told
    assert "secret@" not in told
    docker.unlink()
    assert "(that file is not there)" in (database.elsewhere(host.gateway(database_size="")) or "")
    (host.place / "data" / ".env").write_text("# mine\nexport SQLITE_PATH=/data/other.db\n")
    assert "(SQLITE_PATH is set)" in (database.elsewhere(host.gateway()) or "")


def test_a_host_without_any_program_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not database.can_be_written(LocalHost(tmp_path, monkeypatch).gateway())


# --- whose fault it is


REFUSAL = Unauthorised("GET /api/option/: not allowed: 无权进行此操作，access token 无效")


@pytest.fixture
def gateway(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The gateway, whose access token is the one in its database."""
    monkeypatch.setattr(database, "LOOK_SECONDS", 1)
    host.sql("CREATE TABLE tokens (key TEXT)", "CREATE TABLE options (key TEXT PRIMARY KEY, value TEXT)")
    made = host.gateway()
    made.generated = replace(made.generated, access_token=OLD)
    return made


def test_a_token_that_the_database_has_not_is_blamed(gateway: Gateway) -> None:
    gateway.generated = replace(gateway.generated, access_token=NEW)
    assert "refuses the access token" in database.told(gateway, REFUSAL)


def test_a_token_that_the_database_has_is_not_blamed(gateway: Gateway) -> None:
    told = database.told(gateway, REFUSAL)
    assert "that its database holds" in told and "Run the command again" in told
    assert "reset_admin" not in told


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("lock", "locked"),
        ("overwrite", "is damaged: deploys/restore.py puts a backup in its place"),
        ("remove", "is not there: is its disk mounted?"),
    ],
)
def test_a_database_that_cannot_be_read_is_told(host: LocalHost, gateway: Gateway, damage: str, words: str) -> None:
    if damage == "overwrite":
        host.file.write_bytes(b"no database, only words " * 500)
    elif damage == "remove":
        host.file.unlink()
    with host.locked("EXCLUSIVE") if damage == "lock" else nullcontext():
        told, trouble = database.told(gateway, REFUSAL), database.trouble(gateway)
    assert told.startswith("the gateway cannot use its database: ") and words in told
    assert trouble and words in trouble
    assert "reset_admin" not in told
    assert host.file.exists() == (damage != "remove"), "looking makes no file"


def test_a_database_that_others_write_to_is_told_as_trouble(host: LocalHost, gateway: Gateway) -> None:
    assert database.trouble(gateway) is None
    with host.locked():
        assert "locked" in str(database.trouble(gateway))


def test_options_that_the_database_does_not_hold(host: LocalHost, gateway: Gateway) -> None:
    text = '{"a": 1.5, "模型": ";"}'
    host.sql("INSERT INTO options VALUES ('RetryTimes', '3'), ('GroupRatio', '{\"a\": 1.5, \"模型\": \";\"}')")
    wanted = {"RetryTimes": "3", "RegisterEnabled": "false", "GroupRatio": text}
    assert database.unstored_options(gateway, wanted) == ["RegisterEnabled"]
    assert database.unstored_options(gateway, {"RetryTimes": "4"}) == ["RetryTimes"]


def test_without_a_program_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = LocalHost(tmp_path, monkeypatch)
    host.file.touch()
    assert database.unstored_options(host.gateway(), {"RetryTimes": "3"}) is None
    assert database.trouble(host.gateway()) is None
    assert "refuses the access token" in database.told(host.gateway(), REFUSAL)
