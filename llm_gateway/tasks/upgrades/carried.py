"""A database that is brought to another software before the gateway is stopped, and caught up while nobody is served.

What the other software does to a database takes long: new-api's eight indices of the logs, 18 s for 500 MB. So it does
that on a copy, of the trial; what the old software has written meanwhile is taken over once that is stopped. Rows of
the logs are added and deleted, but never changed; all other tables are small, and copied anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from llm_gateway.flavours.carrying import Arrival
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.layout import TRIAL
from llm_gateway.parts import arrival, database
from llm_gateway.tasks import swap
from llm_gateway.tasks.swap import Staged, SwapError

_LOGS = "logs"
_COUNTED = ("users", "channels", _LOGS)
"""Of which no row is ever left out."""
_TABLES = (
    "SELECT hex(m.name), hex(group_concat('\"' || replace(c.name, '\"', '\"\"') || '\"', ', '))"
    " FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.rootpage > 0"
    " AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' GROUP BY m.name;\n"
)


@dataclass(frozen=True)
class Carried:
    """A database on its way to another software.

    Args:
        arrival: how it is brought to that.
        columns: of each of its tables, the names as SQL has them.
        newest: the number of the newest row of its logs, from before the copy was made; 0 where there is none.
        journal: its journal mode, "delete" as both software leave it, which a backup is in as well, or "wal".
    """

    arrival: Arrival
    columns: dict[str, str]
    newest: int
    journal: str


def look(node: Node) -> Carried | None:
    """What is to be carried, before a copy of it is made; None where nothing is. Raises RemoteError, DatabaseError."""
    store = node.gateway.store
    if (wanted := arrival.due(node, store)) is None:
        return None
    rows = (line.split("|") for line in database.ask_file(store, _TABLES))
    columns = {_text(name): _text(names) for name, names in rows}
    newest = database.ask_file(store, f"SELECT coalesce(max(id), 0) FROM {_LOGS};\n") if _LOGS in columns else ["0"]  # noqa: S608
    (journal,) = database.ask_file(store, "PRAGMA journal_mode;\n")
    return Carried(wanted, columns, int(newest[-1]), journal)


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode(errors="surrogateescape")


def keep_copy(node: Node) -> None:
    """Keep the trial's database as the other software has made its schema, before anybody has used it.

    Its container is stopped then. Raises RemoteError.
    """
    step(node.host, "trial: keeping a copy of what it has made of the schema")
    remote.run(node.host, f"docker stop --time 10 {TRIAL} >/dev/null\n{swap.host_program(node, 'keep_copy')}")


def stage(node: Node, carried: Carried) -> Staged:
    """Have the kept copy take the gateway's place at the switch. Raises RemoteError."""
    remote.run(node.host, swap.host_program(node, "stage_copy"))
    return Staged(
        counts={},
        generated=node.gateway.generated,
        record=node.gateway.record,
        is_secured=True,
        catch_up=lambda: _catch_up(node, carried),
    )


def discard(node: Node) -> None:
    """Remove what was staged and does not take its place."""
    with suppress(remote.RemoteError):  # the disk may be full of it
        remote.run(node.host, swap.host_program(node, "discard_staged"))


def _catch_up(node: Node, carried: Carried) -> None:
    """Bring the staged copy to what the stopped gateway has left, in one transaction. Raises as `ask_file`."""
    before = _before(node)
    step(node.host, f"carrying over to {node.flavour.name}: {carried.arrival.told}")
    remote.run(node.host, f"[ -f {shlex.quote(before)} ] && [ ! -L {shlex.quote(before)} ]")
    statements = (
        f"ATTACH '{before}' AS old;",
        "BEGIN IMMEDIATE;",
        *_taken_over(carried),
        f"{arrival.transaction(node, carried.arrival)}COMMIT;",
        *([f"PRAGMA main.journal_mode = {carried.journal};"] if carried.journal == "wal" else []),
        "",
    )
    database.ask_file(
        SQLiteStore(node.host, f"{swap.staging_directory(node)}/{layout.DATABASE}"), "\n".join(statements)
    )
    remote.run(node.host, swap.host_program(node, "note_kept"))


def _before(node: Node) -> str:
    """Where the data of the stopped gateway are until the swap ends."""
    return layout.database(f"{node.directory}/switching")


def _taken_over(carried: Carried) -> Iterator[str]:
    for table, columns in carried.columns.items():
        name = '"' + table.replace('"', '""') + '"'
        insert = f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM old.{name}"  # noqa: S608
        if table == _LOGS:
            yield from _new_logs(insert, carried.newest)
        elif table == "options":  # some of its rows the other software has made
            yield f"{insert.replace('INSERT', 'INSERT OR REPLACE', 1)};"
        else:
            yield f"DELETE FROM main.{name};"  # noqa: S608
            yield f"{insert};"


def _new_logs(insert: str, newest: int) -> Iterator[str]:
    """Rows above the newest one of the copy; and without those deleted since, looked for if their number differs."""
    yield f"DELETE FROM main.logs WHERE id > {newest};"  # noqa: S608
    left = f"(SELECT count(*) FROM old.logs) - (SELECT count(*) FROM old.logs WHERE id > {newest})"  # noqa: S608
    yield (
        f"DELETE FROM main.logs WHERE (SELECT count(*) FROM main.logs) <> {left}"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM old.logs AS kept WHERE kept.id = main.logs.id);"
    )
    yield f"{insert} WHERE id > {newest};"


def require_rows(node: Node) -> None:
    """Be sure that no row of the old software is missing under the new one. Raises SwapError, TablesError."""
    before, after = SQLiteStore(node.host, _before(node)).counts(), node.gateway.store.counts()
    if lost := tables.lost({name: before[name] for name in _COUNTED if name in before}, after):
        raise SwapError(f"rows were lost when the database was carried over: {'; '.join(lost)}")
