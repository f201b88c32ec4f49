"""One API's database, read and written on its host beside the running gateway.

SQLite is made for several programs at once, so the gateway serves on: nothing is stopped, and an interruption leaves
either the old row or the new one. Measured with One API v0.6.10 on a database of 300 MiB, while it wrote without a
pause: its slowest write waited 0.8 s for the backup (it may wait 10 s), and none was refused.

One API's image has no sqlite3, and Debian's minimal installation neither that nor Python. So: the host's sqlite3, else
its Python, else Debian's package sqlite3, which is installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_gateway.flavours import AdminError, Unauthorised
from llm_gateway.hosts import other_databases, remote, tables
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.tables import SQLiteStore, Store
from llm_gateway.hosts.topology import Gateway
from llm_gateway.model import layout, shell
from llm_gateway.model.dialect import Dialect
from llm_gateway.model.layout import CLAIM_TABLE, PROJECT
from llm_gateway.parts import apt, installation, recovery

ROOT_ROLE = 100
PATIENCE_SECONDS = 15
"""How long to wait for another program that has the database locked."""
LOOK_SECONDS = 3
"""The same where One API has waited already."""
_UNTOLD = "untold"
_DAMAGED = ("malformed", "not a database")
_ROOT_USER = f"FROM users WHERE role = {ROOT_ROLE} ORDER BY id LIMIT 1"

INSTALL = apt.command(["sqlite3"])
"""A shell command that installs the distribution's sqlite3."""
_HAS_CLIENT = "if command -v psql > /dev/null && command -v pg_dump > /dev/null; then echo yes; fi"

_SCRIPT = Path(__file__).with_name("database.sh")
_DUMP = Path(__file__).with_name("postgresql_dump.sh")
_PARTIAL = f"{layout.BACKUPS}/before-reset-admin.partial"


class DatabaseError(Exception):
    """The database cannot be read or written; the text says why and what fixes it."""


def elsewhere(gateway: Gateway) -> str | None:
    """Why the store is not what this gateway uses, with the fix; None where it is. Raises RemoteError."""
    if isinstance(gateway.store, PostgreSQLStore):
        return None  # it is told where that is each time it starts
    values = {"directory": gateway.node.directory, "project": PROJECT}
    look = shell.program(values, other_databases.SCRIPT, call='database_settings "$directory/data" "$project"')
    named = other_databases.that_holds_all(remote.run(gateway.node.host, look))
    if not named and gateway.node.state.database_size:
        return None
    why = f"{named} is set" if named else "that file is not there"
    return (
        f"the gateway does not use {gateway.store.name} ({why}), which is all that this can fix. In the"
        " database that it uses: set access_token of the user with role 100 to the ONEAPI_ACCESS_TOKEN of"
        f" {gateway.node.directory}/{layout.SECRETS}, then run this again"
    )


def can_be_written(gateway: Gateway) -> bool:
    """Whether the host has a program that writes its store. Raises RemoteError."""
    if isinstance(gateway.store, PostgreSQLStore):
        return bool(remote.run(gateway.node.host, _HAS_CLIENT))
    return bool(remote.run(gateway.node.host, _program(gateway, "tell_whether_it_can_be_asked")))


def has_token(gateway: Gateway, token: str) -> bool:
    """Whether the root user has this access token. Raises DatabaseError, also when it cannot be written now."""
    dialect = gateway.store.dialect
    rows = _ask(gateway, f"{dialect.begin}\nSELECT {_has_token(dialect, token)} {_ROOT_USER};\nCOMMIT;\n")
    return rows == ["1"]


def _has_token(dialect: Dialect, token: str) -> str:
    return f"CASE WHEN access_token = {dialect.of_text(token)} THEN 1 ELSE 0 END"


def root_access(gateway: Gateway, file: str, token: str, passwords: Sequence[str]) -> str:
    """By which of these One API would let root in, served from a database file that nobody serves yet.

    Parameters: `file`, its path on the host; the passwords of text that fits on a line.
    Returns "token", "password", "neither", or "unknown" where the host cannot tell of passwords. Raises DatabaseError.
    """
    stdin = "".join(f"{line}\n" for line in (token.encode().hex(), *passwords))
    return _run(gateway, "root_access", stdin, file=file)[-1]


