"""From a database whose root may have a known password to one that may be published.

One API gives every empty database the account root/123456. So a gateway starts first on a network of its own that only
this host can reach; there the password is replaced and registration is closed, and only then is a port published.
A database that comes from an older gateway goes the same way, after a copy of it was put aside.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import installation, remote, replaced, service
from gateway.host_state import PROJECT
from gateway.installation import FIRST_START_DONE, UNIT
from gateway.route import RouteError, route
from gateway.secrets import ROOT_PASSWORD
from gateway.uninstall import before
from oneapi import AdminClient, OneAPIError, Unauthorised

if TYPE_CHECKING:
    from gateway.fleet import Member

DEFAULT_PASSWORD = "123456"  # noqa: S105 - One API's own, known to everybody
PORT = 3000
CONTAINER = f"{PROJECT}-first-start"


class FirstStartError(Exception):
    """The gateway cannot be made safe to publish; the text says why and what mends it."""


def is_done(member: Member) -> bool:
    """Whether this host's database was made safe by an earlier run."""
    return member.state.file(f"{member.directory}/{FIRST_START_DONE}") is not None


def finds_database(member: Member) -> bool:
    """Whether there is a database already: an older gateway's, or one that an interrupted run left."""
    return bool(member.state.text("database_size")) and not is_done(member)


def secure(member: Member) -> None:
    """Make the database safe to publish, once."""
    if not is_done(member):
        member.is_republished = True
        _secure(name="Replace the default password out of everybody's reach", member=member)


@operation()
def _secure(member: Member) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (member,), {})


def _run(state: State, host: Host, member: Member) -> bool:
    try:
        _check_password_while_old_gateway_serves(host, member)
        remote.run(host, _put_aside_script(member.directory, finds_database(member)))
        make_safe(host, member)
    except (FirstStartError, RouteError, OneAPIError, remote.RemoteError) as problem:
        remote.complain(host, f"the gateway was not published: {problem}")
        replaced.give_back(host, UNIT, f"{member.directory}/{FIRST_START_DONE}")
        return False
    return True


def make_safe(host: Host, member: Member) -> None:
    """Start the database of `data` where nobody can reach it, make it safe to publish, and leave the mark of that.

    Nothing else has the database open, and the gateway's files are in place. Raises FirstStartError, RouteError,
    OneAPIError or RemoteError.
    """
    compose = f"cd {shlex.quote(member.directory)} && docker compose --env-file secrets.env -f first-start.yml"
    with _then(host, f"{compose} down --timeout 10"):
        noted = (before.note(f"{member.directory}/{name}") for name in ("data", "data/one-api.db"))
        remote.run(host, " && ".join((*noted, installation.own_data_command(member, "data"))))
        remote.run(host, f"{installation.limit_processors(member)} && {compose} up --detach --quiet-pull")
        address = _address(host)
        if problem := service.await_answer(host, address, PORT, member.settings.gateway_start_timeout):
            log = "\n".join(remote.run(host, f"docker logs --tail 12 {CONTAINER} 2>&1"))
            raise FirstStartError(f"One API does not start: {problem}. Its own words:\n{log}")
        with route(host, address, PORT) as transport:
            _make_safe(host, member, f"http://{address}:{PORT}", transport)
    mark = b"root has no known password, and nobody can register\n"
    remote.write_now(host, f"{member.directory}/{FIRST_START_DONE}", mark, "644")


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


def _check_password_while_old_gateway_serves(host: Host, member: Member) -> None:
    """Before an old gateway is stopped, be sure that the new one can be set up from its database."""
    container = member.state.container
    if not finds_database(member) or container is None or not container["State"]["Running"]:
        return
    addresses = [network["IPAddress"] for network in container["NetworkSettings"]["Networks"].values()]
    for address in filter(None, addresses):
        with route(host, address, PORT) as transport:
            _be_admin(member, f"http://{address}:{PORT}", transport)
        return


def _put_aside_script(directory: str, with_database: bool) -> str:
    """Stop what holds the database, and keep one copy of a database that was there before."""
    aside = f"docker rm --force {CONTAINER} >/dev/null 2>&1; {replaced.put_aside_script(UNIT)}"
    if not with_database:
        return aside
    data = shlex.quote(directory)
    copies = f"{data}/backups/taken-over"
    return (
        # The journal belongs to the database: without it a copy of a killed server's file is not whole.
        f"{{ {aside}; }} && install -d -m 700 {data}/backups && if [ ! -d {copies} ]; then rm -rf {copies}.new &&"
        f" install -d -m 700 {copies}.new && cp -p {data}/data/one-api.db* {copies}.new/ &&"
        f" mv {copies}.new {copies}; fi"
    )


def _address(host: Host) -> str:
    """The address of the first-start container on its internal network, which this host alone reaches."""
    lines = remote.run(
        host,
        f"docker inspect {CONTAINER} --format '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}'",
    )
    if not lines or not lines[0].strip():
        log = "\n".join(remote.run(host, f"docker logs --tail 12 {CONTAINER} 2>&1"))
        raise FirstStartError(f"One API ended at once. Its own words:\n{log}")
    return lines[0].strip()


def _be_admin(member: Member, base_url: str, transport: httpx.BaseTransport) -> tuple[AdminClient, str | None]:
    """A client that is root: by our access token, else by a password, which is then returned too."""
    admin = AdminClient(base_url, access_token=member.generated.access_token, transport=transport)
    try:
        admin.own_user()
        return admin, None
    except Unauthorised:
        admin = AdminClient(base_url, transport=transport)
    handed_in = member.provided.get(ROOT_PASSWORD)
    for password in filter(None, (member.generated.root_password, handed_in, DEFAULT_PASSWORD)):
        if admin.log_in("root", password):
            return admin, password
    raise FirstStartError(
        f"the database in {member.directory}/data knows another root password; export {ROOT_PASSWORD}=… in the"
        " shell that runs pyinfra, and run again"
    )


def _make_safe(host: Host, member: Member, base_url: str, transport: httpx.BaseTransport) -> None:
    """Our access token works, the default password does not, and nobody can register."""

    def accepts_default_password() -> bool:
        return AdminClient(base_url, transport=transport).log_in("root", DEFAULT_PASSWORD)

    admin, password = _be_admin(member, base_url, transport)
    if password is not None:
        # A password that a person chose stays theirs; the access token is made anew, for nobody else knew it.
        kept = member.generated.root_password if password == DEFAULT_PASSWORD else password
        member.generated = replace(member.generated, root_password=kept, access_token=admin.new_access_token())
        remote.write_now(host, f"{member.directory}/secrets.env", member.generated.render().encode(), "600")
    if accepts_default_password():
        admin.set_own_password(member.generated.root_password)
    admin.set_option("RegisterEnabled", "false")
    if accepts_default_password():
        raise FirstStartError("root/123456 is still accepted after the password was replaced")
