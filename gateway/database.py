"""One API's SQLite database, read and written on its host beside the running gateway.

SQLite is made for several programs at once, so the gateway serves on: nothing is stopped, and an interruption leaves
either the old row or the new one. Measured with One API v0.6.10 on a database of 300 MiB, while it wrote without a
pause: its slowest write waited 0.8 s for the backup (it may wait 10 s), and none was refused.

One API's image has no sqlite3, and Debian's minimal installation neither that nor Python. So: the host's sqlite3, else
its Python, else Debian's package sqlite3, which is installed.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gateway import other_databases, recovery, remote
from gateway.host_state import PROJECT

if TYPE_CHECKING:
    from gateway.fleet import Member

ROOT_ROLE = 100
PATIENCE_SECONDS = 15
"""How long to wait for another program that has the database locked."""
_ROOT_USER = f"FROM users WHERE role = {ROOT_ROLE} ORDER BY id LIMIT 1"

INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive && apt-get update -qq -o DPkg::Lock::Timeout=120 &&"
    " apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 sqlite3 >/dev/null ||"
    " { echo 'Install sqlite3 (or python3) on the host by hand, and run again.' >&2; exit 1; }"
)
"""A shell command that installs the distribution's sqlite3."""

# Python does what sqlite3 does: the statements on standard input, each row of an answer on a line.
_PYTHON = """
import sqlite3, sys
try:
    connection = sqlite3.connect(sys.argv[1], timeout=float(sys.argv[2]), isolation_level=None)
    for statement in sys.stdin.read().split(";"):
        for row in connection.execute(statement):
            print(*row, sep="|")
except sqlite3.Error as error:
    sys.exit(f"Error: {error}")
"""

_SQL = f"""
sql() {{ # FILE: what to do comes on standard input, so that no secret is in an argument
    if command -v sqlite3 >/dev/null; then
        sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list \\
            -cmd ".timeout ${{patience}}000" "$1"
    else
        python3 -c {shlex.quote(_PYTHON)} "$1" "$patience"
    fi
}}
"""

_HAS_TOOL = "command -v sqlite3 >/dev/null || python3 -c 'import sqlite3' 2>/dev/null"

# VACUUM INTO reads in one transaction: whole, and it cannot be made to begin again by a busy gateway, as .backup can.
_BACKUP = """
set -e
umask 077
cd "$directory"
install -d -m 700 backups
partial=backups/before-reset-admin.partial
rm -f "$partial"
trap 'rm -f "$partial"' EXIT
checked=$(echo 'PRAGMA quick_check;' | sql data/one-api.db)
[ "$checked" = ok ] || { echo "it is damaged: $checked" | head -n 3 >&2; exit 1; }
echo "VACUUM INTO '$partial';" | sql data/one-api.db
checked=$(echo 'PRAGMA integrity_check;' | sql "$partial")
[ "$checked" = ok ] || { echo "the copy of it is not whole: $checked" | head -n 3 >&2; exit 1; }
sync "$partial"
kept=backups/before-reset-admin-$(date -u +%Y%m%dT%H%M%SZ).db
mv -T "$partial" "$kept"
trap - EXIT
echo "$directory/$kept"
"""

# /proc alone: neither fuser nor lsof is on a minimal Debian.
_HOLDERS = """
find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$directory/data/one-api.db" 2>/dev/null | cut -d / -f 3 | sort -un |
while read -r pid; do name=$(cat "/proc/$pid/comm" 2>/dev/null) && echo "$pid $name"; done; true
"""


class DatabaseError(Exception):
    """The database cannot be read or written; the text says why and what mends it."""


def elsewhere(member: Member) -> str | None:
    """Why data/one-api.db is not what this gateway uses, with the mend; None where it is. Raises RemoteError."""
    script = f'{other_databases.SCRIPT.read_text(encoding="utf-8")}database_settings "$directory/data" {PROJECT}'
    named = other_databases.that_holds_all(remote.run(member.host, _script(member, script)))
    if not named and member.state.text("database_size") not in ("", "0"):
        return None
    why = f"{named} is set" if named else "that file is not there"
    return (
        f"the gateway does not use {member.directory}/data/one-api.db ({why}), which is all that this can mend. In the"
        " database that it uses: set access_token of the user with role 100 to the ONEAPI_ACCESS_TOKEN of"
        f" {member.directory}/secrets.env, then run this again"
    )


def can_be_written(member: Member) -> bool:
    """Whether the host has a program that writes SQLite. Raises RemoteError."""
    return bool(remote.run(member.host, f"if {_HAS_TOOL}; then echo yes; fi"))


def has_token(member: Member, token: str) -> bool:
    """Whether the root user has this access token. Raises DatabaseError, also when it cannot be written now."""
    rows = _ask(member, f"BEGIN IMMEDIATE;\nSELECT access_token = {_text(token)} {_ROOT_USER};\nCOMMIT;\n")
    return rows == ["1"]


def back_up(member: Member) -> str:
    """Keep a checked copy of the database, for root alone. Returns its path. Raises DatabaseError."""
    return _run(member, f"{_SQL}{_BACKUP}")[-1]


def set_token(member: Member, token: str) -> None:
    """Give the root user this access token, in one transaction. Raises DatabaseError."""
    rows = _ask(
        member,
        f"BEGIN IMMEDIATE;\nUPDATE users SET access_token = {_text(token)} WHERE id = (SELECT id {_ROOT_USER});\n"
        "SELECT changes();\nCOMMIT;\n",
    )
    if rows != ["1"]:
        raise DatabaseError(
            f"{member.directory}/data/one-api.db has no root user (role {ROOT_ROLE}): restore a backup of the database"
        )


def _text(value: str) -> str:
    """A text in SQL, whatever is in it: nothing to quote, no semicolon."""
    return f"CAST(x'{value.encode().hex()}' AS TEXT)"


def _script(member: Member, script: str) -> str:
    return f"directory={shlex.quote(member.directory)}\npatience={PATIENCE_SECONDS}\n{script}"


def _ask(member: Member, sql: str) -> list[str]:
    return _run(member, f'{_SQL}sql "$directory/data/one-api.db"', sql)


def _run(member: Member, script: str, stdin: str | None = None) -> list[str]:
    try:
        return remote.run(member.host, _script(member, script), stdin)
    except remote.RemoteError as problem:
        if recovery.LOCKED in str(problem):
            raise DatabaseError(recovery.locked_by_whom(member.directory, _holders(member))) from None
        raise DatabaseError(f"{member.directory}/data/one-api.db cannot be used: {problem}") from None


def _holders(member: Member) -> str:
    """Who has the database open, the gateway excepted."""
    gateway = str((member.state.container or {}).get("State", {}).get("Pid", ""))
    lines = [line.split(maxsplit=1) for line in remote.run(member.host, _script(member, _HOLDERS)) if line.strip()]
    return ", ".join(f"{name} (process {pid})" for pid, name in lines if pid != gateway)