def back_up(gateway: Gateway) -> str:
    """Keep a checked copy of the database, for root alone. Returns its path. Raises DatabaseError."""
    if isinstance(gateway.store, PostgreSQLStore):
        return _dump(gateway, gateway.store)
    _require_whole(gateway, f"{layout.DATA}/{layout.DATABASE}", "it")
    _run(gateway, f"{installation.own_backups_command(gateway.node.directory)} || exit; back_up")
    try:
        _require_whole(gateway, _PARTIAL, "the copy of it")
    except DatabaseError:
        _run(gateway, "discard_backup")
        raise
    return _run(gateway, "keep_backup")[-1]


def _dump(gateway: Gateway, store: PostgreSQLStore) -> str:
    """As `back_up`, of a PostgreSQL."""
    values = {"directory": gateway.node.directory, "service": store.service, "partial": _PARTIAL, "claim": CLAIM_TABLE}
    own = installation.own_backups_command(gateway.node.directory)
    try:
        return remote.run(gateway.node.host, shell.program(values, _DUMP, call=f"{own} || exit; dump"))[-1]
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as problem:
        raise DatabaseError(f"{store.name} cannot be copied: {problem}") from None


def _require_whole(gateway: Gateway, file: str, what: str) -> None:
    """Raises DatabaseError where not every row of a database can be read; what is odd besides does no harm here."""
    try:
        damage = SQLiteStore(gateway.node.host, f"{gateway.node.directory}/{file}").examine().damage
    except tables.TablesError as problem:
        if recovery.LOCKED in str(problem):
            raise DatabaseError(recovery.locked_by_whom(gateway.node.directory, _holders(gateway))) from None
        raise DatabaseError(f"{gateway.store.name} cannot be used: {problem}") from None
    if damage:
        raise DatabaseError(
            f"{gateway.store.name} cannot be used: {what} is damaged ({damage}): deploys/restore.py restores a backup"
        )


def set_token(gateway: Gateway, token: str) -> None:
    """Give the root user this access token, in one transaction. Raises DatabaseError."""
    dialect = gateway.store.dialect
    update = f"UPDATE users SET access_token = {dialect.of_text(token)} WHERE id = (SELECT id {_ROOT_USER})"  # noqa: S608
    rows = _ask(gateway, f"{dialect.begin}\n{dialect.changed.format(update)}\nCOMMIT;\n")
    if rows != ["1"]:
        raise DatabaseError(
            f"{gateway.store.name} has no root user (role {ROOT_ROLE}): restore a backup of the database"
        )


def told(gateway: Gateway, problem: Exception) -> str:
    """What happened where the admin API says no, with its fix, whichever of token and database it is; else its words.

    One API calls whatever it cannot read a wrong token (model/user.go, ValidateAccessToken). So the database is looked
    at before a token is blamed.
    """
    if not isinstance(problem, AdminError):
        return str(problem)
    found = _why_refused(gateway) if isinstance(problem, Unauthorised) else None
    return found or recovery.told(problem, gateway.node.directory)


def _why_refused(gateway: Gateway) -> str | None:
    """What is wrong with the database, or was a moment ago; None where the token is wrong, or nothing can be told."""
    has_token = _has_token(gateway.store.dialect, gateway.generated.access_token)
    try:
        rows = _look(gateway, f"SELECT {has_token} {_ROOT_USER};\n")
    except DatabaseError as problem:
        return f"the gateway cannot use its database: {problem}"
    except remote.RemoteError:
        return None
    if rows != ["1"]:
        return None
    return (
        f"the gateway refused an access token that its database holds: {gateway.store.name} was locked"
        " by another program at that moment, or its disk was full (`df -h` on the host). Run the command again"
    )


def trouble(gateway: Gateway) -> str | None:
    """What keeps the gateway from using its database now, and the fix; None where nothing is seen, or cannot be."""
    try:
        _look(gateway, f"{gateway.store.dialect.begin}\nROLLBACK;\nSELECT count(*) FROM tokens;\n")
    except DatabaseError as problem:
        return str(problem)
    except remote.RemoteError:
        return None
    return None


def unstored_options(gateway: Gateway, wanted: Mapping[str, str]) -> list[str] | None:
    """The names of the options whose text the database does not hold; None where the host has no program to look with.

    One API answers success where nothing was stored, and lists what it has in memory (model/option.go, UpdateOption).
    Raises DatabaseError, and RemoteError where the host cannot be asked.
    """
    names = {f"option{number}": name for number, name in enumerate(wanted)}
    stored, text = "SELECT 1 FROM options WHERE key = {} AND value = {}", gateway.store.dialect.of_text
    checks = (
        f"SELECT '{mark}' WHERE NOT EXISTS ({stored.format(text(name), text(wanted[name]))});\n"
        for mark, name in names.items()
    )
    rows = _look(gateway, "".join(checks))
    return None if rows == [_UNTOLD] else [name for mark, name in names.items() if mark in rows]


