"""A PostgreSQL as the store of a gateway: looked at before anything is made in it, and claimed for one gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import postgresql, remote
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout, shell
from llm_gateway.model.dsn import CONNECTIONS, SQLITE, Dsn
from llm_gateway.model.layout import CLAIM_TABLE
from llm_gateway.parts.backups.recognition import NEEDED_TABLES
from llm_gateway.parts.firewall_rules import REFUSED, Upstream

OLDEST = 13
"""The oldest major version that is taken: older ones get no security fixes."""
_OWN_CONNECTIONS = 3
"""For what the host asks besides the gateway: backups, the canary, a run."""
_CHECK = Path(__file__).with_name("postgresql_check.sh")
_WAY = "the page docs/postgresql.md says how to make one"
_MOVE = "A backup of it is restored on a host that is deployed with the other store (docs/postgresql.md)"


def is_store_of(node: Node) -> bool:
    """Whether the gateway keeps what it knows in a PostgreSQL."""
    return node.settings.gateway_database != SQLITE


def missing_packages(node: Node) -> list[str]:
    """Debian's packages without which the host cannot ask the database."""
    return [postgresql.CLIENT] if is_store_of(node) and "psql" not in node.state.tools else []


def not_yet(node: Node, what: str, way: str) -> Iterator[str]:
    """That a task cannot be done with a PostgreSQL, if it is one.

    Parameters: `way`, what a person does in its place.
    """
    if is_store_of(node) or node.state.database_conf is not None:
        yield f"gateway_database: {what} of a gateway on a PostgreSQL is not there yet: {way}"


def problems(node: Node) -> Iterator[str]:
    """What prevents a deployment, as far as it can be seen before anything is changed. Raises RemoteError."""
    if not is_store_of(node):
        if node.state.database_conf is not None:
            yield (
                f'gateway_database: this gateway keeps its data in a PostgreSQL, and "{SQLITE}" would begin an empty'
                f" file: set it back to the name of the secret. {_MOVE}"
            )
        return
    if node.state.database_size is not None:
        yield (
            f"gateway_database: {node.gateway.file.name} is a gateway's database, and would be left behind: leave it at"
            f' "{SQLITE}". {_MOVE}'
        )
        return
    yield from look(node)


def look(node: Node) -> list[str]:
    """What is wrong with the database; where the host has no psql yet, whether it is reached at all.

    Raises RemoteError.
    """
    dsn = node.gateway.dsn
    if dsn is None:
        return [f"gateway_database: the secret {node.settings.gateway_database} is missing"]
    zone = dsn.zone or node.settings.gateway_timezone
    values = {"host": dsn.host, "port": str(dsn.port), "zone": zone, "claim": CLAIM_TABLE}
    lines = remote.run(node.host, shell.program(values, _CHECK), dsn.service())
    allowed = [Upstream.parse(text) for text in node.settings.gateway_private_upstreams]
    is_done = node.state.file(f"{node.directory}/{layout.FIRST_START_DONE}") is not None
    found = judge(lines, dsn, zone, node.gateway.name, is_done, allowed)
    return [f"gateway_database: {problem}" for problem in found]


def judge(
    lines: Sequence[str], dsn: Dsn, zone: str, gateway: str, is_done: bool, allowed: Sequence[Upstream] = ()
) -> Iterator[str]:
    """What is wrong, each text with its fix.

    Parameters: `lines`, what postgresql_check.sh answers; `is_done`, whether the host says that a gateway was set up;
    `allowed`, what its container may reach.
    """
    answers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition("|")
        answers.setdefault(name, []).append(value)

    def first(name: str) -> str:
        return answers.get(name, [""])[0]

    if "unknown" in answers:
        yield f"the host does not know the name {dsn.host}: correct the secret's HOST, or the host's DNS"
    elif reason := first("unreachable"):
        yield (
            f"the host does not reach {dsn.host}:{dsn.port} ({reason}): start the PostgreSQL, have it listen there"
            " (listen_addresses), and open the way to it (its firewall, the tailnet's rules)"
        )
    elif words := first("refused"):
        fix = "correct the secret, its pg_hba.conf or the role"
        yield f"{dsn.place} does not let {dsn.user} in: {words.strip()}; {fix}"
    else:
        yield from _out_of_the_containers_reach(dsn, answers.get("address", []), allowed)
        if "end" in answers:
            yield from _of_server(first, dsn, zone)
            yield from _of_contents(answers, dsn, gateway, is_done)


def _out_of_the_containers_reach(dsn: Dsn, addresses: Sequence[str], allowed: Sequence[Upstream]) -> Iterator[str]:
    """An address of its own is allowed by itself; the firewall does not know which one a name has."""
    if dsn.address is not None:
        return
    for text in addresses:
        wanted = Upstream(ipaddress.IPv4Network(text), dsn.port)
        is_private = any(wanted.network.subnet_of(network) for network in REFUSED)
        if is_private and not any(each.covers(wanted) for each in allowed):
            yield (
                f"{dsn.host} is {text}, which the gateway's firewall keeps its container from: write the address into"
                f' the secret in place of the name, or add "{text}:{dsn.port}" to gateway_private_upstreams'
            )


