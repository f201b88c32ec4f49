"""The admin access of a gateway, made right again after somebody changed it by hand.

Whatever still works is used: the access token, else a root password, else the database. The gateway serves on, and a
run that is cut off at any point is finished by the next one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.flavours import AdminError, Invalid, RateLimited, Unauthorised
from llm_gateway.flavours.contents import Admin
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Machine, Node
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated, SecretsError
from llm_gateway.model import dotenv
from llm_gateway.model.layout import ENVIRONMENT, PORT, SECRETS, UNIT
from llm_gateway.parts import database, first_start
from llm_gateway.tasks import preflight, survey

PATIENCE_SECONDS = 30.0
"""Longer than One API waits for a locked database (SQLITE_BUSY_TIMEOUT, 10 s), so that its own words come through."""
TOO_MANY = "the gateway takes no more log-ins for now"

_PASSWORD = re.compile(r"[ -~]{8,20}")


class ResetError(Exception):
    """The admin access cannot be made right; the text says why and what fixes it."""


@dataclass(frozen=True)
class Access:
    """What of the admin access works: the access token, and which root password, if any that is known."""

    username: str
    token: bool
    password: str | None = field(repr=False)


def machine_to_fix(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    return survey.machine_for(state, host, PURPOSE)


def fix(machine: Machine) -> None:
    """Make the access token and root's password in secrets.env the gateway's own, where they are not."""
    if (node := machine.node) is None:
        return
    try:
        node.gateway.generated = _as_on_the_host(node)
        access = examine(node)
        name = needed(access, node.gateway.generated)
        if name is None:
            remote.tell(
                node.host,
                f"the access token and root's password in {node.directory}/{SECRETS} work: nothing to fix",
            )
            return
        if access.password in (None, first_start.DEFAULT_PASSWORD) and node.provided.get(ROOT_PASSWORD):
            remote.tell(node.host, f"the password in {ROOT_PASSWORD} is not root's either")
        if _takes_database(access):
            _prepare_database(node)
    except (ResetError, RouteError, AdminError, remote.RemoteError) as problem:
        raise DeployError(f"{node.name}: {problem}; nothing was changed") from None
    _fix(name=name, node=node, access=access)


def needed(access: Access, generated: Generated) -> str | None:
    """The one step that fixes, in words; None where nothing is wrong."""
    if not access.token:
        return (
            "Give root a new access token through the database"
            if _takes_database(access)
            else "Have a new access token made, with root's password"
        )
    if access.password == generated.root_password:
        return None
    if access.password in (None, first_start.DEFAULT_PASSWORD):
        return f"Set root's password to the one in {SECRETS}"
    return f"Write the root password that was handed in into {SECRETS}"


def examine(node: Node) -> Access:
    """Find out what works, at the cost of one to three log-ins. Raises RouteError, AdminError or ResetError."""
    username = _root_by_token(node)
    known = (node.gateway.generated.root_password, node.provided.get(ROOT_PASSWORD), first_start.DEFAULT_PASSWORD)
    with _api(node) as visitor:
        try:
            found = (password for password in known if password and visitor.log_in(username or "root", password))
            return Access(username or "root", username is not None, next(found, None))
        except RateLimited:
            raise ResetError(f"{TOO_MANY}: run this again in 20 minutes") from None


def _root_by_token(node: Node) -> str | None:
    """The name of the root user whose access token is in secrets.env; None where it is nobody's or no token."""
    try:
        with _api(node, node.gateway.generated.access_token) as admin:
            user = admin.own_user()
    except (Unauthorised, Invalid):
        return None
    return user.username if user.role == database.ROOT_ROLE else None


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents fixing one host."""
    if busy := machine.state.busy:
        yield preflight.busy_problem(busy)
        return
    yield from preflight.verification_problems(machine)
    if (node := machine.node) is None:
        return
    if not first_start.is_done(node):
        yield f"no deployment has been completed in {node.directory}: run deploy.py first"
    elif not (machine.state.container or {}).get("State", {}).get("Running"):
        yield (
            f"the gateway does not run: `systemctl start {UNIT}` on the host starts it (`systemctl status {UNIT}` says"
            " why it does not run); then run this again"
        )


def _handed_in(machine: Machine) -> Iterator[str]:
    """Whether the root password that was handed in, if any, can be used. Provider keys are not needed."""
    if machine.node is None:
        return
    try:
        dotenv.quote(machine.provided.get(ROOT_PASSWORD) or "")
    except SecretsError as problem:
        yield str(problem)
    except dotenv.DotenvError as problem:
        yield f"{ROOT_PASSWORD}: {problem}; leave it out, and root gets the password in {SECRETS}"


PURPOSE = survey.Purpose((preflight.group_problems, _handed_in), (_problems,), lock=True)


def _takes_database(access: Access) -> bool:
    return not access.token and access.password is None


def _prepare_database(node: Node) -> None:
    if problem := database.elsewhere(node.gateway):
        raise ResetError(problem)
    if not database.can_be_written(node.gateway):
        remote.shell(name="Install sqlite3, which writes the gateway's database", command=database.INSTALL)


def _as_on_the_host(node: Node) -> Generated:
    """The secrets in the file; where it is lost, new ones, but the session secret that the gateway runs with.

    With another one everybody would be logged out, and the next deployment would start the gateway anew and send all
    channel keys again.
    """
    if node.state.has_secrets:
        return node.gateway.generated
    in_force = node.state.session_secret
    return replace(node.gateway.generated, session_secret=in_force or node.gateway.generated.session_secret)


@operation()
def _fix(node: Node, access: Access) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (node, access), {})


def _run(state: State, host: Host, node: Node, access: Access) -> bool:
    try:
        _give_access_back(node, access)
    except (ResetError, database.DatabaseError, RouteError, remote.RemoteError) as problem:
        remote.complain(host, f"the admin access is not right yet: {problem}")
        return False
    except AdminError as problem:
        remote.complain(host, f"the admin access is not right yet: {database.told(node.gateway, problem)}")
        return False
    return True


def _give_access_back(node: Node, access: Access) -> None:
    wanted = replace(node.gateway.generated, root_password=_password_to_keep(node, access))
    if access.password is not None and not access.token:
        with _api(node) as admin:
            if not admin.log_in(access.username, access.password):
                raise ResetError("root's password, which worked a moment ago, is refused: run this again")
            wanted = replace(wanted, access_token=admin.new_access_token())
        _remember(node, wanted)
    elif not access.token:
        wanted = _through_the_database(node, wanted)
    else:
        _remember(node, wanted)
    _confirm(node, wanted, access)
    remote.tell(
        node.host,
        f"the access token and root's password in {node.directory}/{SECRETS} work; the gateway served on meanwhile",
    )


def _password_to_keep(node: Node, access: Access) -> str:
    """A password that works and is not the default stays; else the file's own, or a new one where that cannot be."""
    if access.password is not None and access.password != first_start.DEFAULT_PASSWORD:
        return access.password
    present = node.gateway.generated.root_password
    is_usable = _PASSWORD.fullmatch(present) and present != first_start.DEFAULT_PASSWORD
    return present if is_usable else Generated.new().root_password


