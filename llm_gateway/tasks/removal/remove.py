"""Takes off hosts what deployments have installed there, and nothing else, once a person has named these hosts."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import click
from pyinfra.api import DeployError, FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway import pyinfra_insides
from llm_gateway.hosts import invocation, journal, remote, undo
from llm_gateway.hosts.answers import UnreadableError
from llm_gateway.hosts.topology import Machine
from llm_gateway.inputs import run_options
from llm_gateway.model import dotenv, layout
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.pyinfra_insides import Ask
from llm_gateway.tasks import backup, outcome, preflight, survey
from llm_gateway.tasks.removal import gateway_removal, home, openclaw_removal, scope, token_removal
from llm_gateway.tasks.removal.scope import Removal

OPTIONS = {
    "yes": "the hosts to take the gateway off, by name: gw1,agent1; without it, it is asked for",
    "fetch": "a directory here that the last backups are brought to as well",
}
_lock = threading.Lock()


def machine_to_remove(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    options = run_options.read(state, OPTIONS)
    with _lock:
        run = scope.begin(state, _chosen(state, options.get("yes")), _place(options.get("fetch")))
    machine = survey.machine_for(state, host, PURPOSE)
    if "yes" not in options:
        _ask_before_the_end(run)
    return machine


def take_off(machine: Machine) -> None:
    """Take the gateway off one host, and its tokens off the gateways that stay."""
    is_installed = scope.is_chosen(machine.host) and scope.is_installed(machine, scope.found_on(machine.host))
    if is_installed and machine.agent:
        openclaw_removal.give_back(machine.agent)
    if is_installed or token_removal.is_due(machine):
        token_removal.revoke(machine)
    if is_installed:
        if machine.node:
            gateway_removal.take_off(machine.node)
        _forget(name="Remove what runs keep on the host", machine=machine)
    elif scope.is_chosen(machine.host):
        remote.tell(machine.host, "no deployment found on this host; nothing to remove")


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
    if not run.is_asked:
        run.is_asked = True
        pyinfra_insides.replace_question(partial(_asking_for_names, run))


def _asking_for_names(run: Removal, ask: Ask) -> Ask:
    def confirmed(message: str) -> bool:
        if not message.startswith(pyinfra_insides.CHANGES):
            return ask(message)
        names = ",".join(sorted(run.chosen))
        click.echo(f"\n    To take the gateway off, type the names of the hosts: {names}\n    ", err=True, nl=False)
        try:
            typed = {name.strip() for name in input().split(",")}
        except EOFError:
            return False
        if typed != run.chosen:
            click.echo("    These are not the names of these hosts.", err=True)
        return typed == run.chosen

    return confirmed


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents it on one host; here, too, the hosts are locked that something is to be done on."""
    yield from preflight.machine_problems(machine)
    if not machine.state.is_root:
        return
    try:
        found = scope.of(machine.host).found[machine.name] = scope.read(machine)
        is_touched = scope.is_chosen(machine.host) and scope.is_installed(machine, found)
        if not is_touched and not token_removal.is_due(machine):
            return
        machine.state = survey.read_state(machine, lock=True)
        if busy := machine.state.busy:
            yield preflight.busy_problem(busy)
            return
        if left := machine.state.left_unfinished:
            if problem := undo.await_host(machine.host, left):
                yield problem
                return
            machine.state = survey.read_state(machine, lock=True)
            scope.of(machine.host).found[machine.name] = scope.read(machine)
    except (remote.RemoteError, UnreadableError, OSError) as problem:
        yield f"its state cannot be read: {problem}"
        return
    if is_touched:
        yield from _environment(machine)
        if machine.agent and openclaw.is_left_running(machine.agent):
            typed = openclaw.by_hand(machine.agent, "stop")
            yield f'openclaw_restart is "never", and this takes a restart: {typed} first, or set it to another value'


def _left_behind(machine: Machine) -> Iterator[str]:
    """Agents that would be without a gateway."""
    if machine.node is None or not scope.is_chosen(machine.host):
        return
    users = [agent for agent in machine.node.gateway.agents if not scope.is_chosen(agent.host)]
    if left := [agent.name for agent in users if all(scope.is_chosen(node.host) for node in agent.nodes)]:
        yield (
            f"{', '.join(left)} would be without a gateway: remove them too"
            f" (yes={','.join([machine.name, *left])}), give them another (openclaw_gateway, then deploy.py), or take"
            " them out of the inventory"
        )
    if others := [agent.name for agent in users if agent.name not in left]:
        yield (
            f"{', '.join(others)} would ask a gateway that is gone: take {machine.name} out of their openclaw_gateway,"
            " then run deploy.py, then this again"
        )


def _environment(machine: Machine) -> Iterator[str]:
    if not machine.agent or not scope.points_here(machine.agent):
        return
    try:
        openclaw_removal.restored_environment(machine.agent)
    except dotenv.DotenvError as problem:
        yield f"OpenClaw's .env: {problem}"


PURPOSE = survey.Purpose((preflight.group_problems,), (_problems,), lock=False, fleet_checks=(_left_behind,))


@operation()
def _forget(machine: Machine) -> Generator[FunctionCommand | StringCommand, None, None]:
    """The last step: with it goes the journal, to the backups where there are any."""
    units = (layout.UNDO_UNIT, layout.GUARD_UNIT)
    yield scope.tell("remove: removing what runs keep on the host")
    yield remote.Callback(_end_journal, (machine,), {})
    backups = f"{machine.settings.gateway_directory}/{layout.BACKUPS}"
    keep = (
        f"if [ -d {backups} ] && [ -f {layout.JOURNAL} ]; then"
        f" mv -fT {layout.JOURNAL} {backups}/journal-$(date -u +%Y%m%dT%H%M%SZ).jsonl; fi &&"
        if machine.node
        else ""
    )
    yield StringCommand(
        f"{keep} {{ systemctl disable --quiet --now {' '.join(units)} 2>/dev/null || true; }} &&"
        f" rm -f {' '.join(layout.unit_path(unit) for unit in units)} && systemctl daemon-reload &&"
        f" ( set -e; {home.remove()} )"
    )
    yield remote.Callback(_tell_rest, (), {})
    yield remote.Callback(_close_journal, (machine,), {})


def _end_journal(state: State, host: Host, machine: Machine) -> bool:
    """Its last line, since there is nothing to write it into at the end of the run."""
    journal.end(host, "done", changes=outcome.changes_on(state, host))
    return True


def _tell_rest(state: State, host: Host) -> bool:
    for path in remote.run(host, home.left()):
        remote.tell(host, f"{path} was kept: it is not part of the deployment")
    return True


def _close_journal(state: State, host: Host, machine: Machine) -> None:
    journal.notes_of(state).closed.add(str(host.name))
    if machine.node and machine.state.has_secrets:
        remote.tell(host, gateway_removal.what_stays(machine.node))
