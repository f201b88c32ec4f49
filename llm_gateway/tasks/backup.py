"""A backup of a gateway, made on its host while it serves, and brought to this machine where that is asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator, Iterator
from pathlib import Path

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import progress, remote, streams
from llm_gateway.hosts.topology import Machine, Node
from llm_gateway.inputs import run_options
from llm_gateway.model import layout
from llm_gateway.parts import apt, first_start
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.backups.archive import Outcome
from llm_gateway.status import ages
from llm_gateway.tasks import preflight, survey

OPTIONS = {"fetch": "a directory here that the backup is brought to as well"}
OUTGOING = ".outgoing"
"""Below backups/: what is encrypted and on its way to this machine."""
LONG_SECONDS = 8
"""Of a locked database, from which a backup is told to have hindered the gateway; make-backup tells the journal."""


class BackupError(Exception):
    """There is no backup, or none here; the text says why."""


def machine_to_back_up(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    return survey.machine_for(state, host, PURPOSE)


def back_up(state: State, machine: Machine) -> None:
    """Make a backup of a gateway, and bring it here where the run was asked to. Raises DeployError."""
    directory = run_options.read(state, OPTIONS).get("fetch")
    if (node := machine.node) is None:
        return
    if directory is None:
        _make(name="Make a backup on the host", node=node)
    else:
        place = directory_here(directory)
        _make_and_fetch(name="Make a backup on the host and bring it here", node=node, place=place)


def directory_here(text: str) -> Path:
    """The directory on this machine that backups are brought to. Raises DeployError where that cannot be."""
    if not text.strip():
        raise DeployError("nothing was changed: fetch: name a directory")
    try:
        place = Path(text).expanduser().resolve()
    except RuntimeError as problem:  # ~NAME of nobody, or links in a circle
        raise DeployError(f"nothing was changed: fetch: {text}: {problem}; name another directory") from None
    nearest = next(path for path in (place, *place.parents) if path.exists())
    if not nearest.is_dir():
        raise DeployError(f"nothing was changed: fetch: {nearest} is a file; name a directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise DeployError(f"nothing was changed: fetch: {nearest} cannot be written into; name another directory")
    return place


def make(node: Node, reason: str) -> Outcome:
    """Make a backup now, on any gateway's host that has a database of ours, also one that was never deployed so far.

    What makes it is put in place first: the script, its settings, and SQLite where there is none.
    Parameters: `reason`, in words for people, such as "before the upgrade to v0.6.11".
    Returns how it ended, which was well. Raises BackupError.
    """
    try:
        _provide(node)
        program = shlex.quote(f"{node.directory}/{layout.MAKE_BACKUP}")
        lines = remote.run(node.host, f"{program} {shlex.quote(reason)}")
    except remote.RemoteError as problem:
        raise BackupError(str(problem)) from None
    outcome = Outcome.parse(lines[-1] if lines else "")
    if outcome is None or not outcome.ok:
        raise BackupError("make-backup on the host did not say how it ended: run again")
    return outcome


def fetch(node: Node, name: str, place: Path) -> Path:
    """Bring a backup from its host to this machine: whole, for its owner alone, encrypted where the settings say so.

    Parameters: `name`, in backups/ on the host; `place`, a directory here, in which each host has its own.
    Returns the file. Raises BackupError.
    """
    backups = f"{node.directory}/{layout.BACKUPS}"
    local = place / node.name.replace("/", "_")
    recipient = node.settings.gateway_backup_recipient
    try:
        if recipient is None:
            target = local / name
            _download(node, f"{backups}/{name}", target)
        else:
            target = local / f"{name}.age"
            remote.run(node.host, _encrypt(backups, name, recipient))
            _download(node, f"{backups}/{OUTGOING}/{name}.age", target)
            remote.run(node.host, f"rm -rf {shlex.quote(f'{backups}/{OUTGOING}')}")
    except remote.RemoteError as problem:
        raise BackupError(f"it was not brought here: {problem}") from None
    return target


def _download(node: Node, path: str, target: Path) -> None:
    moved = progress.Moved(node.host, f"bringing {target.name} here", streams.size(node.host, path))
    streams.download(node.host, path, target, moved)


def described(outcome: Outcome) -> str:
    """A backup in a few words."""
    return f"{outcome.file} ({ages.size(outcome.size)}, {outcome.seconds:.1f} s)"


def _provide(node: Node) -> None:
    for file in scheduled_backups.script_files(node):
        file.write_now(node.host)
    if missing := scheduled_backups.missing_packages(node):
        remote.run(node.host, apt.command(missing))


def _encrypt(backups: str, name: str, recipient: str) -> str:
    return (
        f"set -e; umask 077; cd {shlex.quote(backups)}; rm -rf {OUTGOING}; mkdir {OUTGOING};"
        f" age -r {shlex.quote(recipient)} -o {OUTGOING}/{shlex.quote(name)}.age {shlex.quote(name)}"
    )


@operation()
def _make(node: Node) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (node, None), {})


@operation()
def _make_and_fetch(node: Node, place: Path) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_run, (node, place), {})


def _run(state: State, host: Host, node: Node, place: Path | None) -> bool:
    try:
        progress.step(host, "backup: copying the database while the gateway serves")
        outcome = make(node, "asked for by a person")
        remote.tell(host, f"the backup is {node.directory}/{layout.BACKUPS}/{described(outcome)}")
        if outcome.locked_seconds >= LONG_SECONDS:
            waited = f"the gateway could not write for up to {outcome.locked_seconds:.1f} s"
            remote.tell(host, f"{waited}: it waits 10 s, then a request may fail or leave no row in its log")
        if outcome.odd:
            remote.tell(
                host, f"it holds every row; its database is inconsistent, as that of the gateway is: {outcome.odd}"
            )
        if place is not None:
            progress.step(host, "backup: bringing it here")
            remote.tell(host, f"and here it is {fetch(node, outcome.file, place)}")
    except (BackupError, remote.RemoteError) as problem:
        remote.complain(host, str(problem))
        return False
    return True


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents a backup on one host."""
    if busy := machine.state.busy:
        yield preflight.busy_problem(busy)
        return
    yield from preflight.machine_problems(machine)
    if machine.node and not first_start.is_done(machine.node):
        where = machine.node.directory
        yield f"no deployment has been completed in {where}, so there is nothing to keep: run deploy.py"


PURPOSE = survey.Purpose((preflight.group_problems,), (_problems,), lock=True)
