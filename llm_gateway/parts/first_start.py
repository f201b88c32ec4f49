"""From a database whose root may have a known password to one that may be published.

One API gives every empty database the account root/123456. So a gateway starts first on a network of its own that only
this host can reach; there the password is replaced and registration is closed, and only then is a port published.
A database that comes from an older gateway goes the same way, after a copy of it was put aside.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.flavours import AdminError, Unauthorised
from llm_gateway.flavours.admin_api import AdminAPI
from llm_gateway.flavours.contents import Admin
from llm_gateway.hosts import before, remote, tables, undo
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated
from llm_gateway.model import layout
from llm_gateway.model.layout import FIRST_START, FIRST_START_DONE, PORT
from llm_gateway.parts import arrival, database, installation, postgresql, service
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.takeover import fallback, old_channels, old_gateway, old_schema
from llm_gateway.parts.takeover.old_gateway import OldGateway

DEFAULT_PASSWORD = "123456"  # noqa: S105 - One API's own, known to everybody
_SLACK_SECONDS = 300
"""For what a take-over does besides waiting for One API, such as keeping a copy of a large database."""


class FirstStartError(Exception):
    """The gateway cannot be made safe to publish; the text says why and what fixes it."""


Proof = Callable[[Node], None]
"""Looks at a gateway that was just published in the place of an old one. Raises FirstStartError."""


FAILURES = (
    FirstStartError,
    old_schema.OldSchemaError,
    tables.TablesError,
    RouteError,
    AdminError,
    database.DatabaseError,
    remote.RemoteError,
)
"""What `make_safe` raises."""


def is_done(node: Node) -> bool:
    """Whether this host's database was made safe by an earlier run."""
    return node.state.file(f"{node.directory}/{FIRST_START_DONE}") is not None


def finds_database(node: Node) -> bool:
    """Whether there is a database already: an older gateway's, or one that an interrupted run left."""
    return node.state.database_size is not None and not is_done(node)


def can_be_recognised(node: Node) -> bool:
    """Whether the host has a program that reads a database before anything is changed."""
    return bool({"sqlite3", "python3"} & {*node.state.tools})


def secure(node: Node, *proofs: Proof) -> None:
    """Make the database safe to publish, once; one that is taken over is published, too.

    Parameters: `proofs`, what has to hold of the new gateway before an old one is given up.
    """
    if not is_done(node):
        node.is_restarted = True
        _secure(name="Replace the default password out of everybody's reach", node=node, proofs=proofs)


@operation()
def _secure(node: Node, proofs: Sequence[Proof] = ()) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (node, proofs), {})


def _run(state: State, host: Host, node: Node, proofs: Sequence[Proof]) -> bool:
    old = old_gateway.of(node.state)
    was_stopped = False
    try:
        if finds_database(node):
            _recognise(host, node)
            _check_password_while_old_gateway_serves(host, node, old)
            _require_channels_within_reach(host, node)
            was_stopped = True
            _take_over(host, node, old, proofs)
        else:
            remote.run(host, f"{_REMOVE_UNFINISHED}{fallback.put_aside(node)}")
            make_safe(host, node)
    except (*FAILURES, undo.UndoError) as problem:
        remote.complain(host, f"the gateway was not published: {problem}")
        if was_stopped:
            fallback.tell_what_serves(host, node, old)
        return False
    return True


_REMOVE_UNFINISHED = f"docker rm --force {FIRST_START} >/dev/null 2>&1; "


def _take_over(host: Host, node: Node, old: OldGateway | None, proofs: Sequence[Proof]) -> None:
    """From the old gateway to the new one that answers; or all is as it was. Raises as `_run` catches it."""
    copies = f"{node.directory}/{layout.BACKUPS}/taken-over-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    undone = fallback.restore_script(node, old, copies)
    limit = 3 * node.settings.gateway_start_timeout + _SLACK_SECONDS
    with undo.undoable(host, f"the take-over of the gateway of {node.name}", undone, limit):
        step(host, "take-over: stopping the old gateway, and keeping a copy of its data")
        remote.run(host, f"{_REMOVE_UNFINISHED}{fallback.put_aside_and_keep(node, old, copies)}")
        step(host, "take-over: starting the new gateway out of everybody's reach")
        for file in installation.differing_files(node):
            file.write_now(host)
        make_safe(host, node)
        step(host, "take-over: publishing the new gateway")
        if problem := service.publish_now(host, node):
            raise FirstStartError(problem)
        for holds in proofs:
            holds(node)
    node.is_taken_over = True
    fallback.discard(host)


