"""A database of one gateway software under another: brought to it out of everybody's reach, or refused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from pyinfra.api.host import Host

from llm_gateway.flavours import known, option_text
from llm_gateway.flavours.carrying import Arrival
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import SQLiteStore, Store
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.parts import database
from llm_gateway.parts.backups import recognition

_BEGUN = 20_741_207
"""In the database's `user_version`, which neither software uses, from before the other's first start until all is
carried over, in whose transaction it goes: a database with new tables alone tells nothing of its limits."""


def due(node: Node, store: Store) -> Arrival | None:
    """How a database is to be brought to what is declared; None where it is its own, or there is none yet.

    Also where a run was killed in the midst of that. Raises RemoteError, and DatabaseError where it cannot be told: it
    is not to be served unlimited then.
    """
    if isinstance(store, PostgreSQLStore):
        return None  # which serves One API alone
    columns = _columns(store)
    if "channels" not in columns:
        return None
    is_new_api, is_begun = bool(known.NEW_API.own_tables & columns.keys()), _is_begun(store)
    if node.flavour.own_tables:
        return None if is_new_api and not is_begun else node.flavour.arrival
    if is_new_api and is_begun:
        raise database.DatabaseError(
            f"{store.name} was on its way to {known.NEW_API.name}, and its limits were not carried over: deploy that,"
            " or put a backup in its place by deploys/restore.py"
        )
    return node.flavour.arrival if is_new_api else None


def _is_begun(store: Store) -> bool:
    return database.ask_file(store, "PRAGMA user_version;\n") == [str(_BEGUN)]


def begin(store: Store) -> None:
    """Before the other software starts on a database: mark it. Raises RemoteError, DatabaseError."""
    database.ask_file(store, f"PRAGMA user_version = {_BEGUN};\n")


def problems(node: Node, moved: Store | None = None) -> list[str]:
    """What of the gateway's database cannot be brought to what is declared. Raises RemoteError, DatabaseError.

    Parameters: `moved`, the database of another host, which is to be this one's.
    """
    store = moved or node.gateway.store
    if (arrival := due(node, store)) is None:
        return []
    if fork := recognition.of_a_fork(_columns(store)):
        return [fork]
    unread = node.flavour.unread_problems(node.state.data_environment)
    found, confirmed = database.ask_file(store, arrival.finds), node.settings.gateway_may_lose
    refused = [
        *(f"{layout.DATA}/.env: {problem}" for problem in unread),
        *arrival.refusals(found, confirmed),
    ]
    if left := arrival.unconfirmed(found, confirmed):
        names = json.dumps(sorted({*confirmed, *left}), ensure_ascii=False)
        refused.append(
            "change or delete these in the admin page, or stay with what serves; or confirm their loss by name:"
            f" --data {shlex.quote(f'gateway_may_lose={names}')}"
        )
    return refused


def notes(node: Node) -> list[str]:
    """What a person has to know before a database is brought to what is declared. Raises RemoteError, DatabaseError."""
    store = node.gateway.store
    if (arrival := due(node, store)) is None:
        return []
    lost = arrival.losses(database.ask_file(store, arrival.finds), node.settings.gateway_may_lose)
    told = f"carried over to {node.flavour.name}: {arrival.told}"
    return [told, *([arrival.loses] if arrival.loses else []), *(f"not carried over: {each}" for each in lost)]


def _columns(store: Store) -> Mapping[str, tuple[str, ...]]:
    """The tables of a database; none where it is not there. Raises RemoteError, DatabaseError."""
    if isinstance(store, SQLiteStore) and not store.run(f"[ ! -e {shlex.quote(store.file)} ] || echo there"):
        return {}
    try:
        return store.schema().columns
    except tables.TablesError as problem:
        raise database.DatabaseError(f"which gateway software it is of cannot be told: {problem}") from None


def carry(host: Host, node: Node, store: Store, arrival: Arrival, container: str) -> None:
    """Bring a database to the software that has just added its columns, and start that again.

    Parameters: `container`, what serves it, and nobody reaches. Raises RemoteError, DatabaseError.
    """
    step(host, f"carrying over to {node.flavour.name}: {arrival.told}")
    database.ask_file(store, f"BEGIN IMMEDIATE;\n{transaction(node, arrival)}COMMIT;\n")
    remote.run(host, f"docker restart --time 10 {container} >/dev/null")


def transaction(node: Node, arrival: Arrival) -> str:
    """What one transaction has to do to bring a database to the software that has added its columns."""
    options = {name: option_text(name, value) for name, value in node.flavour.default_options.items()}
    return f"{arrival.transaction(options)}PRAGMA user_version = 0;\n"
