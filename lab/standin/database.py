"""The SQLite file: migration, connections, and the few statements that One API's ORM makes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .schema import TABLES, Table

Row = dict[str, Any]


class NotFoundError(Exception):
    """No such row; its text is the one that One API passes on to the caller."""

    def __init__(self) -> None:
        super().__init__("record not found")


class Database:
    """One SQLite file behind one connection, which its callers take in turn.

    The journal mode is left as the file has it (DELETE on a new one), as One API does. Taking turns
    keeps this process from locking itself out under load; only another process can make it wait
    the busy timeout.
    """

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self._turn = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection, in autocommit mode; what is left uncommitted is rolled back."""
        with self._turn:
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.rollback()

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a SELECT."""
        with self.connection() as conn:
            return conn.execute(sql, params).fetchall()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one writing statement in its own transaction; the number of rows it touched."""
        with self.connection() as conn:
            return conn.execute(sql, params).rowcount

    def rows(self, table: Table, tail: str = "", params: Sequence[Any] = (), omit: str = "") -> list[Row]:
        """Rows as JSON objects; the column `omit` is not read and shows its zero value."""
        found = self.query(f"SELECT {table.column_names(omit)} FROM `{table.name}` {tail}", params)  # noqa: S608
        return [{c.field: c.zero if c.name == omit else c.out(row[c.name]) for c in table.columns} for row in found]

    def first(self, table: Table, where: str, params: Sequence[Any] = (), omit: str = "") -> Row:
        """The first row by primary key.

        Raises NotFoundError where there is none.
        """
        order = ", ".join(f"`{name}`" for name in table.primary)
        found = self.rows(table, f"WHERE {where} ORDER BY {order} LIMIT 1", params, omit)
        if not found:
            raise NotFoundError
        return found[0]

    def insert(self, table: Table, *rows: Row) -> list[int]:
        """Insert rows in one transaction, defaults in place of zero values; their ids."""
        ids: list[int] = []
        with self.connection() as conn:
            conn.execute("BEGIN")
            for row in rows:
                ids.append(_insert(conn, table, row))
            conn.execute("COMMIT")
        return ids

    def update(self, table: Table, row_id: int, values: Row) -> int:
        """Set columns of one row; the number of rows touched (no column: none)."""
        if not values:
            return 0
        sets = ", ".join(f"`{name}` = ?" for name in values)
        return self.execute(f"UPDATE `{table.name}` SET {sets} WHERE id = ?", [*values.values(), row_id])  # noqa: S608

    def migrate(self) -> None:
        """Make every table, column and index that is missing; rows stay as they are."""
        with self.connection() as conn:
            for table in TABLES:
                _migrate_table(conn, table)


def _insert(conn: sqlite3.Connection, table: Table, row: Row) -> int:
    values = {}
    for column in table.columns:
        value = row.get(column.field, column.zero)
        is_zero = value is None or (not column.pointer and value == column.zero)
        if is_zero and column.default is not None:
            value = column.default
        if column.name == "id" and not value:
            continue
        values[column.name] = value
    names = ", ".join(f"`{name}`" for name in values)
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO `{table.name}` ({names}) VALUES ({marks})"  # noqa: S608
    return conn.execute(sql, list(values.values())).lastrowid or 0


def _migrate_table(conn: sqlite3.Connection, table: Table) -> None:
    columns = ", ".join(column.ddl() for column in table.columns)
    if table.primary != ("id",):
        columns += f", PRIMARY KEY ({', '.join(f'`{name}`' for name in table.primary)})"
    conn.execute(f"CREATE TABLE IF NOT EXISTS `{table.name}` ({columns})")
    present = {row["name"] for row in conn.execute(f"PRAGMA table_info(`{table.name}`)")}
    for column in table.columns:
        if column.name not in present:
            conn.execute(f"ALTER TABLE `{table.name}` ADD COLUMN {column.ddl()}")
    for name in (*table.unique, *table.index):
        unique = "UNIQUE " if name in table.unique else ""
        conn.execute(f"CREATE {unique}INDEX IF NOT EXISTS `idx_{table.name}_{name}` ON `{table.name}`(`{name}`)")
