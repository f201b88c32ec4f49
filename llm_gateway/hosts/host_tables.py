"""Runs on a host without sqlite3, sent over by `tables`: prints what tables.sh does. Python's library alone.

Arguments: the database's path, how many seconds to wait for a lock, and "counts", "checksums",
"integrity" or "schema".
"""

import hashlib
import json
import sqlite3
import struct
import sys

_INTEGER = struct.Struct(">q").pack
_REAL = struct.Struct(">d").pack


class _Text(bytes):
    """A text as its bytes lie in the database, which need not be UTF-8."""


def _encoded(value: "int | float | bytes | None") -> bytes:
    if isinstance(value, int):
        return b"I" + _INTEGER(value)
    if isinstance(value, _Text):
        return b"T%d:%s" % (len(value), value)
    if value is None:
        return b"N"
    if isinstance(value, float):
        return b"F" + _REAL(value)
    return b"B%d:%s" % (len(value), value)


def _checksum(connection: sqlite3.Connection, query: str) -> str:
    """What sqlite3's own sha3_query(query, 256) says."""
    said = query.encode()
    checksum = hashlib.sha3_256(b"S%d:%s" % (len(said), said))
    for row in connection.execute(query):
        checksum.update(b"R" + b"".join(map(_encoded, row)))
    return checksum.hexdigest().upper()


_SCHEMA = """
SELECT 'encoding|' || encoding FROM pragma_encoding;
SELECT 'table|' || hex(name) FROM sqlite_master WHERE type = 'table' ORDER BY name;
SELECT 'column|' || hex(m.name) || '|' || hex(c.name) FROM sqlite_master m, pragma_table_info(m.name) c
WHERE m.type = 'table' AND m.name IN ('channels', 'tokens', 'users') ORDER BY m.name, c.cid;
SELECT 'trigger|' || hex(name) || '|' || hex(tbl_name) FROM sqlite_master WHERE type = 'trigger' ORDER BY name;
SELECT 'view|' || hex(name) FROM sqlite_master WHERE type = 'view' ORDER BY name;
SELECT 'is One API'
WHERE (SELECT count(*) FROM pragma_table_info('users') WHERE name IN ('username', 'role', 'status')) = 3
"""
_ACCOUNTS = """
SELECT 'users|' || count(*) FROM users NOT INDEXED;
SELECT 'account|' || rowid || '|' || hex(ifnull(username, '')) || '|' || ifnull(CAST(role AS INTEGER), 0) ||
    '|' || ifnull(CAST(status AS INTEGER), 0)
FROM users NOT INDEXED WHERE CAST(role AS INTEGER) >= 100 OR username = 'root' ORDER BY rowid LIMIT 10
"""


def _lines(connection: sqlite3.Connection, statements: str) -> "list[str]":
    return [line for statement in statements.split(";") for (line,) in connection.execute(statement)]


def _print_schema(connection: sqlite3.Connection) -> None:
    """What it is known by whose database it is."""
    lines = _lines(connection, _SCHEMA)
    if lines[-1] == "is One API":
        lines += _lines(connection, _ACCOUNTS)
    print(*lines, sep="\n")


def main(path: str, patience: str, wanted: str) -> None:
    """Print a line for each table, or whether the file is whole."""
    connection = sqlite3.connect(path, timeout=float(patience), isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    if wanted == "integrity":
        for (finding,) in connection.execute("PRAGMA integrity_check"):
            print(finding.replace("\n", " "))
        return
    if wanted == "schema":
        _print_schema(connection)
        return
    connection.text_factory = _Text
    connection.execute("BEGIN")
    found = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    names = [name for (name,) in connection.execute(found) if not name.startswith(b"sqlite_")]
    for name in names:
        quoted = '"' + name.decode("utf-8", "surrogateescape").replace('"', '""') + '"'
        ((count,),) = connection.execute(f"SELECT count(*) FROM {quoted} NOT INDEXED")  # noqa: S608 - quoted
        if wanted == "counts":
            print(json.dumps(name.decode("utf-8", "replace")), count, sep=": ")
            continue
        query = f"SELECT * FROM {quoted} NOT INDEXED"  # noqa: S608 - quoted
        print(name.hex().upper(), count, _checksum(connection, query), sep="|")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except sqlite3.Error as error:
        sys.exit(f"Error: {error}")
