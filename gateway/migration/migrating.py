"""A gateway moved to another host: what is checked beforehand, the steps of a run, and what is told at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from copy import copy
from typing import TYPE_CHECKING

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import database, first_start, fleet, image, installation, preflight, remote, scheduling
from gateway.contents.admin import admin_api
from gateway.contents.desired import own_tokens
from gateway.host_state import UnreadableError
from gateway.migration import cutover, move, moved, plan, source
from gateway.migration.move import Move
from gateway.route import RouteError, route
from gateway.runs.progress import step
from gateway.secrets import ROOT_PASSWORD, SecretsError
from gateway.upgrades import serving
from oneapi import AdminClient, OneAPIError

if TYPE_CHECKING:
    from gateway.fleet import Member

_lock = threading.Lock()
_ENABLED = 1  # One API's number for it
_ROOM_KIB = 256 * 1024


def member_to_migrate(state: State, host: Host) -> Member:
    """The member for a host of this run. Raises DeployError with all that stands in the way, on every host."""
    wanted = move.of(state)
    member = fleet.member_for(state, host, PURPOSE)
    with _lock:  # pyinfra prepares its hosts at the same time
        if wanted.refusal is None and not wanted.is_surveyed:
            try:
                _survey(wanted, member.fleet)
            except DeployError as refusal:
                wanted.refusal = refusal
    if wanted.refusal is not None:
        raise wanted.refusal
    return member


def is_involved(member: Member) -> bool:
    """Whether the migration is about this host: its two, and the OpenClaw hosts that use the gateway."""
    return member.name in _names(member)


def is_target(member: Member) -> bool:
    """Whether the gateway moves to this host."""
    return member is move.of(member.host.state).target


def is_moved_already(member: Member) -> bool:
    """Whether an earlier run has moved the gateway, and what is left are the hosts that use it."""
    return move.of(member.host.state).is_over


def _names(member: Member) -> set[str]:
    """The hosts that the migration is about; known before all are read."""
    wanted = move.of(member.host.state)
    return {wanted.source_name, wanted.target_name, *([member.name] if _uses(member, wanted.target_name) else [])}


def _uses(member: Member, gateway: str) -> bool:
    return member.is_openclaw and member.gateway.name == gateway


# -- what stands in the way, by host -----------------------------------------------------------------------------------


def _setting_problems(member: Member) -> Iterator[str]:
    wanted = move.of(member.host.state)
    if member.name != wanted.source_name:
        yield from preflight.group_problems(member)
    if member.name == wanted.target_name:
        yield from preflight.missing_secrets(member)


def _fleet_problems(member: Member) -> Iterator[str]:
    wanted = move.of(member.host.state)
    if _uses(member, wanted.source_name):
        yield (
            f"it uses the gateway that is to be moved; say in the inventory that it uses the new one:"
            f' "openclaw_gateway": "{wanted.target_name}"'
        )
    elif _uses(member, wanted.target_name) or member.name == wanted.target_name:
        yield from preflight.declaration_problems(member)


def _host_problems(member: Member) -> Iterator[str]:
    wanted = move.of(member.host.state)
    if member.name == wanted.target_name or (_uses(member, wanted.target_name) and member.name != wanted.source_name):
        yield from preflight.problems(member)
        yield from scheduling.problems(member)
    elif member.name == wanted.source_name:
        afterwards = copy(member)
        afterwards.is_gateway = False
        yield from preflight.problems(afterwards)


PURPOSE = fleet.Purpose((_setting_problems,), (_host_problems,), lock=True, fleet_checks=(_fleet_problems,))


def _survey(wanted: Move, hosts: fleet.Fleet) -> None:
    """Find the gateway, and judge the two hosts together. Raises DeployError; tells the plan."""
    wanted.source, wanted.target = hosts.members[wanted.source_name], hosts.members[wanted.target_name]
    name = wanted.source_name
    try:
        found = source.find(wanted.source.host, wanted.source.directory, wanted.options.get("container"))
        _ = found.generated
    except (source.SourceError, SecretsError, remote.RemoteError, UnreadableError) as problem:
        raise DeployError(f"{name}: {problem}. Nothing was changed.") from None
    wanted.is_over = found.moved_to == wanted.target_name
    if problems := list(_target_problems(wanted, found)):
        raise DeployError("\n".join([*(f"  - {text}" for text in problems), "Nothing was changed."]))
    wanted.found, wanted.is_surveyed = found, True
    wanted.source.is_gateway = False  # from here on it is at most an OpenClaw host
    for line in plan.lines(wanted):
        remote.tell(wanted.target.host, line)


def _target_problems(wanted: Move, found: source.Source) -> Iterator[str]:
    target, origin = wanted.target, wanted.source
    if found.moved_to not in (None, target.name):
        yield f"{origin.name}: its gateway was moved to {found.moved_to} already ({found.mark} says so)"
    if wanted.is_over:
        return
    names = [agent.name for agent in wanted.agents if agent.name not in target.fleet.members]
    if names:
        yield (
            f"{', '.join(names)} cannot be reached in this run, and would be left with a gateway that is stopped: mend"
            " that, or take those hosts out of the inventory"
        )
    try:
        arrives = moved.arrives_from(target)
    except remote.RemoteError as problem:
        yield f"{target.name}: {problem}"
        return
    is_left_over = target.state.file(moved.away(target)) is not None or arrives == origin.name
    if first_start.is_done(target) and not is_left_over and wanted.options.get("replace") != target.name:
        yield (
            f"{target.name} has a gateway already: its channels, tokens and logs would be replaced by those of"
            f" {origin.name} (and kept in {target.directory}/backups). If that is meant: --data replace={target.name}"
        )
    elif not is_left_over:
        yield from _image_problems(target)
    if arrives not in ("", origin.name):
        yield f"{target.name}: the gateway of {arrives} is on its way there; end that migration first"
    needed = (2 * found.size >> 10) + _ROOM_KIB
    if target.state.free_kib < needed:
        yield (
            f"{target.name}: only {target.state.free_kib >> 10} MiB are free below {target.directory} or"
            f" /var/lib/docker, and {needed >> 10} MiB are needed for two copies of the database: make room"
        )
    yield from _password_problems(wanted, found)


def _image_problems(target: Member) -> Iterator[str]:
    """Loading another image under the name of the one that serves would change what a failed migration gives back."""
    found = serving.serving(target)
    if found is not None and found.reference == image.reference(target) and serving.is_upgrade(target):
        yield (
            f"{target.name}: its own gateway serves with {found}, and the inventory has another image of that name: run"
            f" deploy.py on {target.name} first, which upgrades it"
        )


def _password_problems(wanted: Move, found: source.Source) -> Iterator[str]:
    """A gateway that we did not set up has to let us in as root; that is seen before it is stopped."""
    if found.generated is not None or not found.is_running or found.published is None:
        return
    address, port = found.published
    handed_in = wanted.target.provided.get(ROOT_PASSWORD)
    try:
        with route(wanted.source.host, address, port) as transport:
            for password in filter(None, (handed_in, first_start.DEFAULT_PASSWORD)):
                if AdminClient(f"http://{address}:{port}", transport=transport).log_in("root", password):
                    return
    except (RouteError, OneAPIError) as problem:
        yield f"{wanted.source_name}: its gateway does not answer on {address}:{port}: {problem}"
        return
    yield (
        f"{wanted.source_name}: its gateway knows another root password; export {ROOT_PASSWORD}=… in the shell that"
        " runs pyinfra"
    )


# -- the steps ---------------------------------------------------------------------------------------------------------


def place_files(member: Member) -> None:
    """Put the files in place on the new host; those that its own gateway runs by follow in the cut-over."""
    if is_moved_already(member):
        installation.install_files(member)
    else:
        installation.install_beside(member)


def prepare(member: Member) -> None:
    """What both hosts need to have their databases read: sqlite3."""
    wanted = move.of(member.host.state)
    if member is wanted.source and not wanted.found.has_tool and not wanted.is_over:
        remote.shell(name="Install sqlite3, which reads the gateway's database", command=database.INSTALL)
    if member is wanted.target and "sqlite3" not in member.state.lines("tools") and not wanted.is_over:
        remote.shell(name="Install sqlite3, which compares the databases", command=database.INSTALL)


def carry_out(member: Member) -> None:
    """Move the gateway; on other hosts, wait until that is done."""
    _carry_out(name="Move the gateway", member=member)


@operation()
def _carry_out(member: Member) -> Generator[FunctionCommand, None, None]:
    wanted = move.of(member.host.state)
    if member is wanted.target and not wanted.is_over:
        yield remote.Callback(_run, (wanted,), {})


def _run(state: State, host: Host, wanted: Move) -> bool:
    wanted.target.token_keys.clear()  # of what was there before: no host may be pointed at that
    try:
        cutover.carry_out(state, wanted)
    except (cutover.MigrationError, remote.RemoteError, OSError) as problem:
        remote.complain(host, f"the gateway of {wanted.source_name} was not moved: {problem}")
        wanted.target.token_keys.clear()
        return False
    return True


def finish(member: Member) -> None:
    """Tell how long the gateway was out of reach, and for whom the address changes; and tidy up."""
    _finish(name="Tell what the migration came to", member=member)


@operation()
def _finish(member: Member) -> Generator[FunctionCommand, None, None]:
    if is_target(member):
        yield remote.Callback(_tell, (move.of(member.host.state),), {})


def _tell(state: State, host: Host, wanted: Move) -> bool:
    if wanted.stopped is not None and wanted.served is not None:
        lengths = f"{wanted.served - wanted.stopped:.1f} s until the first completion on {wanted.target_name}"
        if wanted.agents:
            lengths += f", {time.monotonic() - wanted.stopped:.1f} s until the last OpenClaw host was pointed at it"
        step(host, f"migration: outage: {lengths}")
    try:
        with admin_api(wanted.target) as admin:
            tokens = [token.name for token in admin.tokens() if token.status == _ENABLED]
        cutover.tidy_up(wanted)
    except (OneAPIError, RouteError, remote.RemoteError) as problem:
        remote.complain(host, f"the gateway has moved, and one thing is left, which another run does: {problem}")
        return False
    own = own_tokens(wanted.target)
    if others := [name for name in tokens if name not in own]:
        remote.tell(
            host,
            f"tokens that no host of the inventory has: {', '.join(others)}. Tell their users that the address is"
            f" {wanted.target.base_url}/v1 now; their keys are the same",
        )
    left = f"{wanted.found.data} is kept there; take that host out of the group `gateways`"
    remote.tell(host, f"{wanted.source_name}'s gateway is stopped and will not start again: {left}")
    return True
