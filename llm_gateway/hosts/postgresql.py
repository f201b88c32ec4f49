"""A database of a PostgreSQL as the store of a gateway: asked on the gateway's host, by Debian's psql.

Its address and its password lie there in a file of libpq's services, for root alone; so they are in no argument, and
the statements, which may hold secrets, come on standard input.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import ClassVar

from pyinfra.api.host import Host

from llm_gateway.hosts import remote, sums
from llm_gateway.hosts.tables import PATIENCE_SECONDS, Store, TablesError
from llm_gateway.model import shell
from llm_gateway.model.dialect import POSTGRESQL, Dialect
from llm_gateway.model.layout import CLAIM_TABLE
from llm_gateway.model.usage import Query, UsageLog

CLIENT = "postgresql-client"
"""Debian's package with psql and pg_dump."""
_DUMP = Path(__file__).with_name("count_dump.sh")
SCRIPT = Path(__file__).with_name("postgresql.sh")


@dataclass(frozen=True)
class PostgreSQLStore(Store):
    """A database of a PostgreSQL, asked on a host of the gateway.

    Args:
        service: the path of the file there that tells psql where it is.
        place: what messages call it, as "oneapi on 10.0.0.9:5432".
    """

    host: Host
    service: str
    place: str
    dialect: ClassVar[Dialect] = POSTGRESQL

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the database {self.place}"

    def usage_script(self, directory: str, log: UsageLog, query: Query, zone: tzinfo) -> str:
        """See Store."""
        return sums.postgresql_script(directory, self.service, log, query, zone)

    def run(self, script: str, stdin: str | None = None) -> list[str]:
        """See Store."""
        return remote.run(self.host, script, stdin)

    def ask(self, sql: str, seconds: int = PATIENCE_SECONDS) -> list[str]:
        """See Store."""
        return self.run(program(self.service, "ask", seconds), sql)

    def fix_command(self, statement: str) -> str:
        """See Store."""
        return f"PGSERVICEFILE={shlex.quote(self.service)} psql service=gateway -c {shlex.quote(statement)}"

    def _run(self, wanted: str) -> list[str]:
        try:
            return self.run(program(self.service, wanted))
        except remote.RemoteError as problem:
            raise TablesError(f"{self.name} cannot be read: {problem}") from None


def counts_of_dump(host: Host, path: str) -> dict[str, int]:
    """The numbers of rows that a dump on a host holds, by table, read to its end. Raises TablesError."""
    try:
        lines = remote.run(host, shell.program({"dump": path}, _DUMP))
    except remote.RemoteError as problem:
        raise TablesError(str(problem)) from None
    return {name: int(count) for count, name in (line.split(" ", 1) for line in lines)}


def program(service: str, wanted: str, seconds: int = PATIENCE_SECONDS) -> str:
    """The shell program that asks what `service` leads to: see postgresql.sh."""
    values = {"service": service, "patience": str(seconds), "wanted": wanted, "claim": CLAIM_TABLE}
    return shell.program(values, SCRIPT)