def ask_file(store: Store, sql: str) -> list[str]:
    """What a database answers that nobody else may have locked for long. Raises DatabaseError."""
    try:
        return store.ask(sql, PATIENCE_SECONDS)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as problem:
        raise DatabaseError(f"{store.name} cannot be used: {problem}") from None


def channel_urls(store: Store) -> list[tuple[str, str]]:
    """The name and the base URL of each enabled channel that has one, of a database on a host. Raises DatabaseError."""
    name, url = (store.dialect.hex.format(column) for column in ("name", "base_url"))
    sql = f"SELECT {name}, {url} FROM channels WHERE status = 1 AND base_url <> '' ORDER BY id;\n"  # noqa: S608
    rows = [line.split("|") for line in ask_file(store, sql)]
    return [(_of_hex(name), _of_hex(url)) for name, url in rows]


def _of_hex(digits: str) -> str:
    return bytes.fromhex(digits).decode(errors="replace")


def _look(gateway: Gateway, sql: str) -> list[str]:
    """Ask the database for what is to be told of it; [_UNTOLD] where the host has no program for it.

    Raises DatabaseError in words with the fix, RemoteError where the host cannot be asked.
    """
    store = gateway.store
    if isinstance(store, PostgreSQLStore):
        return _ask_postgresql(store, sql, LOOK_SECONDS)
    file = store.name
    try:
        rows = remote.run(gateway.node.host, _program(gateway, "look", seconds=LOOK_SECONDS), sql)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as problem:
        words = str(problem)
        if recovery.LOCKED in words:
            raise DatabaseError(recovery.locked_by_whom(gateway.node.directory, _holders(gateway))) from None
        if any(sign in words for sign in _DAMAGED):
            raise DatabaseError(f"{file} is damaged: deploys/restore.py puts a backup in its place") from None
        raise DatabaseError(f"{file} cannot be read ({words}): look at its disk (`df -h`, `dmesg`)") from None
    if rows == ["missing"]:
        raise DatabaseError(f"{file} is not there: is its disk mounted?")
    return rows


def _program(gateway: Gateway, call: str, file: str = "", seconds: int = PATIENCE_SECONDS) -> str:
    values = {"directory": gateway.node.directory, "file": file or gateway.file.name, "partial": _PARTIAL}
    return shell.program({**values, **tables.sql_values(seconds)}, tables.SQL, _SCRIPT, call=call)


def _ask_postgresql(store: PostgreSQLStore, sql: str, seconds: int) -> list[str]:
    try:
        return store.ask(sql, seconds)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as problem:
        raise DatabaseError(f"{store.name} cannot be used: {_of_psql(problem)}") from None


def _of_psql(problem: Exception) -> str:
    """The first line of psql's words, without what it says of itself; what follows are guesses of its."""
    lines = str(problem).strip().splitlines() or [""]
    return re.sub(r"^(psql:(<stdin>:\d+:)?\s*)?(error:\s*)?", "", lines[0])


def _ask(gateway: Gateway, sql: str) -> list[str]:
    store = gateway.store
    if isinstance(store, PostgreSQLStore):
        return _ask_postgresql(store, sql, PATIENCE_SECONDS)
    return _run(gateway, "ask", sql)


def _run(gateway: Gateway, call: str, stdin: str | None = None, file: str = "") -> list[str]:
    try:
        return remote.run(gateway.node.host, _program(gateway, call, file), stdin)
    except remote.RemoteError as problem:
        if recovery.LOCKED in str(problem):
            raise DatabaseError(recovery.locked_by_whom(gateway.node.directory, _holders(gateway))) from None
        raise DatabaseError(f"{gateway.store.name} cannot be used: {problem}") from None


def _holders(gateway: Gateway) -> str:
    """Who has the database open, the gateway excepted."""
    own = str((gateway.node.state.container or {}).get("State", {}).get("Pid", ""))
    found = remote.run(gateway.node.host, _program(gateway, "holders"))
    lines = [line.split(maxsplit=1) for line in found if line.strip()]
    return ", ".join(f"{name} (process {pid})" for pid, name in lines if pid != own)
