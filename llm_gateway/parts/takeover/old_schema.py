"""Databases of One API v0.6.8 and older, on which the first start of a newer version always ends.

Seen with v0.6.9 and v0.6.10 on databases that v0.5.10 had made: "[FATAL] failed to migrate database: duplicate column
name: config", exit code 1, with every column there; the second start goes on with it. The migration of that table runs
twice, and the second time still by the columns of before. Where Docker restarts the container, nobody notices.
"""

from __future__ import annotations

import time

from pyinfra.api.host import Host

from llm_gateway.flavours import known
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import Store
from llm_gateway.model.layout import PORT
from llm_gateway.parts import service

COLUMNS = ("config", "system_prompt")
"""Of the table `channels`: the first came with v0.6.0, the second with v0.6.9."""
_SIGN = "duplicate column name"
_LOOK_SECONDS = 1.0


class OldSchemaError(Exception):
    """The database was not brought to the newer schema; the text says why."""


def missing(store: Store) -> tuple[str, ...]:
    """Which of COLUMNS a database has not; none where it is new-api's, not there or empty, or the host has no SQLite.

    Raises RemoteError.
    """
    try:
        columns = store.schema().columns
    except tables.TablesError:
        return ()  # what is wrong with it is told by whoever uses it
    there = () if known.NEW_API.own_tables & columns.keys() else columns.get("channels", ())
    return tuple(name for name in COLUMNS if there and name not in there)


def start_twice(host: Host, container: str, seconds: float) -> None:
    """Wait for the end of the first start of a container that serves nobody, and start it again where it ended so.

    A version that does not end is left running; one that ends otherwise is told by whoever waits for its answer.
    Parameters: `seconds`, how long to wait at most. Raises RemoteError.
    """
    deadline = time.monotonic() + seconds
    while address := service.address_inside(host, container):
        if service.await_answer(host, address, PORT, _LOOK_SECONDS) is None or time.monotonic() > deadline:
            return
    words = remote.run(host, f"docker logs --tail 12 {container} 2>&1")
    if not any(_SIGN in line for line in words):
        return
    step(host, "the first start ended, as it does on a database older than v0.6.9: starting it again")
    remote.run(host, f"docker start {container} >/dev/null")


def require_migrated(store: Store, before: dict[str, int]) -> None:
    """Be sure that the columns are there and no row is lost. Parameters: `before`, the rows of each table then.

    Raises OldSchemaError.
    """
    try:
        after = store.counts()
    except tables.TablesError as problem:
        raise OldSchemaError(f"the migrated database cannot be read: {problem}") from None
    if left := missing(store):
        raise OldSchemaError(
            f"the table channels has no {', '.join(left)} after two starts: this image does not migrate"
        )
    if lost := tables.lost(before, after):
        raise OldSchemaError(f"rows were lost when the database was migrated: {'; '.join(lost)}")
