"""A gateway moved to another host: what is checked beforehand, the steps of a run, and what is told at its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from copy import copy

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import own_tokens
from llm_gateway.flavours import AdminError, known
from llm_gateway.hosts import remote
from llm_gateway.hosts.answers import UnreadableError
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Machine, Node, Run
from llm_gateway.inputs.environment import OWN
from llm_gateway.inputs.secrets import ROOT_PASSWORD, SecretsError
from llm_gateway.model import layout
from llm_gateway.parts import (
    arrival,
    database,
    first_start,
    image,
    installation,
    migration_marker,
    postgresql,
    scheduling,
    serving,
)
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.parts.takeover import old_channels, old_settings
from llm_gateway.tasks import preflight, survey
from llm_gateway.tasks.migration import cutover, move, plan, source
from llm_gateway.tasks.migration.move import Move

_lock = threading.Lock()
_ENABLED = 1  # One API's number for it
_ROOM_KIB = 256 * 1024


def machine_to_migrate(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    wanted = move.of(state)
    machine = survey.machine_for(state, host, PURPOSE)
    with _lock:  # pyinfra prepares its hosts at the same time
        if wanted.refusal is None and not wanted.is_surveyed:
            try:
                _survey(wanted, machine.run)
            except DeployError as refusal:
                wanted.refusal = refusal
    if wanted.refusal is not None:
        raise wanted.refusal
    return machine


def is_involved(machine: Machine) -> bool:
    """Whether the migration is about this host: its two, and the OpenClaw hosts that use the gateway."""
    return machine.name in _names(machine)


def target_on(machine: Machine) -> Node | None:
    """The gateway as which it arrives, if it moves to this host."""
    return machine.node if machine.node and machine.node is move.of(machine.host.state).target else None


def is_moved_already(machine: Machine) -> bool:
    """Whether an earlier run has moved the gateway, and what is left are the hosts that use it."""
    return move.of(machine.host.state).is_over


def _names(machine: Machine) -> set[str]:
    """The hosts that the migration is about; known before all are read."""
    wanted = move.of(machine.host.state)
    return {wanted.source_name, wanted.target_name, *([machine.name] if _uses(machine, wanted.target_name) else [])}


def _uses(machine: Machine, gateway: str) -> bool:
    return machine.agent is not None and any(node.name == gateway for node in machine.agent.nodes)


# -- what prevents it, by host -----------------------------------------------------------------------------------


def _setting_problems(machine: Machine) -> Iterator[str]:
    wanted = move.of(machine.host.state)
    if machine.name != wanted.source_name:
        yield from preflight.group_problems(machine)
    if machine.name == wanted.target_name:
        yield from preflight.missing_secrets(machine)


def _fleet_problems(machine: Machine) -> Iterator[str]:
    wanted = move.of(machine.host.state)
    if _uses(machine, wanted.source_name):
        names = [node.name for node in machine.agent.nodes] if machine.agent else []
        new = list(dict.fromkeys(wanted.target_name if name == wanted.source_name else name for name in names))
        yield (
            f"it uses the gateway that is to be moved; say in the inventory that it uses the new one:"
            f' "openclaw_gateway": {json.dumps(new[0] if len(new) == 1 else new, ensure_ascii=False)}'
        )
    elif _uses(machine, wanted.target_name) or machine.name == wanted.target_name:
        yield from preflight.declaration_problems(machine)


def _host_problems(machine: Machine) -> Iterator[str]:
    wanted = move.of(machine.host.state)
    if machine.node and machine.name in (wanted.target_name, wanted.source_name):
        way = "change the host in the inventory, and deploy there with root's password, as docs/postgresql.md says"
        if refused := [*postgresql.not_yet(machine.node, "a move", way)]:
            yield from refused
            return
    if machine.name == wanted.target_name or (
        _uses(machine, wanted.target_name) and machine.name != wanted.source_name
    ):
        yield from preflight.problems(machine)
        yield from scheduling.problems(machine)
        if machine.agent and _uses(machine, wanted.target_name) and openclaw.is_left_running(machine.agent):
            typed = openclaw.by_hand(machine.agent, "stop")
            yield f'openclaw_restart is "never", and this takes its gateway away: {typed} first, or set another value'
    elif machine.name == wanted.source_name:
        afterwards = copy(machine)
        afterwards.node = None
        yield from preflight.problems(afterwards)


PURPOSE = survey.Purpose((_setting_problems,), (_host_problems,), lock=True, fleet_checks=(_fleet_problems,))


def _survey(wanted: Move, run: Run) -> None:
    """Find the gateway, and judge the two hosts together. Raises DeployError; tells the plan."""
    wanted.source, wanted.target = run.machines[wanted.source_name], run.gateways[wanted.target_name].node
    name = wanted.source_name
    try:
        found = source.find(
            wanted.source.host, wanted.source.settings.gateway_directory, wanted.options.get("container")
        )
        _ = found.generated
    except (source.SourceError, SecretsError, remote.RemoteError, UnreadableError) as problem:
        raise DeployError(f"{name}: {problem}. Nothing was changed.") from None
    wanted.found, wanted.is_over = found, found.moved_to == wanted.target_name
    if not wanted.is_over and (stranger := _recognise(wanted, found.has_tool)):
        raise DeployError(f"{name}: {stranger}. Nothing was changed.")
    if problems := list(_target_problems(wanted, found)):
        raise DeployError("\n".join([*(f"  - {text}" for text in problems), "Nothing was changed."]))
    wanted.is_surveyed = True
    wanted.source.node = None  # from here on it is at most an OpenClaw host
    for line in plan.lines(wanted):
        remote.tell(wanted.target.host, line)


def _recognise(wanted: Move, has_tool: bool) -> str | None:
    """Why the gateway's database cannot be moved, while it serves; tells what there is to say of it."""
    look = recognition.look if has_tool else recognition.glimpse
    found = look(wanted.old_store, wanted.target.flavour, is_carried=True)
    for note in found.notes:
        remote.tell(wanted.source.host, note)
    if found.problem or not has_tool:
        return found.problem
    try:
        return "; ".join(arrival.problems(wanted.target, wanted.old_store)) or None
    except database.DatabaseError as problem:
        return str(problem)


