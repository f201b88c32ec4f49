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

from llm_gateway.flavours.oneapi import AdminClient, Invalid, OneAPIError, RateLimited, Unauthorised
from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated, SecretsError
from llm_gateway.model import dotenv
from llm_gateway.model.layout import ENVIRONMENT, PORT, SECRETS, UNIT
from llm_gateway.parts import database, first_start
from llm_gateway.tasks import preflight, survey

PATIENCE_SECONDS = 30.0
"""Longer than One API waits for a locked database (SQLITE_BUSY_TIMEOUT, 10 s), so that its own words come through."""
TOO_MANY = "One API takes 20 log-ins in 20 minutes, and no more now"

_PASSWORD = re.compile(r"[ -~]{8,20}")


class ResetError(Exception):
    """The admin access cannot be made right; the text says why and what fixes it."""


@dataclass(frozen=True)
class Access:
    """What of the admin access works: the access token, and which root password, if any that is known."""

    username: str
    token: bool
    password: str | None = field(repr=False)


def member_to_fix(state: State, host: Host) -> Member:
    """The member for a host of this run. Raises DeployError with all problems of all hosts."""
    return survey.member_for(state, host, PURPOSE)


def fix(member: Member) -> None:
    """Make the access token and root's password in secrets.env the gateway's own, where they are not."""
    if not member.is_gateway:
        return
    try:
        member.generated = _as_on_the_host(member)
        access = examine(member)
        name = needed(access, member.generated)
        if name is None:
            remote.tell(
                member.host,
                f"the access token and root's password in {member.directory}/{SECRETS} work: nothing to fix",
            )
            return
        if access.password in (None, first_start.DEFAULT_PASSWORD) and member.provided.get(ROOT_PASSWORD):
            remote.tell(member.host, f"the password in {ROOT_PASSWORD} is not root's either")
        if _takes_database(access):
            _prepare_database(member)
    except (ResetError, RouteError, OneAPIError, remote.RemoteError) as problem:
        raise DeployError(f"{member.name}: {problem}; nothing was changed") from None
    _fix(name=name, member=member, access=access)


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


def examine(member: Member) -> Access:
    """Find out what works, at the cost of one to three log-ins. Raises RouteError, OneAPIError or ResetError."""
    username = _root_by_token(member)
    known = (member.generated.root_password, member.provided.get(ROOT_PASSWORD), first_start.DEFAULT_PASSWORD)
    with _api(member) as visitor:
        try:
            found = (password for password in known if password and visitor.log_in(username or "root", password))
            return Access(username or "root", username is not None, next(found, None))
        except RateLimited:
            raise ResetError(f"{TOO_MANY}: run this again in 20 minutes") from None


def _root_by_token(member: Member) -> str | None:
    """The name of the root user whose access token is in secrets.env; None where it is nobody's or no token."""
    try:
        with _api(member, member.generated.access_token) as admin:
            user = admin.own_user()
    except (Unauthorised, Invalid):
        return None
    return user.username if user.role == database.ROOT_ROLE else None


def _problems(member: Member) -> Iterator[str]:
    """What prevents fixing one host."""
    if busy := member.state.busy:
        yield preflight.busy_problem(busy)
        return
    yield from preflight.verification_problems(member)
    if not member.is_gateway:
        return
    if not first_start.is_done(member):
        yield f"no deployment has been completed in {member.directory}: run deploy.py first"
    elif not (member.state.container or {}).get("State", {}).get("Running"):
        yield (
            f"the gateway does not run: `systemctl start {UNIT}` on the host starts it (`systemctl status {UNIT}` says"
            " why it does not run); then run this again"
        )


def _handed_in(member: Member) -> Iterator[str]:
    """Whether the root password that was handed in, if any, can be used. Provider keys are not needed."""
    if not member.is_gateway:
        return
    try:
        dotenv.quote(member.provided.get(ROOT_PASSWORD) or "")
    except SecretsError as problem:
        yield str(problem)
    except dotenv.DotenvError as problem:
        yield f"{ROOT_PASSWORD}: {problem}; leave it out, and root gets the password in {SECRETS}"


PURPOSE = survey.Purpose((preflight.group_problems, _handed_in), (_problems,), lock=True)


def _takes_database(access: Access) -> bool:
    return not access.token and access.password is None


def _prepare_database(member: Member) -> None:
    if problem := database.elsewhere(member):
        raise ResetError(problem)
    if not database.can_be_written(member):
        remote.shell(name="Install sqlite3, which writes the gateway's database", command=database.INSTALL)


