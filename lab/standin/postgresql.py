"""The same tables in a PostgreSQL, where SQL_DSN says so: the statements of the SQLite file, in its words."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extras  # type: ignore[import-untyped]

from .database import Database, Row
from .schema import Column, Table

PREFIX = "postgres://"
"""What One API takes for PostgreSQL; any other DSN is MySQL's to it."""
_KINDS = {"int": "bigint", "uint": "bigint", "str": "text", "bool": "boolean", "float": "double precision"}
_TRUTHS = re.compile(r"\b(enabled|unlimited_quota)(`?) = ([01])\b")


class PostgreSQL(Database):
    """A database of a PostgreSQL: a connection that writes, in turns, and as many as read at once.

    Every fault is told as sqlite3.OperationalError, which is what the callers know.
    """

    def __init__(self, dsn: str, most: int) -> None:
        self._dsn = _of_libpq(dsn)
        self._turns = threading.BoundedSemaphore(most)
        self._idle: list[Any] = []

    def close(self) -> None:
        """Close what is open."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """A connection in autocommit mode, which is given up where something fails. Raises sqlite3.OperationalError."""
        with self._turns:
            try:
                connection = self._idle.pop() if self._idle else psycopg2.connect(self._dsn)
                connection.autocommit = True
                try:
                    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
                        yield cursor
                except BaseException:
                    with suppress(psycopg2.Error):
                        connection.close()
                    raise
                self._idle.append(connection)
            except psycopg2.Error as error:
                raise sqlite3.OperationalError(str(error).strip()) from None

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """All rows of a SELECT."""
        with self._lent() as cursor:
            cursor.execute(_translated(sql), list(params))
            found: list[Any] = cursor.fetchall()
            return found

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one writing statement in its own transaction; the number of rows it touched."""
        with self._lent() as cursor:
            cursor.execute(_translated(sql), list(params))
            return int(cursor.rowcount)

    def insert(self, table: Table, *rows: Row) -> list[int]:
        """Insert rows in one transaction; their ids."""
        ids = []
        with self._lent() as cursor:
            cursor.execute("BEGIN")
            for row in rows:
                values = {name: _value(table, name, value) for name, value in table.stored(row).items()}
                names, marks = ", ".join(f'"{name}"' for name in values), ", ".join(["%s"] * len(values))
                first = table.primary[0]
                cursor.execute(
                    f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) RETURNING "{first}"',  # noqa: S608
                    list(values.values()),
                )
                made = cursor.fetchone()[0]
                ids.append(made if isinstance(made, int) else 0)
            cursor.execute("COMMIT")
        return ids

    def update(self, table: Table, row_id: int, values: Row) -> int:
        """Set columns of one row; the number of rows touched."""
        return super().update(table, row_id, {name: _value(table, name, value) for name, value in values.items()})

    def migrate(self, tables: Sequence[Table], twice: Table | None = None) -> None:
        """Make every table, column and index that is missing; rows stay as they are."""
        for table in tables:
            columns = ", ".join(_ddl(column) for column in table.columns)
            if table.primary != ("id",):
                columns += f", PRIMARY KEY ({', '.join(f'`{name}`' for name in table.primary)})"
            self.execute(f"CREATE TABLE IF NOT EXISTS `{table.name}` ({columns})")
            for column in table.columns:
                self.execute(f"ALTER TABLE `{table.name}` ADD COLUMN IF NOT EXISTS {_ddl(column)}")
            for name in (*table.unique, *table.index):
                unique = "UNIQUE " if name in table.unique else ""
                self.execute(
                    f"CREATE {unique}INDEX IF NOT EXISTS `idx_{table.name}_{name}` ON `{table.name}`(`{name}`)"
                )


def _of_libpq(dsn: str) -> str:
    """The same for libpq, which takes less in a URL than pgx: that hands what it does not know on to the server."""
    parts = urlsplit(dsn)
    given = parse_qsl(parts.query)
    query = [(name, value) for name, value in given if name == "sslmode"]
    query.append(("options", " ".join(f"-c {name}={value}" for name, value in given if name != "sslmode")))
    return parts._replace(query=urlencode(query, quote_via=quote)).geturl()


def _ddl(column: Column) -> str:
    if column.name == "id":
        return "`id` bigserial PRIMARY KEY"
    sized = column.sql if column.sql.startswith(("varchar", "char")) else ""
    text = f"`{column.name}` {sized or _KINDS[column.kind]}"
    if column.default is None:
        return text
    if column.kind == "bool":
        return f"{text} DEFAULT {bool(column.default)}"
    return f"{text} DEFAULT '{column.default}'"


def _value(table: Table, name: str, value: Any) -> Any:
    """A value as its column takes it: SQLite has no truths."""
    kind = next(column.kind for column in table.columns if column.name == name)
    return bool(value) if kind == "bool" and value is not None else value


def _translated(sql: str) -> str:
    truths = _TRUTHS.sub(lambda found: f"{found[1]}{found[2]} = {found[3] == '1'}", sql)
    return truths.replace("%", "%%").replace("?", "%s").replace("`", '"')