def _of_server(first: Callable[[str], str], dsn: Dsn, zone: str) -> Iterator[str]:
    major = int(first("version")) // 10000
    client = first("client")
    if major < OLDEST:
        yield f"{dsn.place} is PostgreSQL {major}: take {OLDEST} or newer"
    elif client and int(client) < major:
        yield (
            f"{dsn.place} is PostgreSQL {major}, and the host's pg_dump is {client}, which makes no backup of it:"
            f" install postgresql-client-{major} on the host (apt.postgresql.org has it)"
        )
    if (encoding := first("encoding")) != "UTF8":
        yield f"{dsn.database} is encoded in {encoding}: make a database with `ENCODING 'UTF8' TEMPLATE template0`"
    if first("standby") or first("read_only"):
        yield f"{dsn.place} is read-only (a standby?): name the primary"
    if first("zone") == "0":
        yield f"{dsn.place} does not know the time zone {zone}: write another TimeZone= into the secret"
    needed = CONNECTIONS + _OWN_CONNECTIONS
    limits = (
        ("connections", "the server's max_connections leave {}: set max_connections to {} or more"),
        ("role_limit", f'the role {dsn.user} may have {{}}: `ALTER ROLE "{dsn.user}" CONNECTION LIMIT {{}}`'),
        ("database_limit", f'the database may have {{}}: `ALTER DATABASE "{dsn.database}" CONNECTION LIMIT {{}}`'),
    )
    for name, words in limits:
        if first(name) and int(first(name)) < needed:
            enough = needed + 7 if name == "connections" else needed
            yield f"a node needs {needed} connections, and {words.format(first(name), enough)}"
    if not first("schema"):
        yield (
            f"the role {dsn.user} sees no schema of {dsn.database} (search_path): `GRANT USAGE, CREATE ON SCHEMA"
            f' public TO "{dsn.user}"` in it'
        )
    elif first("may_create") != "true":
        yield (
            f"the role {dsn.user} may make no tables in the schema {first('schema')} of {dsn.database}: `GRANT CREATE"
            f' ON SCHEMA {first("schema")} TO "{dsn.user}"` in it, or make the role the owner of the database'
        )


def _of_contents(answers: dict[str, list[str]], dsn: Dsn, gateway: str, is_done: bool) -> Iterator[str]:
    tables, claims = answers.get("table", []), answers.get("claim", [])
    foreign = answers.get("foreign", [])
    if claims and claims != [gateway]:
        renamed = f"UPDATE {CLAIM_TABLE} SET gateway = '{gateway}'"  # noqa: S608 - told, and not run
        yield (
            f"{dsn.place} is the database of the gateway {claims[0]}: two gateways need two databases. If this one was"
            f" called {claims[0]} before, `{renamed}` in it says so"
        )
    elif tables and not claims:
        named = ", ".join(tables[:5])
        if {*NEEDED_TABLES} <= {*tables}:
            yield (
                f"{dsn.place} holds a gateway's data already ({named}, …), which cannot be taken over yet: name an"
                f" empty database; {_WAY}"
            )
        else:
            yield f"{dsn.place} holds tables that are no gateway's ({named}): name an empty database; {_WAY}"
    elif foreign:
        yield (
            f"{dsn.user} is not the owner of {', '.join(foreign)} in {dsn.place}, which an upgrade changes: `ALTER"
            f' TABLE {foreign[0]} OWNER TO "{dsn.user}"` and so on'
        )
    elif is_done and (not claims or answers.get("users", ["0"]) == ["0"]):
        yield (
            f"{dsn.place} holds nothing of this gateway, though one was set up on this host: is it the right database?"
            f" To begin anew in it, remove {layout.FIRST_START_DONE} in the gateway's directory on the host"
        )


def check(node: Node) -> None:
    """Look at the database once the host has psql, before anything else is made on the host."""
    if missing_packages(node):
        _check(name="Look at the database", node=node)


@operation()
def _check(node: Node) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_look_now, (node,), {})


def _look_now(state: State, host: Host, node: Node) -> bool:
    try:
        found = look(node)
    except remote.RemoteError as problem:
        found = [f"the database cannot be looked at: {problem}"]
    for text in found:
        remote.complain(host, text)
    return not found


def claim(node: Node) -> str | None:
    """Have the database say that it is this gateway's, before the first table is made in it.

    Returns whose it is where it is another's. Raises RemoteError.
    """
    store = node.gateway.store
    if not isinstance(store, PostgreSQLStore):
        return None
    name = store.dialect.of_text(node.gateway.name)
    rows = store.ask(
        f"CREATE TABLE IF NOT EXISTS {CLAIM_TABLE} (is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),"
        " gateway text NOT NULL, since timestamptz NOT NULL DEFAULT now());\n"
        f"INSERT INTO {CLAIM_TABLE} (gateway) VALUES ({name}) ON CONFLICT DO NOTHING;\n"
        f"SELECT gateway FROM {CLAIM_TABLE};\n"
    )
    return None if rows == [node.gateway.name] else rows[-1]
