"""Databases that SQLite calls wrong although every row of them can be read, as they are met in the field."""
# ruff: noqa: S608 - the names of tables are those of the tests

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

NEWLINE, NULL, INDEX = "a table whose name has a newline", "NULL in a NOT NULL column", "a row missing from an index"
KINDS = (NEWLINE, NULL, INDEX)
ROWS = {"users": 3, 'a\nb"': 2}
"""What a database of all kinds holds."""


def make(path: Path, *kinds: str, table: str = "users") -> Path:
    """A database with these oddities. Parameters: `table`, the one that has them."""
    name = table.replace('"', '""')
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute(f'CREATE TABLE IF NOT EXISTS "{name}" (id INTEGER PRIMARY KEY, name TEXT, password TEXT NOT NULL)')
        made.execute(f'CREATE INDEX IF NOT EXISTS idx_users_name ON "{name}" (name)')
        made.execute(f"""INSERT INTO "{name}" (name, password) VALUES ('root', 'x'), ('b', 'y')""")
        if NEWLINE in kinds:
            made.execute('CREATE TABLE "a\nb""" (x)')
            made.execute('INSERT INTO "a\nb""" VALUES (1), (2)')
    if NULL in kinds:
        _while(path, "password TEXT NOT NULL", "password TEXT", f"""UPDATE "{name}" SET password = NULL WHERE id = 2""")
    row = f"""INSERT INTO "{name}" (name, password) VALUES ('c', 'z')"""
    if INDEX in kinds:
        _while(path, "(name)", "(name) WHERE 0", row)
    else:
        with closing(sqlite3.connect(path, isolation_level=None)) as made:
            made.execute(row)
    return path


def _while(path: Path, words: str, others: str, statement: str) -> None:
    """Run a statement while the schema says something else."""
    for before, after, do in ((words, others, statement), (others, words, "")):
        with closing(sqlite3.connect(path, isolation_level=None)) as made:
            made.execute("PRAGMA writable_schema = ON")
            made.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", (before, after))
        with closing(sqlite3.connect(path, isolation_level=None)) as made:
            made.execute(do)
