"""What a gateway's database holds, table by table: how many rows, and a checksum of them, as read on its host.

The checksum is SHA3-256 over every value of every row in the order of the rows: the same whichever version of SQLite
reads the file, on whichever host, and whatever the file's pages look like. A host that has no sqlite3 computes it with
Python; measured for 400 MB, 4 s with sqlite3 and 13 s with Python.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.host import Host

from gateway import remote

PATIENCE_SECONDS = 15
"""How long to wait for another program that has the database locked."""

_HERE = Path(__file__).parent


class TablesError(Exception):
    """The database cannot be read; the text is what SQLite said."""


@dataclass(frozen=True)
class Table:
    """A table: the number of its rows, and the checksum of them as hex digits."""

    count: int
    checksum: str


def read(host: Host, database: str) -> dict[str, Table]:
    """The tables of a database file, by name, all of one moment; SQLite's own tables are left out.

    A gateway may serve meanwhile; its writes wait, as long as this takes, only where they would finish a transaction.

    Parameters: `database`, the file's path on the host.
    Raises TablesError.
    """
    return {name: Table(count, checksum) for name, count, checksum in _ask(host, database, "checksums")}


def counts(host: Host, database: str) -> dict[str, int]:
    """The numbers of rows alone, by table: faster than `read`. Raises TablesError."""
    return {name: count for name, count, _ in _ask(host, database, "counts")}


def differences(ours: Mapping[str, Table], theirs: Mapping[str, Table]) -> list[str]:
    """Where two databases differ, a text for each table: `tokens: 3 rows, not 4`. Empty where they hold the same."""
    found = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            found.append(f"{name}: this table is {'missing' if other is None else 'there'}, and should not be")
        elif one.count != other.count:
            found.append(f"{name}: {other.count} rows, not {one.count}")
        elif one.checksum != other.checksum:
            found.append(f"{name}: as many rows ({one.count}), but not the same")
    return found


def lost(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Where rows are missing, a text for each table; more of them, and new tables, are no loss.

    Parameters: the numbers of rows by table, before and after.
    """
    return [
        f"{name}: {after[name]} rows of {count} are left" if name in after else f"{name}: the table is gone"
        for name, count in sorted(before.items())
        if after.get(name, -1) < count
    ]


def damage(host: Host, database: str) -> str | None:
    """What SQLite finds wrong with a file; None where it is whole. Reads all of it. Raises TablesError."""
    found = " ".join(_run(host, database, "integrity"))
    return None if found == "ok" else found


def _ask(host: Host, database: str, wanted: str) -> list[tuple[str, int, str]]:
    answers = (line.split("|") for line in _run(host, database, wanted) if line.count("|") == 2)
    return [(bytes.fromhex(name).decode(), int(count), checksum) for name, count, checksum in answers]


def _run(host: Host, database: str, wanted: str) -> list[str]:
    variables = {
        "database": database,
        "patience": str(PATIENCE_SECONDS),
        "wanted": wanted,
        "program": (_HERE / "host_tables.py").read_text(encoding="utf-8"),
    }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    script = (_HERE / "tables.sh").read_text(encoding="utf-8")
    try:
        return remote.run(host, f"{assignments}{script}")
    except remote.RemoteError as problem:
        raise TablesError(f"{database} cannot be read: {problem}") from None
