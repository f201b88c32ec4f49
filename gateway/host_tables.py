"""Runs on a host without sqlite3, sent over by `gateway.tables`: prints what tables.sh does. Python's library alone.

Arguments: the database's path, how many seconds to wait for a lock, and "counts", "checksums" or "integrity".
"""

import hashlib
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


def main(path: str, patience: str, wanted: str) -> None:
    """Print a line for each table, or whether the file is whole."""
    connection = sqlite3.connect(path, timeout=float(patience), isolation_level=None)
    if wanted == "integrity":
        for (finding,) in connection.execute("PRAGMA integrity_check(5)"):
            print(finding)
        return
    connection.execute("BEGIN")
    names = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    connection.text_factory = _Text
    for name in names:
        if name.startswith("sqlite_"):
            continue
        quoted = '"' + name.replace('"', '""') + '"'
        ((count,),) = connection.execute(f"SELECT count(*) FROM {quoted}")  # noqa: S608 - quoted
        query = f"SELECT * FROM {quoted} NOT INDEXED"  # noqa: S608 - quoted
        checksum = _checksum(connection, query) if wanted == "checksums" else "-"
        print(name.encode().hex().upper(), count, checksum, sep="|")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except sqlite3.Error as error:
        sys.exit(f"Error: {error}")