def _target_problems(wanted: Move, found: source.Source) -> Iterator[str]:
    target, origin = wanted.target, wanted.source
    if found.moved_to not in (None, target.name):
        yield f"{origin.name}: its gateway was moved to {found.moved_to} already ({found.mark} says so)"
    if wanted.is_over:
        return
    names = [agent.name for agent in wanted.agents if not agent.is_reached]
    if names:
        yield (
            f"{', '.join(names)} cannot be reached in this run, and would be left with a gateway that is stopped: fix"
            " that, or take those hosts out of the inventory"
        )
    try:
        arrives = migration_marker.origin(target)
    except remote.RemoteError as problem:
        yield f"{target.name}: {problem}"
        return
    is_left_over = target.state.file(migration_marker.target_path(target)) is not None or arrives == origin.name
    if first_start.is_done(target) and not is_left_over and wanted.options.get("replace") != target.name:
        yield (
            f"{target.name} has a gateway already: its channels, tokens and logs would be replaced by those of"
            f" {origin.name} (and kept in {target.directory}/{layout.BACKUPS}). If that is meant: --data"
            f" replace={target.name}"
        )
    elif not is_left_over:
        yield from _image_problems(target)
    if arrives not in ("", origin.name):
        yield f"{target.name}: the gateway of {arrives} is on its way there; end that migration first"
    needed = (2 * found.size >> 10) + _ROOM_KIB
    free, where = target.state.least_free(target.directory)
    if free < needed:
        yield (
            f"{target.name}: only {free >> 10} MiB are free below {where}, and {needed >> 10} MiB are needed for two"
            " copies of the database: make room"
        )
    yield from _password_problems(wanted, found)
    yield from _lost_settings(wanted, found)


def _lost_settings(wanted: Move, found: source.Source) -> Iterator[str]:
    """What the old gateway has besides its data, and the new one would not: told before it is stopped."""
    target = wanted.target
    there = target.state.data_environment
    if found.given is not None:
        for text in old_settings.problems(found.given, target.settings, there, target.directory):
            yield f"{target.name}: {text}"
    elif found.unread:
        yield f"{target.name}: {old_settings.unread(found.directory, found.unread)}"
    known = {*OWN, *target.settings.gateway_environment, *there}
    if left := sorted({*found.in_file} - known):
        yield (
            f"{target.name}: {wanted.source_name} has variables in {found.data}/.env, which stays there: keep them"
            f" ({', '.join(left)}) in {target.directory}/data/.env here, mode 600, or add them to gateway_environment,"
            " with None what is not wanted"
        )
    if found.has_tool:  # else it is looked at once it was copied
        with suppress(database.DatabaseError):
            for text in old_channels.problems(target, wanted.old_store):
                yield f"{target.name}: {text}"


def _image_problems(target: Node) -> Iterator[str]:
    """Loading another image under the name of the one that serves would change what a failed migration gives back."""
    found = serving.serving(target)
    if found is not None and found.reference == image.reference(target.settings) and serving.is_upgrade(target):
        yield (
            f"{target.name}: its own gateway serves with {found}, and the inventory has another image of that name: run"
            f" deploy.py on {target.name} first, which upgrades it"
        )


