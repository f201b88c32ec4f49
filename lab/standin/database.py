"""The SQLite file: migration, connections, and the few statements that One API's ORM makes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .schema import Table

Row = dict[str, Any]


class NotFoundError(LookupError):
    """No such row; its text is the one that One API passes on to the caller."""

    def __init__(self) -> None:
        super().__init__("record not found")


class Database:
    """One SQLite file: one connection that writes, which its callers take in turn, and as many as read at once.

    The journal mode is left as the file has it (DELETE on a new one), as One API does. Taking turns
    keeps this process from locking itself out under load. Where another process has the file locked, each
    caller waits for as long as the busy timeout and fails then, whoever waits besides.
    """

    def __init__(self, path: Path, busy_timeout_ms: int, pragmas: Sequence[str] = ()) -> None:
        self._path = path
        self._patience = busy_timeout_ms / 1000
        self._turn = threading.Lock()
        self._written = 0
        self._writer = self._open()
        for pragma in ("synchronous=NORMAL", *pragmas):
            self._writer.execute(f"PRAGMA {pragma}")
        self._readers: list[sqlite3.Connection] = []

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._writer.close()
        while self._readers:
            self._readers.pop().close()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection that writes, in autocommit mode; what is left uncommitted is rolled back.

        Raises sqlite3.OperationalError in SQLite's words where nobody could write for as long as the busy timeout.
        """
        written = self._written
        while not self._turn.acquire(timeout=self._patience):
            if self._written == written:
                raise sqlite3.OperationalError("database is locked")
            written = self._written
        try:
            yield self._writer
            self._written += 1
        finally:
            if self._writer.in_transaction:
                self._writer.rollback()
            self._turn.release()

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a SELECT."""
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._open()
        try:
            return reader.execute(sql, params).fetchall()
        finally:
            self._readers.append(reader)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one writing statement in its own transaction; the number of rows it touched."""
        with self.connection() as conn:
            return conn.execute(sql, params).rowcount

    def rows(self, table: Table, tail: str = "", params: Sequence[Any] = (), omit: str = "") -> list[Row]:
        """Rows as JSON objects; the column `omit` is not read and shows its zero value."""
        found = self.query(f"SELECT {table.column_names(omit)} FROM `{table.name}` {tail}", params)  # noqa: S608
        lacking = dict.fromkeys(table.lacking)
        return [
            {**lacking, **{c.field: c.zero if c.name == omit else c.out(row[c.name]) for c in table.columns}}
            for row in found
        ]

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

    def migrate(self, tables: Sequence[Table], twice: Table | None = None) -> None:
        """Make every table, column and index that is missing; rows stay as they are.

        Raises sqlite3.OperationalError where the table `twice` was there and lacked a column, once all are there:
        One API migrates that of channels twice, and the second time by the columns of before (seen with v0.6.10 on
        databases of v0.5.10, and of its own less `system_prompt`). Its next start finds nothing to do.
        """
        with self.connection() as conn:
            lacking = _lacking(conn, twice) if twice else []
            conn.execute("BEGIN")
            for table in tables:
                migrate_table(conn, table)
            conn.execute("COMMIT")
        if lacking:
            raise sqlite3.OperationalError(f"duplicate column name: {lacking[0]}")


def _insert(conn: sqlite3.Connection, table: Table, row: Row) -> int:
    values = table.stored(row)
    names = ", ".join(f"`{name}`" for name in values)
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO `{table.name}` ({names}) VALUES ({marks})"  # noqa: S608
    return conn.execute(sql, list(values.values())).lastrowid or 0


def _lacking(conn: sqlite3.Connection, table: Table) -> list[str]:
    """The columns that a table which is there has not."""
    present = {row["name"] for row in conn.execute(f"PRAGMA table_info(`{table.name}`)")}
    return [column.name for column in table.columns if column.name not in present] if present else []


def migrate_table(conn: sqlite3.Connection, table: Table) -> None:
    """Make a table, or what it lacks of columns and indices."""
    columns = ", ".join(column.ddl() for column in table.columns)
    if table.primary != ("id",):
        columns += f", PRIMARY KEY ({', '.join(f'`{name}`' for name in table.primary)})"
    conn.execute(f"CREATE TABLE IF NOT EXISTS `{table.name}` ({columns})")
    lacking = _lacking(conn, table)
    for column in table.columns:
        if column.name in lacking:
            conn.execute(f"ALTER TABLE `{table.name}` ADD COLUMN {column.ddl()}")
    for name in (*table.unique, *table.index):
        unique = "UNIQUE " if name in table.unique else ""
        conn.execute(f"CREATE {unique}INDEX IF NOT EXISTS `idx_{table.name}_{name}` ON `{table.name}`(`{name}`)")
    for name, columns_of in table.indexes:
        conn.execute(f"CREATE INDEX IF NOT EXISTS `{name}` ON `{table.name}`({columns_of})")