def make_safe(host: Host, node: Node) -> None:
    """Start the database of `data` where nobody can reach it, make it safe to publish, and leave the mark of that.

    Nothing else has the database open, and the gateway's files are in place. A database of an older version is brought
    to the schema of this one. Raises as FAILURES says.
    """
    store = node.gateway.store
    if other := postgresql.claim(node):
        raise FirstStartError(f"{store.name} is the database of the gateway {other}: two gateways need two databases")
    rows: dict[str, int] | None = None
    if arriving := arrival.due(node, store):
        arrival.begin(store)
    if old_schema.missing(store):
        rows = store.counts()
        step(host, "the database is of One API v0.6.8 or older: bringing it to the new schema out of everybody's reach")
    files = f"--env-file {layout.SECRETS} -f {layout.FIRST_START_FILE}"
    compose = f"cd {shlex.quote(node.directory)} && docker compose {files}"
    with _then(host, f"rm -f {layout.FIRST_START_ENVIRONMENT}; {compose} down --timeout 10"):
        _tell_of_database(host, node)
        noted = (before.note(f"{node.directory}/{name}") for name in (layout.DATA, f"{layout.DATA}/{layout.DATABASE}"))
        remote.run(host, " && ".join((*noted, installation.own_data_command(node, "data"), "chmod 700 data/.")))
        remote.run(host, f"{installation.limit_processors(node)} && {compose} up --detach --quiet-pull")
        old_schema.start_twice(host, FIRST_START, node.settings.gateway_start_timeout)
        if not (address := service.address_inside(host, FIRST_START)):
            raise FirstStartError(f"{node.flavour.name} ended at once. {service.last_words(host, FIRST_START)}")
        if problem := service.await_answer(host, address, PORT, node.settings.gateway_start_timeout):
            raise FirstStartError(
                f"{node.flavour.name} does not start: {problem}. {service.last_words(host, FIRST_START)}"
            )
        if arriving:
            arrival.carry(host, node, store, arriving, FIRST_START)
            address = _restarted(host, node)
        with route(host, address, PORT) as transport:
            _make_safe(host, node, f"http://{address}:{PORT}", transport)
    if rows is not None:
        old_schema.require_migrated(store, rows)
    mark = b"root has no known password, and nobody can register\n"
    remote.write_now(host, f"{node.directory}/{FIRST_START_DONE}", mark, "644")


def _tell_of_database(host: Host, node: Node) -> None:
    """What the container of the first start reads as its environment, where its database is no file.

    Raises RemoteError.
    """
    if dsn := node.gateway.dsn:
        # Its network has a way out, so that nothing but the firewall closes the way in.
        remote.run(host, f'PATH="$PATH:/usr/sbin:/sbin" nft list table {layout.FIREWALL_TABLE} > /dev/null')
        path, uid = layout.FIRST_START_ENVIRONMENT, node.settings.gateway_user_id
        remote.write_now(host, path, f"SQL_DSN={dsn.uri(node.settings.gateway_timezone)}\n".encode(), "400")
        remote.run(host, f"chown {uid}:{uid} {path}")


def _restarted(host: Host, node: Node) -> str:
    """The address of the container of the first start, once it answers again. Raises FirstStartError, RemoteError."""
    address = service.address_inside(host, FIRST_START)
    problem = service.await_answer(host, address, PORT, node.settings.gateway_start_timeout) if address else "it ended"
    if not address or problem:
        raise FirstStartError(f"it does not start again: {problem}. {service.last_words(host, FIRST_START)}")
    return address


@contextmanager
def _then(host: Host, command: str) -> Iterator[None]:
    """Run a command at the end, however that is; where both fail, the first failure is the one to tell."""
    try:
        yield
    except Exception:
        with suppress(remote.RemoteError):
            remote.run(host, command)
        raise
    remote.run(host, command)


def _recognise(host: Host, node: Node) -> None:
    """Before an old gateway is stopped, be sure whose its database is, where nothing could read it before the run."""
    if not finds_database(node) or can_be_recognised(node):
        return
    found = recognition.look(node.gateway.file, node.flavour)
    for note in found.notes:
        remote.tell(host, note)
    if found.problem:
        raise FirstStartError(found.problem)


def _require_channels_within_reach(host: Host, node: Node) -> None:
    """Before an old gateway is stopped, be sure that the new one gets where its channels go."""
    try:
        problems = old_channels.problems(node, node.gateway.file)
    except database.DatabaseError as problem:
        raise FirstStartError(f"where its channels go is not known: {problem}") from None
    if problems:
        raise FirstStartError("\n".join(("the new gateway could not reach all that the old one does", *problems)))