def _password_problems(wanted: Move, found: source.Source) -> Iterator[str]:
    """A gateway that we did not set up has to let us in as root; that is seen before it is stopped."""
    if found.generated is not None or not found.is_running:
        return
    if found.published is None:
        yield (
            f"{wanted.source_name}: its gateway (container {found.container}) runs, and has neither a published port"
            " nor an address at which it could be asked for its password: stop it, and run this again"
        )
        return
    address, port = found.published
    handed_in, admin = wanted.target.provided.get(ROOT_PASSWORD), known.of_image(found.image).admin
    try:
        with route(wanted.source.host, address, port) as transport:
            for password in filter(None, (handed_in, first_start.DEFAULT_PASSWORD)):
                if admin(f"http://{address}:{port}", transport=transport).log_in("root", password):
                    return
    except (RouteError, AdminError) as problem:
        yield f"{wanted.source_name}: its gateway does not answer on {address}:{port}: {problem}"
        return
    yield (
        f"{wanted.source_name}: its gateway knows another root password; export {ROOT_PASSWORD}=… in the shell that"
        " runs pyinfra"
    )


# -- the steps ---------------------------------------------------------------------------------------------------------


def place_files(node: Node) -> None:
    """Put the files in place on the new host; those that its own gateway runs by follow in the cut-over."""
    if is_moved_already(node.machine):
        installation.install_files(node)
    else:
        installation.install_beside(node)


def prepare(machine: Machine) -> None:
    """What both hosts need to have their databases read: sqlite3."""
    wanted = move.of(machine.host.state)
    if machine is wanted.source and not wanted.found.has_tool and not wanted.is_over:
        remote.shell(name="Install sqlite3, which reads the gateway's database", command=database.INSTALL)
    if target_on(machine) and "sqlite3" not in machine.state.tools and not wanted.is_over:
        remote.shell(name="Install sqlite3, which compares the databases", command=database.INSTALL)


def carry_out(machine: Machine) -> None:
    """Move the gateway; on other hosts, wait until that is done."""
    _carry_out(name="Move the gateway", machine=machine)


@operation()
def _carry_out(machine: Machine) -> Generator[FunctionCommand, None, None]:
    wanted = move.of(machine.host.state)
    if target_on(machine) and not wanted.is_over:
        yield remote.Callback(_run, (wanted,), {})


def _run(state: State, host: Host, wanted: Move) -> bool:
    wanted.target.gateway.token_keys.clear()  # of what was there before: no host may be pointed at that
    try:
        if not wanted.found.has_tool and (problem := _recognise(wanted, True)):  # nothing could read it before
            raise cutover.MigrationError(problem)
        cutover.carry_out(state, wanted)
    except (cutover.MigrationError, remote.RemoteError, OSError) as problem:
        remote.complain(host, f"the gateway of {wanted.source_name} was not moved: {problem}")
        wanted.target.gateway.token_keys.clear()
        return False
    return True


def finish(machine: Machine) -> None:
    """Tell how long the gateway was out of reach, and for whom the address changes; and tidy up."""
    _finish(name="Tell what the migration came to", machine=machine)


@operation()
def _finish(machine: Machine) -> Generator[FunctionCommand, None, None]:
    if target_on(machine):
        yield remote.Callback(_tell, (move.of(machine.host.state),), {})


def _tell(state: State, host: Host, wanted: Move) -> bool:
    if wanted.stopped is not None and wanted.served is not None:
        lengths = f"{wanted.served - wanted.stopped:.1f} s until the first completion on {wanted.target_name}"
        if wanted.agents:
            lengths += f", {time.monotonic() - wanted.stopped:.1f} s until the last OpenClaw host was pointed at it"
        step(host, f"migration: outage: {lengths}")
    try:
        with admin_api(wanted.target.gateway) as admin:
            tokens = [token.name for token in admin.tokens() if token.status == _ENABLED]
        cutover.tidy_up(wanted)
    except (AdminError, RouteError, remote.RemoteError) as problem:
        told = database.told(wanted.target.gateway, problem)
        remote.complain(host, f"the gateway has moved, and one thing is left, which another run does: {told}")
        return False
    own = own_tokens(wanted.target.gateway)
    if others := [name for name in tokens if name not in own]:
        remote.tell(
            host,
            f"tokens that no host of the inventory has: {', '.join(others)}. Tell their users that the address is"
            f" {wanted.target.base_url}/v1 now; their keys are the same",
        )
    left = f"{wanted.found.data} is kept there; take that host out of the group `gateways`"
    remote.tell(host, f"{wanted.source_name}'s gateway is stopped and will not start again: {left}")
    return True
