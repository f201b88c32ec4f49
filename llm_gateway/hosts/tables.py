"""What a gateway's database holds, table by table: how many rows, and a checksum of them, as read on its host.

The checksum is SHA3-256 over every value of every row in the order of the rows: the same whichever version of SQLite
reads the file, on whichever host, and whatever the file's pages look like. A host that has no sqlite3 computes it with
Python; measured for 400 MB, 4 s with sqlite3 and 13 s with Python.

Counting and judging is one program, tables.sh: of this module on a host and on this machine (no host given), and of
make-backup, beside which it lies as read-tables.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import ClassVar

from pyinfra.api.host import Host

from llm_gateway.hosts import remote, sums
from llm_gateway.model import layout, shell
from llm_gateway.model.dialect import SQLITE, Dialect
from llm_gateway.model.usage import Query, UsageLog

PATIENCE_SECONDS = 15
"""How long to wait for another program that has the database locked."""

_SCRIPT = Path(__file__).with_name("tables.sh")
_PROGRAM = Path(__file__).with_name("host_tables.py")
SQL = Path(__file__).with_name("sql.sh")
"""Defines the shell functions that ask an SQLite file; `sql_values` stand before it."""


class TablesError(Exception):
    """The database cannot be read; the text is what SQLite said."""


@dataclass(frozen=True)
class Table:
    """A table: the number of its rows, and the checksum of them as hex digits."""

    count: int
    checksum: str


@dataclass(frozen=True)
class Verdict:
    """Whether a file is whole.

    Args:
        damage: what SQLite cannot read in it, in its words; None where every row can be read.
        odd: what is wrong all the same, each as (what, the SQL statement that fixes it).
    """

    damage: str | None
    odd: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Account:
    """An account of One API, as its columns have it."""

    identity: int
    name: str
    role: int
    status: int


@dataclass(frozen=True)
class Schema:
    """What a database is made of.

    Args:
        columns: the names of the tables; of `channels`, `tokens` and `users` each with its columns.
        triggers: each as (name, table).
        users: the number of accounts; None where it has no such table, or one of another kind.
        administrators: those that are One API's administrators, or are called root; ten at most.
        views: their names.
        encoding: of its texts, "UTF-8" as One API has it, "UTF-16le" or "UTF-16be".
    """

    columns: Mapping[str, tuple[str, ...]]
    triggers: tuple[tuple[str, str], ...]
    users: int | None
    administrators: tuple[Account, ...]
    views: tuple[str, ...] = ()
    encoding: str = "UTF-8"


class Store(ABC):
    """Where a gateway keeps what it knows: a SQLite file, or a database of a PostgreSQL; asked on a host of it."""

    dialect: ClassVar[Dialect]

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @abstractmethod
    def _run(self, wanted: str) -> list[str]:
        """What its program answers to `counts`, `checksums`, `integrity` or `schema`: see tables.sh.

        Raises TablesError.
        """

    @abstractmethod
    def ask(self, sql: str, seconds: int = PATIENCE_SECONDS) -> list[str]:
        """What it answers to statements, one a line; each row on a line, with | between two columns.

        Parameters: `seconds`, how long to wait for another program. Raises RemoteError.
        """

    @abstractmethod
    def usage_script(self, directory: str, log: UsageLog, query: Query, zone: tzinfo) -> str:
        """The shell script that sums its log up where it is; a gateway serves meanwhile. `sums.read` reads its lines.

        Parameters: `directory`, the gateway's, with the log's files; `zone`, in which those tell the time.
        """

    @abstractmethod
    def run(self, script: str, stdin: str | None = None) -> list[str]:
        """Run a shell script where it is asked. Raises RemoteError."""

    @abstractmethod
    def fix_command(self, statement: str) -> str:
        """The command that runs an SQL statement on it, on its host."""

    def read(self) -> dict[str, Table]:
        """Its tables, by name, all of one moment; the tables of SQLite, and of the deployment, are left out.

        A gateway may serve meanwhile; its writes wait, as long as this takes, only where they would finish a
        transaction. Raises TablesError.
        """
        answers = (line.split("|") for line in self._run("checksums") if line.count("|") == 2)
        return {_named(name): Table(int(rows), sums) for name, rows, sums in answers}

    def counts(self) -> dict[str, int]:
        """The numbers of rows alone, by table: faster than `read`. Raises TablesError."""
        found = json.loads(f"{{{','.join(self._run('counts'))}}}")
        return {str(name): int(count) for name, count in found.items()}

    def examine(self) -> Verdict:
        """What the database itself finds wrong, of which it reads all. Raises TablesError."""
        try:
            found = [line.split("|", 2) for line in self._run("integrity")]
        except TablesError as problem:
            if "malformed" not in str(problem):
                raise
            return Verdict("database disk image is malformed", ())
        damage = " ".join(line[1] for line in found if line[0] == "damage")
        return Verdict(damage or None, tuple((line[1], line[2]) for line in found if line[0] == "odd"))

    def schema(self) -> Schema:
        """By what it is known whose it is, and of which version. Raises TablesError."""
        columns: dict[str, tuple[str, ...]] = {}
        triggers, views, accounts, users = [], [], [], None
        encoding = "UTF-8"
        for line in self._run("schema"):
            match line.split("|"):
                case "encoding", text:
                    encoding = text
                case "table", name:
                    columns[_named(name, encoding)] = ()
                case "column", table, name:
                    columns[_named(table, encoding)] += (_named(name, encoding),)
                case "trigger", name, table:
                    triggers.append((_named(name, encoding), _named(table, encoding)))
                case "view", name:
                    views.append(_named(name, encoding))
                case "users", count:
                    users = int(count)
                case "account", identity, name, role, status:
                    accounts.append(Account(int(identity), _named(name, encoding), int(role), int(status)))
        return Schema(columns, tuple(triggers), users, tuple(accounts), tuple(views), encoding)


@dataclass(frozen=True)
class SQLiteStore(Store):
    """A SQLite file on a host, or on this machine where there is no host."""

    host: Host | None
    file: str
    dialect: ClassVar[Dialect] = SQLITE

    @property
    def name(self) -> str:
        """Its path."""
        return self.file

    def usage_script(self, directory: str, log: UsageLog, query: Query, zone: tzinfo) -> str:
        """See Store."""
        return sums.script(directory, self.file, log, query, zone)

    def run(self, script: str, stdin: str | None = None) -> list[str]:
        """See Store."""
        return _run_here(script, stdin) if self.host is None else remote.run(self.host, script, stdin)

    def ask(self, sql: str, seconds: int = PATIENCE_SECONDS) -> list[str]:
        """See Store; a link in its place is not followed."""
        values = {"file": self.file, **sql_values(seconds)}
        return self.run(shell.program(values, SQL, call='[ ! -L "$file" ] && sql "$file"'), sql)

    def fix_command(self, statement: str) -> str:
        """See Store."""
        return command(self.file, statement)

    def _run(self, wanted: str) -> list[str]:
        variables = {
            "database": self.file,
            "patience": str(PATIENCE_SECONDS),
            "wanted": wanted,
            "program": _PROGRAM.read_text(encoding="utf-8"),
        }
        try:
            return self.run(shell.program(variables, _SCRIPT))
        except remote.RemoteError as problem:
            raise TablesError(f"{self.file} cannot be read: {problem}") from None


def sql_values(seconds: int) -> dict[str, str]:
    """What stands before SQL. Parameters: `seconds`, how long to wait for another program."""
    program = Path(__file__).with_name("host_sql.py").read_text(encoding="utf-8")
    return {"patience": str(seconds), "program": program}


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


def _named(digits: str, encoding: str = "utf-8") -> str:
    return bytes.fromhex(digits).decode(encoding, errors="replace")


def fix_command(directory: str, statement: str) -> str:
    """The command that runs an SQL statement on a gateway's database, on its host."""
    return command(layout.database(directory), statement)


def command(file: str, statement: str) -> str:
    """The command that runs an SQL statement on a database, whoever has written it."""
    shell = "sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON'"
    return f"{shell} {shlex.quote(file)} {shlex.quote(statement)}"


def program() -> bytes:
    """The program `read-tables FILE PATIENCE counts|checksums|integrity|schema`, to be put on a host."""
    head = "#!/bin/sh\n# Made by the deployment: what make-backup knows of a database, it knows by this.\n"
    values = {"program": _PROGRAM.read_text(encoding="utf-8")}
    return "\n".join((head, "database=$1 patience=$2 wanted=$3", shell.program(values, _SCRIPT))).encode()


def _run_here(script: str, stdin: str | None = None) -> list[str]:
    python = f'python3() {{ {shlex.quote(sys.executable)} "$@"; }}\n'
    command = ["sh", "-c", f"{python}{script}"]
    done = subprocess.run(command, input=(stdin or "").encode(), capture_output=True, check=False)
    if done.returncode:
        raise remote.RemoteError(done.stderr.decode(errors="replace").strip())
    return done.stdout.decode(errors="replace").splitlines()
