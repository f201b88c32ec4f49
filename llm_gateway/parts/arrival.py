"""A database of One API under another software: brought to it out of everybody's reach, or refused."""

from __future__ import annotations

from pyinfra.api.host import Host

from llm_gateway.flavours import option_text
from llm_gateway.flavours.flavour import Arrival
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import Store
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import database


def due(node: Node, store: Store) -> Arrival | None:
    """How a database is to be brought to what is declared; None where it is its own, or there is none yet.

    Raises RemoteError.
    """
    flavour = node.flavour
    if flavour.arrival is None:
        return None
    try:
        columns = store.schema().columns
    except tables.TablesError:
        return None  # what is wrong with it is told by whoever uses it
    return flavour.arrival if "channels" in columns and not flavour.own_tables <= columns.keys() else None


def problems(node: Node) -> list[str]:
    """What of the gateway's database cannot be brought to what is declared. Raises RemoteError, DatabaseError."""
    arrival = due(node, node.gateway.store)
    if arrival is None:
        return []
    found = arrival.refusals(database.ask_file(node.gateway.store, arrival.finds))
    return [f"{problem}: change or delete it in the admin page, or stay with One API" for problem in found]


def carry(host: Host, node: Node, store: Store, arrival: Arrival, container: str) -> None:
    """Bring a database to the software that has just added its columns, and start that again.

    Parameters: `container`, what serves it, and nobody reaches. Raises RemoteError, DatabaseError.
    """
    step(host, f"carrying over to {node.flavour.name}: {arrival.told}")
    options = {name: option_text(name, value) for name, value in node.flavour.default_options.items()}
    database.ask_file(store, arrival.statements(options))
    remote.run(host, f"docker restart --time 10 {container} >/dev/null")
