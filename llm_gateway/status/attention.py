"""What of a host needs a person, in words, each with what fixes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from llm_gateway.contents import budgets, reach
from llm_gateway.hosts.topology import Machine, Node
from llm_gateway.model.layout import PROJECT, UNIT
from llm_gateway.parts import firewall, first_start, found_data, migration_marker
from llm_gateway.parts.openclaw import openclaw_ready
from llm_gateway.status import canary_status
from llm_gateway.status.differences import UNKNOWN, YES
from llm_gateway.status.shapes import Disk, GatewayStatus, HostStatus

_LEAST_FREE = 0.1
"""The part of the disk that should be free: a backup and an upgrade take room beside the database."""
_FULL_KIB = 1024
"""With less than that, a disk counts as full: One API stores nothing that is new."""
_REMOVE = "remove.py"
_WORDS = f"`systemctl status {UNIT}` and `docker logs --tail 20 {PROJECT}`"


def of(machine: Machine, found: HostStatus, changing: frozenset[str] = frozenset()) -> Iterator[str]:
    """What of a host that was looked at needs a person, in words, with what fixes it.

    Parameters: `changing`, the names of those of its OpenClaw's gateways that a run is at work on.
    """
    if is_changing(found):
        if found.gateway and found.gateway.disk:
            yield from _disk_attention(found.gateway.disk)
        return
    if found.unfinished:
        yield f"unfinished: {found.unfinished}"
    if found.last_run and found.last_run.is_bad:
        yield f"the last run, {found.last_run.script} by {found.last_run.who}: {found.last_run.how}"
    if machine.node and found.gateway and (origin := found.gateway.migrating_from):
        yield (
            f"the gateway of {origin} has not arrived here: run deploys/migrate.py --data source={origin} again to"
            f" resume; to cancel, remove {migration_marker.origin_path(machine.node)} on this host"
        )
    if _is_half_removed(found):
        yield "it is half removed: run deploys/remove.py again, which completes that; or deploy.py, to have it back"
        return
    if machine.node and found.gateway and not found.gateway.migrated_to:
        yield from _gateway_attention(machine.node, found.gateway)
    if found.openclaw and found.openclaw.state not in ("active", "none"):
        yield f"{found.openclaw.unit} is {found.openclaw.state}"
    if machine.agent and found.openclaw and found.openclaw.readiness not in (None, "ready"):
        log = openclaw_ready.journal(machine.agent)
        yield f"{found.openclaw.unit} runs, and is not ready ({found.openclaw.readiness}): {log}"
    if found.openclaw and found.openclaw.rejected:
        yield found.openclaw.rejected
    if found.openclaw and found.openclaw.reaches.problem and found.openclaw.gateway not in changing:
        yield f"OpenClaw does not reach its gateway: {found.openclaw.reaches.problem}"
    for fallback in found.openclaw.fallbacks if found.openclaw else ():
        if fallback.reaches.problem and fallback.gateway not in changing:
            yield f"OpenClaw does not reach {fallback.gateway}, its fallback: {fallback.reaches.problem}"
    if found.drift.differs == YES:
        count = len(found.drift.what)
        yield f"differs from what is declared ({count} {'thing' if count == 1 else 'things'}): {found.drift.what[0]}"
    if (
        found.drift.differs == UNKNOWN
        and found.drift.what
        and not changing
        and not _has_no_gateway_to_ask(machine, found)
    ):
        yield f"whether it is as declared is not known: {found.drift.what[0]}"


def is_changing(found: HostStatus) -> bool:
    """Whether a run is at work on it, which has stopped, or will start, what is not in order now."""
    return found.last_run is not None and found.last_run.is_changing


def _has_no_gateway_to_ask(machine: Machine, found: HostStatus) -> bool:
    """Whether a gateway's contents cannot be known for a reason that is told of it already."""
    gateway = found.gateway
    if gateway is None or machine.node is None:
        return False
    return bool(gateway.migrated_to) or gateway.version is None or not first_start.is_done(machine.node)


def _is_half_removed(found: HostStatus) -> bool:
    """Whether a removal did not come to its end; one that failed at its last backup has let the gateway serve on."""
    was_removed = found.last_run is not None and found.last_run.is_bad and found.last_run.script == _REMOVE
    return was_removed and not (found.gateway and found.gateway.is_running)


def _gateway_attention(node: Node, found: GatewayStatus) -> Iterator[str]:
    if problem := found_data.lost_directory(node):
        yield problem
    elif not first_start.is_done(node):
        yield "no deployment has been completed: pyinfra INVENTORY deploy.py"
    elif not found.is_running and found.waits_for:
        yield f"the gateway does not run, it waits: {found.waits_for}"
    elif not found.is_running:
        yield f"the gateway does not run: on the host, {_WORDS} say why"
    elif old := _old_address(node, found):
        new = node.state.tailscale_addresses[0]
        yield f"it is published on {old}, and this host is {new} in the tailnet now: pyinfra INVENTORY deploy.py"
    elif (node.state.container or {}).get("State", {}).get("Paused"):
        yield f"its container is paused, so that nobody is answered: on the host, `docker unpause {PROJECT}`"
    elif node.state.tailscale_problem:
        pass  # it is told of already, as what prevents looking at the gateway
    elif found.version is None:
        yield f"the gateway runs and does not answer: on the host, {_WORDS} say why"
    elif found.health == "unhealthy":
        yield (
            "Docker's health check fails in its container, though it answers now: on the host,"
            f" `docker inspect --format '{{{{json .State.Health}}}}' {PROJECT}` says what it saw"
        )
    if first_start.is_done(node) and (problem := firewall.problem(node)):
        yield f"firewall: {problem}: run deploy.py"
    yield from reach.recorded_problems(node.gateway)
    for place in found.elsewhere:
        if not place.is_there:
            yield (
                f"{node.directory}/{place.name} leads to {place.path}, which is not there: is its file system"
                " mounted? (findmnt)"
            )
    if found.backup.problem:
        yield f"backup: {found.backup.problem}"
    if found.backup.odd:
        yield f"the database is inconsistent, as its last backup is: {found.backup.odd}"
    if found.logs.problem:
        yield f"pruning of logs: {found.logs.problem}"
    if first_start.is_done(node):
        yield from budgets.attention(node)
    yield from canary_status.attention(found.canary)
    if found.disk:
        yield from _disk_attention(found.disk)


def _old_address(node: Node, found: GatewayStatus) -> str | None:
    """The address that the gateway is published on, where the host has logged in to Tailscale anew and got another."""
    address, addresses = (found.address or "").rpartition(":")[0], node.state.tailscale_addresses
    return address if address and addresses and address not in addresses else None


def _disk_attention(disk: Disk) -> Iterator[str]:
    fix = f"make room (`du -xh --max-depth=2 {shlex.quote(disk.mount)} | sort -h` on the host shows what takes it)"
    if disk.free < _FULL_KIB:
        yield f"the disk of {disk.mount} is full, so that what is there can be read and nothing new is stored: {fix}"
    elif disk.free < disk.size * _LEAST_FREE:
        yield f"only {disk.free >> 10} MiB are free on the disk of {disk.mount}: {fix}"
