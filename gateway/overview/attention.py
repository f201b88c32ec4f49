"""What of a host needs a person, in words, each with what mends it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import firewall, first_start, found_data, installation
from gateway.contents import reach
from gateway.host_state import PROJECT
from gateway.migration import moved
from gateway.overview import canary_status
from gateway.overview.differences import YES

if TYPE_CHECKING:
    from gateway.fleet import Member
    from gateway.overview.host_status import Disk, GatewayStatus, HostStatus

_LEAST_FREE = 0.1
"""The part of the disk that should be free: a backup and an upgrade take room beside the database."""
_FULL_KIB = 1024
"""With less than that, a disk counts as full: One API stores nothing that is new."""
_REMOVE = "remove.py"
_WORDS = f"`systemctl status {installation.UNIT}` and `docker logs --tail 20 {PROJECT}`"


def of(member: Member, found: HostStatus) -> Iterator[str]:
    """What of a host that was looked at needs a person, in words, with what mends it."""
    if found.unfinished:
        yield f"unfinished: {found.unfinished}"
    if found.last_run and found.last_run.is_bad:
        yield f"the last run, {found.last_run.script} by {found.last_run.who}: {found.last_run.how}"
    if found.gateway and (origin := found.gateway.migrating_from):
        yield (
            f"the gateway of {origin} has not arrived here: deploys/migrate.py --data source={origin} goes on with it;"
            f" to give that up, remove {moved.arriving(member)} on this host"
        )
    if _is_half_removed(found):
        yield "it is half removed: run deploys/remove.py again, which completes that; or deploy.py, to have it back"
        return
    if found.gateway and not found.gateway.migrated_to:
        yield from _gateway_attention(member, found.gateway)
    if found.openclaw and found.openclaw.state not in ("active", "none"):
        yield f"{found.openclaw.unit} is {found.openclaw.state}"
    if found.drift.differs == YES:
        count = len(found.drift.what)
        yield f"differs from what is declared ({count} {'thing' if count == 1 else 'things'}): {found.drift.what[0]}"


def _is_half_removed(found: HostStatus) -> bool:
    """Whether a removal did not come to its end; one that failed at its last backup has let the gateway serve on."""
    was_removed = found.last_run is not None and found.last_run.is_bad and found.last_run.script == _REMOVE
    return was_removed and not (found.gateway and found.gateway.is_running)


def _gateway_attention(member: Member, found: GatewayStatus) -> Iterator[str]:
    if problem := found_data.lost_directory(member):
        yield problem
    elif not first_start.is_done(member):
        yield "no deployment has been completed: pyinfra INVENTORY deploy.py"
    elif not found.is_running and found.waits_for:
        yield f"the gateway does not run, it waits: {found.waits_for}"
    elif not found.is_running:
        yield f"the gateway does not run: on the host, {_WORDS} say why"
    elif old := _old_address(member, found):
        new = member.state.tailscale_addresses[0]
        yield f"it is published on {old}, and this host is {new} in the tailnet now: pyinfra INVENTORY deploy.py"
    elif (member.state.container or {}).get("State", {}).get("Paused"):
        yield f"its container is paused, so that nobody is answered: on the host, `docker unpause {PROJECT}`"
    elif found.version is None:
        yield f"the gateway runs and does not answer: on the host, {_WORDS} say why"
    if first_start.is_done(member) and (problem := firewall.problem(member)):
        yield f"firewall: {problem}: run deploy.py"
    yield from reach.recorded_problems(member)
    if found.backup.problem:
        yield f"backup: {found.backup.problem}"
    yield from canary_status.attention(found.canary)
    if found.disk:
        yield from _disk_attention(found.disk)


def _old_address(member: Member, found: GatewayStatus) -> str | None:
    """The address that the gateway is published on, where the host has logged in to Tailscale anew and got another."""
    address, addresses = (found.address or "").rpartition(":")[0], member.state.tailscale_addresses
    return address if address and addresses and address not in addresses else None


def _disk_attention(disk: Disk) -> Iterator[str]:
    mend = f"make room (`du -xh --max-depth=2 {shlex.quote(disk.mount)} | sort -h` on the host shows what takes it)"
    if disk.free < _FULL_KIB:
        yield f"the disk of {disk.mount} is full, so that what is there can be read and nothing new is stored: {mend}"
    elif disk.free < disk.size * _LEAST_FREE:
        yield f"only {disk.free >> 10} MiB are free on the disk of {disk.mount}: {mend}"