def _as_on_the_host(member: Member) -> Generated:
    """The secrets in the file; where it is lost, new ones, but the session secret that the gateway runs with.

    With another one everybody would be logged out, and the next deployment would start the gateway anew and send all
    channel keys again.
    """
    if member.state.has_secrets:
        return member.generated
    in_force = member.state.text("session_secret")
    return replace(member.generated, session_secret=in_force or member.generated.session_secret)


@operation()
def _fix(member: Member, access: Access) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (member, access), {})


def _run(state: State, host: Host, member: Member, access: Access) -> bool:
    try:
        _give_access_back(member, access)
    except (ResetError, database.DatabaseError, RouteError, remote.RemoteError) as problem:
        remote.complain(host, f"the admin access is not right yet: {problem}")
        return False
    except OneAPIError as problem:
        remote.complain(host, f"the admin access is not right yet: {database.told(member, problem)}")
        return False
    return True


def _give_access_back(member: Member, access: Access) -> None:
    wanted = replace(member.generated, root_password=_password_to_keep(member, access))
    if access.password is not None and not access.token:
        with _api(member) as admin:
            if not admin.log_in(access.username, access.password):
                raise ResetError("root's password, which worked a moment ago, is refused: run this again")
            wanted = replace(wanted, access_token=admin.new_access_token())
        _remember(member, wanted)
    elif not access.token:
        wanted = _through_the_database(member, wanted)
    else:
        _remember(member, wanted)
    _confirm(member, wanted, access)
    remote.tell(
        member.host,
        f"the access token and root's password in {member.directory}/{SECRETS} work; the gateway served on meanwhile",
    )


def _password_to_keep(member: Member, access: Access) -> str:
    """A password that works and is not the default stays; else the file's own, or a new one where that cannot be."""
    if access.password is not None and access.password != first_start.DEFAULT_PASSWORD:
        return access.password
    present = member.generated.root_password
    is_usable = _PASSWORD.fullmatch(present) and present != first_start.DEFAULT_PASSWORD
    return present if is_usable else Generated.new().root_password


def _through_the_database(member: Member, wanted: Generated) -> Generated:
    """Never the token that was refused: One API writes every token that it does not know into its log."""
    if database.has_token(member, wanted.access_token):
        raise ResetError(
            f"the database has the access token of {member.directory}/{SECRETS}, yet the gateway refuses it. Another"
            " program may have kept the database locked at that moment: run this again. If this comes again, root is"
            " banned, or the gateway uses another database"
        )
    fresh = replace(wanted, access_token=Generated.new().access_token)
    kept = database.back_up(member)
    remote.tell(
        member.host, f"a backup of the database is {kept} (it holds all keys: remove it once the gateway works)"
    )
    _remember(member, fresh)
    database.set_token(member, fresh.access_token)
    return fresh


def _remember(member: Member, wanted: Generated) -> None:
    """Write secrets.env where it differs, whole or not at all."""
    content = wanted.render()
    member.generated = wanted
    if member.state.secrets != content:
        remote.write_now(member.host, f"{member.directory}/{SECRETS}", content.encode(), "600")
        # The gateway does not read it. A file newer than the gateway's start would make the next deployment restart it.
        directory = shlex.quote(member.directory)
        remote.run(member.host, f"touch --reference={directory}/{ENVIRONMENT} {directory}/{SECRETS}")


def _confirm(member: Member, wanted: Generated, access: Access) -> None:
    """Set root's password where it is another one, and see that both are taken."""
    with _api(member, wanted.access_token) as admin:
        username = admin.own_user().username
        if access.password == wanted.root_password:
            return
        admin.set_own_password(wanted.root_password)
    try:
        with _api(member) as visitor:
            is_taken = visitor.log_in(username, wanted.root_password)
    except RateLimited:
        remote.tell(member.host, f"root's password was set, and not tried: {TOO_MANY}")
        return
    if not is_taken:
        raise ResetError("the gateway took a new root password and does not know it: run this again")


@contextmanager
def _api(member: Member, token: str | None = None) -> Iterator[AdminClient]:
    """The admin API on the host itself, past its published port, so that no password crosses the network in clear.

    Raises RouteError.
    """
    networks = (member.state.container or {}).get("NetworkSettings", {}).get("Networks") or {}
    inside = next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), None)
    address, port = (inside, PORT) if inside else (member.address, member.settings.gateway_port)
    with (
        route(member.host, address, port) as transport,
        AdminClient(
            f"http://{address}:{port}", access_token=token, transport=transport, timeout=PATIENCE_SECONDS
        ) as client,
    ):
        yield client