def _through_the_database(node: Node, wanted: Generated) -> Generated:
    """Never the token that was refused: One API writes every token that it does not know into its log."""
    if database.has_token(node.gateway, wanted.access_token):
        raise ResetError(
            f"the database has the access token of {node.directory}/{SECRETS}, yet the gateway refuses it. Another"
            " program may have kept the database locked at that moment: run this again. If this comes again, root is"
            " banned, or the gateway uses another database"
        )
    fresh = replace(wanted, access_token=Generated.new().access_token)
    kept = database.back_up(node.gateway)
    remote.tell(node.host, f"a backup of the database is {kept} (it holds all keys: remove it once the gateway works)")
    _remember(node, fresh)
    database.set_token(node.gateway, fresh.access_token)
    return fresh


def _remember(node: Node, wanted: Generated) -> None:
    """Write secrets.env where it differs, whole or not at all."""
    content = wanted.render()
    node.gateway.generated = wanted
    if node.state.secrets != content:
        remote.write_now(node.host, f"{node.directory}/{SECRETS}", content.encode(), "600")
        # The gateway does not read it. A file newer than the gateway's start would make the next deployment restart it.
        directory = shlex.quote(node.directory)
        remote.run(node.host, f"touch --reference={directory}/{ENVIRONMENT} {directory}/{SECRETS}")


def _confirm(node: Node, wanted: Generated, access: Access) -> None:
    """Set root's password where it is another one, and see that both are taken."""
    with _api(node, wanted.access_token) as admin:
        username = admin.own_user().username
        if access.password == wanted.root_password:
            return
        admin.set_own_password(wanted.root_password)
    try:
        with _api(node) as visitor:
            is_taken = visitor.log_in(username, wanted.root_password)
    except RateLimited:
        remote.tell(node.host, f"root's password was set, and not tried: {TOO_MANY}")
        return
    if not is_taken:
        raise ResetError("the gateway took a new root password and does not know it: run this again")


@contextmanager
def _api(node: Node, token: str | None = None) -> Iterator[Admin]:
    """The admin API on the host itself, past its published port, so that no password crosses the network in clear.

    Raises RouteError.
    """
    networks = (node.state.container or {}).get("NetworkSettings", {}).get("Networks") or {}
    inside = next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), None)
    address, port = (inside, PORT) if inside else (node.address, node.settings.gateway_port)
    with (
        route(node.host, address, port) as transport,
        node.flavour.admin(
            f"http://{address}:{port}", access_token=token, transport=transport, timeout=PATIENCE_SECONDS
        ) as client,
    ):
        yield client
