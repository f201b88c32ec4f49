"""Showing what was run on the hosts (see llm_gateway/status/history.py)."""

from __future__ import annotations

import json
from pathlib import Path
from weakref import WeakSet

import click
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Machine
from llm_gateway.inputs import run_options
from llm_gateway.model import layout, shell
from llm_gateway.model.checkout import CARRIER
from llm_gateway.model.concurrency import concurrently
from llm_gateway.status import history
from llm_gateway.status.history import PastRun, Undone
from llm_gateway.tasks import preflight, survey

OPTIONS = {
    "json": "true: one JSON object on stdout, by host, instead of text",
    "last": "how many of the last runs are shown of each host (default: 10; all: every one)",
}
PURPOSE = survey.Purpose((), (preflight.machine_problems,), lock=False)
"""Looks and changes nothing, not even the lock."""


_SCRIPT = Path(__file__).with_name("history.sh")


def read(host: Host) -> list[str]:
    """The lines of a host's journal, the oldest first, and one for the run that is at work. Raises RemoteError."""
    return remote.run(host, shell.program({"journal": layout.JOURNAL, "lock": layout.LOCK}, CARRIER, _SCRIPT))


_told_already: WeakSet[State] = WeakSet()


def tell(state: State, host: Host) -> None:
    """Show the last runs of all hosts that were reached, when the first of them comes by. Raises DeployError."""
    survey.machine_for(state, host, PURPOSE)
    if state not in _told_already:
        _told_already.add(state)
        _tell(state)


def _tell(state: State) -> None:
    options = run_options.read(state, OPTIONS, values=("last", "json"))
    last = _last(options.get("last", "10"))
    surveyed = survey.current(state)
    machines = list(surveyed.machines.values()) if surveyed else []
    found = {machine.name: parsed for machine, parsed in zip(machines, concurrently(_parsed, machines), strict=True)}
    if options.get("json", "false") == "false":
        for name, (runs, undone, unreadable) in found.items():
            click.echo("\n".join([name, *history.told(runs, undone, unreadable, last)]))
        return
    asked = [str(host.name) for host in state.inventory if state.is_host_in_limit(host)]
    shown = {name: history.as_json(*found[name], last) if name in found else None for name in asked}
    click.echo(json.dumps(shown, ensure_ascii=False))


def _last(text: str) -> int:
    if text == "all":
        return 0  # of a list, [-0:] is all
    if not text.isdecimal() or text == "0":
        raise DeployError(f"--data last={text}: a number from 1, or all")
    return int(text)


def _parsed(machine: Machine) -> tuple[list[PastRun], list[Undone], int]:
    try:
        return history.parse(read(machine.host))
    except remote.RemoteError as problem:
        raise DeployError(f"{machine.name}: its journal cannot be read: {problem}") from None
