"""Takes off hosts what deployments have installed there, and nothing else, once a person has named these hosts."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pyinfra_cli.cli
from pyinfra.api import DeployError, FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import dotenv, fleet, preflight, remote
from gateway.backups import backup
from gateway.host_state import UnreadableError
from gateway.runs import invocation, journal, run_options, summary, undo
from gateway.uninstall import home, removal, removed_gateway, removed_openclaw, revoked
from gateway.uninstall.removal import Removal

if TYPE_CHECKING:
    from gateway.fleet import Member

OPTIONS = {
    "yes": "the hosts to take the gateway off, by name: gw1,agent1; without it, it is asked for",
    "fetch": "a directory here that the last backups are brought to as well",
}
_lock = threading.Lock()


def member_to_remove(state: State, host: Host) -> Member:
    """The member for a host of this run. Raises DeployError with all that stands in the way, on every host."""
    options = run_options.read(state, OPTIONS)
    with _lock:
        run = removal.begin(state, _chosen(state, options.get("yes")), _place(options.get("fetch")))
    member = fleet.member_for(state, host, PURPOSE)
    if "yes" not in options:
        _ask_before_the_end(run)
    return member


def take_off(member: Member) -> None:
    """Take the gateway off one host, and its tokens off the gateways that stay."""
    is_installed = removal.is_chosen(member) and removal.is_installed(member, removal.found_on(member))
    if is_installed:
        removed_openclaw.give_back(member)
    if is_installed or revoked.is_due(member):
        revoked.revoke(member)
    if is_installed:
        removed_gateway.take_off(member)
        _forget(name="Remove what runs keep on the host", member=member)
    elif removal.is_chosen(member):
        remote.tell(member.host, "nothing of a deployment is on this host: nothing to remove")


def _chosen(state: State, named: str | None) -> frozenset[str]:
    """The hosts that the run is about: those that are named, else all, and then the person is asked."""
    hosts = [str(host.name) for host in state.inventory if state.is_host_in_limit(host)]
    if named is None:
        if not state.check_for_changes and not invocation.is_plan_now():  # -y: nobody is asked
            raise DeployError(
                "nothing was changed: say which hosts the gateway is to be taken off, by name: --data"
                f" {shlex.quote('yes=' + ','.join(hosts))}"
            )
        return frozenset(hosts)
    chosen = frozenset(name.strip() for name in named.split(",") if name.strip())
    if not chosen or (unknown := sorted(chosen - {*hosts})):
        who = ", ".join(unknown) if chosen else "nobody"
        raise DeployError(
            f"nothing was changed: yes={named} names {who}, and the hosts of this run are {', '.join(hosts)}"
        )
    active = {str(host.name) for host in state.inventory.get_active_hosts()}
    if unreached := sorted(chosen - active):
        raise DeployError(f"nothing was changed: {', '.join(unreached)} cannot be reached; leave it out of yes={named}")
    return chosen


def _place(fetch: str | None) -> Path | None:
    return None if fetch is None else backup.directory_here(fetch)


def _ask_before_the_end(run: Removal) -> None:
    """In place of pyinfra's "press enter", behind the plan: the hosts have to be typed."""
    ask = pyinfra_cli.cli._do_confirm

    def confirmed(message: str) -> bool:
        if not message.startswith("Detected changes"):
            return bool(ask(message))
        names = ",".join(sorted(run.chosen))
        click.echo(f"\n    To take the gateway off, type the names of the hosts: {names}\n    ", err=True, nl=False)
        try:
            typed = {name.strip() for name in input().split(",")}
        except EOFError:
            return False
        if typed != run.chosen:
            click.echo("    These are not the names of these hosts.", err=True)
        return typed == run.chosen

    if getattr(ask, "__name__", "") != "confirmed":
        pyinfra_cli.cli._do_confirm = confirmed


def _problems(member: Member) -> Iterator[str]:
    """What stands in the way on one host; here, too, the hosts are locked that something is to be done on."""
    yield from preflight.machine_problems(member)
    if member.state.text("uid") != "0":
        return
    try:
        found = removal.of(member).found[member.name] = removal.read(member)
        is_touched = removal.is_chosen(member) and removal.is_installed(member, found)
        if not is_touched and not revoked.is_due(member):
            return
        member.state = member.read_state(lock=True)
        if busy := member.state.text("busy"):
            yield preflight.busy_problem(busy)
            return
        if left := member.state.left_unfinished:
            if problem := undo.await_host(member.host, left):
                yield problem
                return
            member.state = member.read_state(lock=True)
            removal.of(member).found[member.name] = removal.read(member)
    except (remote.RemoteError, UnreadableError, OSError) as problem:
        yield f"its state cannot be read: {problem}"
        return
    if is_touched:
        yield from _environment(member)


def _left_behind(member: Member) -> Iterator[str]:
    """Agents that would be without a gateway."""
    left = [agent.name for agent in member.fleet.agents_of(member) if not removal.is_chosen(agent)]
    if member.is_gateway and removal.is_chosen(member) and left:
        yield (
            f"{', '.join(left)} would be without a gateway: remove them too"
            f" (yes={','.join([member.name, *left])}), give them another (openclaw_gateway, then deploy.py), or take"
            " them out of the inventory"
        )


def _environment(member: Member) -> Iterator[str]:
    if not member.is_openclaw or not removal.points_here(member):
        return
    try:
        removed_openclaw.restored_environment(member)
    except dotenv.DotenvError as problem:
        yield f"OpenClaw's .env: {problem}"


PURPOSE = fleet.Purpose((preflight.group_problems,), (_problems,), lock=False, fleet_checks=(_left_behind,))


@operation()
def _forget(member: Member) -> Generator[FunctionCommand | StringCommand, None, None]:
    """The last step: with it goes the journal, to the backups where there are any."""
    units = (undo.BOOT_UNIT, undo.GUARD_UNIT)
    yield removal.tell("remove: removing what runs keep on the host")
    yield remote.Callback(_end_journal, (member,), {})
    backups = f"{member.directory}/backups"
    keep = (
        f"if [ -d {backups} ] && [ -f {journal.PATH} ]; then"
        f" mv -fT {journal.PATH} {backups}/journal-$(date -u +%Y%m%dT%H%M%SZ).jsonl; fi &&"
        if member.is_gateway
        else ""
    )
    yield StringCommand(
        f"{keep} {{ systemctl disable --quiet --now {' '.join(units)} 2>/dev/null || true; }} &&"
        f" rm -f {' '.join(f'/etc/systemd/system/{unit}' for unit in units)} && systemctl daemon-reload &&"
        f" ( set -e; {home.remove()} )"
    )
    yield remote.Callback(_tell_rest, (), {})
    yield remote.Callback(_close_journal, (member,), {})


def _end_journal(state: State, host: Host, member: Member) -> bool:
    """Its last line, since there is nothing to write it into at the end of the run."""
    journal.end(host, "done", changes=summary.changes_on(state, host))
    return True


def _tell_rest(state: State, host: Host) -> bool:
    for path in remote.run(host, home.left()):
        remote.tell(host, f"{path} stays: it is not from here")
    return True


def _close_journal(state: State, host: Host, member: Member) -> None:
    journal.run_of(state).closed.add(str(host.name))
    if member.is_gateway and member.state.text("secrets"):
        remote.tell(host, removed_gateway.what_stays(member))
