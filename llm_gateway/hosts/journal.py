"""What was run on a host, when, by whom and with which versions: lines of JSON in a file on the host.

A run writes its first line with its lock, in the round trip that reads the host, and others only where it changes
something.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from llm_gateway.hosts import invocation, remote
from llm_gateway.model.checkout import IS_CHECKOUT, ROOT
from llm_gateway.model.layout import JOURNAL
from llm_gateway.model.version import VERSION


@dataclass
class RunNotes:
    """Who runs this and when, and what was written of it into journals so far."""

    identity: str = field(default_factory=lambda: secrets.token_hex(6))
    script: str = field(default_factory=invocation.script)
    who: str = field(default_factory=lambda: _person())
    started: float = field(default_factory=time.monotonic)
    """In seconds of the monotonic clock."""
    changing: set[str] = field(default_factory=set)
    """The hosts, by name, on which it has begun to change something."""
    closed: set[str] = field(default_factory=set)
    """The hosts whose journal has its last line already."""


_notes: WeakKeyDictionary[State, RunNotes] = WeakKeyDictionary()


def notes_of(state: State) -> RunNotes:
    """The notes of the run that pyinfra's state belongs to."""
    if state not in _notes:
        _notes[state] = RunNotes()
    return _notes[state]


def lock_values(state: State) -> dict[str, str]:
    """What `host_state.sh` writes when the run takes a host's lock: who has it, and the journal's first line.

    A run that only looks at what would change has the lock, and no line.
    """
    run = notes_of(state)
    line = _line(run, "begun", script=run.script, who=run.who, version=VERSION)
    begun = "" if invocation.is_plan_now() else line
    return {"WHO": f"{run.script} by {run.who}", "RUN": run.identity, "BEGUN": begun}


def note(host: Host, text: str) -> None:
    """Write a line into the host's journal. Raises RemoteError where the host cannot be reached.

    A journal that cannot be written, on a full disk, is told and keeps nothing from being done.
    """
    run = notes_of(host.state)
    lines = [*changing(host), _line(run, "note", text=text)]
    for told in remote.run(host, append(lines)):
        remote.tell(host, told)


def changing(host: Host) -> list[str]:
    """The line that says that the run begins to change the host, the first time that this is asked."""
    run = notes_of(host.state)
    if host.name in run.changing:
        return []
    run.changing.add(host.name)
    return [_line(run, "changing", commit=_commit())]


class Beginning(BaseStateCallback):
    """Has the first command that changes a host say so first. A run that finds nothing to do so writes nothing."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        """Called by pyinfra before each operation on each host, whether or not that finds something to do."""
        if op_hash not in state.ops[host] or host.name in notes_of(state).changing:
            return
        operation = state.ops[host][op_hash]
        commands = operation.command_generator

        def announced() -> Iterator[PyinfraCommand]:
            for command in commands():
                _announce(host)
                yield command

        operation.command_generator = announced


def _announce(host: Host) -> None:
    if lines := changing(host):
        try:
            remote.run(host, append(lines))
        except remote.RemoteError as problem:
            remote.complain(host, f"{JOURNAL} cannot be written: {problem}")


def end(host: Host, outcome: str, **facts: Any) -> None:
    """Write the last line of a run. Raises RemoteError.

    Parameters: `outcome`, "done", "failed", "interrupted" or "refused"; `facts`, what else is worth keeping, for json.
    """
    run = notes_of(host.state)
    seconds = round(time.monotonic() - run.started, 1)
    remote.run(host, append([_line(run, "ended", outcome=outcome, seconds=seconds, **facts)]))


def refuse(host: Host) -> None:
    """Write that the run ended before it began, on a host whose lock it has."""
    if invocation.is_plan_now():
        return
    try:
        end(host, "refused", changes=[])
    except remote.RemoteError as problem:
        remote.complain(host, f"{JOURNAL} cannot be written: {problem}")


def append(lines: list[str]) -> str:
    """The shell command that adds lines to the journal; it says on stdout where it could not."""
    where = shlex.quote(JOURNAL)
    return (
        f"mkdir -p -m 755 {shlex.quote(JOURNAL.rpartition('/')[0])} 2>/dev/null;"
        f" (umask 077; printf '%s\\n' {shlex.join(lines)} >> {where}) 2>/dev/null"
        f" || echo {shlex.quote(JOURNAL + ' cannot be written (is the disk full?)')}"
    )


def _line(run: RunNotes, event: str, **facts: Any) -> str:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"at": at, "run": run.identity, "event": event, **facts}, ensure_ascii=False)


def _person() -> str:
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user without a name
    return "".join(letter for letter in f"{user}@{socket.gethostname()}" if letter.isprintable())


@cache
def _commit() -> str | None:
    """Which state of the checkout this is, "…-dirty" where it was edited; None where it is no checkout."""
    if not IS_CHECKOUT:
        return None
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