def _check_password_while_old_gateway_serves(host: Host, node: Node, old: OldGateway | None) -> None:
    """Before an old gateway is stopped, be sure that the new one can be set up from its database."""
    if old is None or not old.is_running:
        return
    if node.flavour.own_tables and not node.gateway.store.schema().users:
        return  # nobody has set it up, and that is not done where others reach it
    if old.published is None:
        raise FirstStartError(
            f"the container {old.name} runs on {node.directory}/data, and has neither a published port nor an address"
            " at which its gateway could be asked: stop it, and run again"
        )
    address, port = old.published
    try:
        with route(host, address, port) as transport:
            _be_admin(node, f"http://{address}:{port}", transport)
    except (RouteError, AdminError) as problem:
        raise FirstStartError(
            f"the gateway that is there (container {old.name}) does not answer on {address}:{port}, where it is reached"
            f" from its host: {problem}. See `docker logs --tail 20 {old.name}`; if it need not serve, stop it"
        ) from None


def _be_admin(node: Node, base_url: str, transport: httpx.BaseTransport) -> tuple[Admin, str | None]:
    """A client that is root: by our access token, else by a password, which is then returned too."""
    admin = node.flavour.admin(base_url, access_token=node.gateway.generated.access_token, transport=transport)
    try:
        admin.own_user()
        return admin, None
    except Unauthorised:
        admin = node.flavour.admin(base_url, transport=transport)
    admin.set_up(node.gateway.generated.root_password)
    for password in root_passwords(node, node.gateway.generated):
        if admin.log_in("root", password):
            return admin, password
    if problem := database.trouble(node.gateway):  # One API calls a database that it cannot read a wrong password
        raise FirstStartError(problem)
    store = node.gateway.store
    if problem := recognition.without_root(store.schema(), store.fix_command):
        raise FirstStartError(problem)
    raise FirstStartError(
        f"{store.name} knows another root password; export {ROOT_PASSWORD}=… in the"
        " shell that runs pyinfra, and run again"
    )


def root_passwords(node: Node, generated: Generated) -> list[str]:
    """What root's password may be, in the order in which it is tried: our own, one that was handed in, the default."""
    known = (generated.root_password, node.provided.get(ROOT_PASSWORD), DEFAULT_PASSWORD)
    return [password for password in known if password]


def _close_registration(node: Node, admin: Admin) -> None:
    """Nobody can register, and nobody can after the restart that publishes the gateway: see the database."""
    closed = {"RegisterEnabled": "false"}
    admin.set_option(*next(iter(closed.items())))
    try:
        unstored = database.unstored_options(node.gateway, closed)
    except database.DatabaseError as problem:
        raise FirstStartError(f"whether registration stays closed is not known: {problem}") from None
    if unstored is None:
        raise FirstStartError(
            "whether registration stays closed is not known: the host has nothing to look with; install sqlite3 or"
            " python3 there, and run again"
        )
    if unstored:
        raise FirstStartError(
            f"{node.flavour.name} says that registration is closed, and its database does not hold that: its disk is"
            f" full (`df -h {node.directory}/data` on the host), or another program has it locked; make room, and run"
            " again"
        )


def _make_safe(host: Host, node: Node, base_url: str, transport: httpx.BaseTransport) -> None:
    """Our access token works, the default password does not, and nobody can register."""

    def accepts_default_password() -> bool:
        return node.flavour.admin(base_url, transport=transport).log_in("root", DEFAULT_PASSWORD)

    gateway = node.gateway
    if problem := node.flavour.problem_of(AdminAPI(base_url, transport=transport).status()):
        raise FirstStartError(problem)
    admin, password = _be_admin(node, base_url, transport)
    if password is not None:
        # A password that a person chose stays theirs; the access token is made anew, for nobody else knew it.
        kept = node.gateway.generated.root_password if password == DEFAULT_PASSWORD else password
        node.gateway.generated = replace(
            node.gateway.generated, root_password=kept, access_token=admin.new_access_token()
        )
        remote.write_now(host, f"{node.directory}/{layout.SECRETS}", node.gateway.generated.render().encode(), "600")
    if accepts_default_password():
        admin.set_own_password(gateway.generated.root_password)
    admin.fill_wallet()
    _close_registration(node, admin)
    if accepts_default_password():
        raise FirstStartError("root/123456 is still accepted after the password was replaced")
