"""Showing what a gateway's unit and container log, as it comes."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from weakref import WeakSet

import click
from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote, streams
from llm_gateway.hosts.interruption import INTERRUPTED
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import run_options
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.layout import PROJECT, UNIT
from llm_gateway.model.redaction import redacted
from llm_gateway.tasks import preflight, survey

OPTIONS = {
    "lines": "how many of the last lines are shown of each (100)",
    "follow": "false: these alone, and not what comes",
}
PURPOSE = survey.Purpose((), (preflight.machine_problems,), lock=False)
"""Looks and changes nothing, not even the lock."""
_SILENT_SECONDS = 365 * 86400.0
"""A gateway may have nothing to log for long; that its host has gone is noticed by TCP."""
_LONGEST = 4000
_FOLLOW = Path(__file__).with_name("follow.sh")
_shown_already: WeakSet[State] = WeakSet()


def show(state: State, host: Host) -> None:
    """Show the logs of all gateways of the run, when the first host comes by. Raises DeployError."""
    survey.machine_for(state, host, PURPOSE)
    if state in _shown_already:
        return
    _shown_already.add(state)
    options = run_options.read(state, OPTIONS, values=tuple(OPTIONS))
    lines, is_followed = options.get("lines", "100"), options.get("follow", "true") == "true"
    if not lines.isdecimal():
        raise DeployError(f"--data lines={lines}: must be a whole number")
    surveyed = survey.current(state)
    nodes = [machine.node for machine in surveyed.machines.values() if machine.node] if surveyed else []
    if not nodes:
        raise DeployError("no gateway in this run: is --limit right?")
    logger.info("--> Reading the logs...")
    if is_followed:
        signal.signal(signal.SIGINT, _end)
    sources = [(node, name, command) for node in nodes for name, command in _commands(lines, is_followed)]
    concurrently(lambda source: _show(*source), sources)


def _end(*_: object) -> None:
    """Ctrl-C is how a person ends it; the host ends its part when the connection closes."""
    sys.stdout.flush()
    os._exit(INTERRUPTED)


def _commands(lines: str, is_followed: bool) -> Iterator[tuple[str, str]]:
    """The commands that print the logs, by what they are called to people."""
    follow = ["--follow"] if is_followed else []
    last = {
        "unit": ["journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--lines={lines}", f"--unit={UNIT}"],
        "container": ["docker", "logs", f"--tail={lines}", PROJECT],
    }
    script = _FOLLOW.read_text(encoding="utf-8")
    for name, command in last.items():
        # docker takes options before the container's name alone.
        yield name, shlex.join(["sh", "-c", script, "sh", *command[:-1], *follow, command[-1]])


def _show(node: Node, name: str, command: str) -> None:
    hidden = _secrets(node)
    try:
        with streams.open_reader(node.host, command, _SILENT_SECONDS) as reader:
            for line in _lines(iter(reader.read, b"")):
                click.echo(f"{node.name} {name}: {redacted(line, hidden, _LONGEST)}")
    except remote.RemoteError as problem:
        raise DeployError(f"{node.name}: the log of {name} cannot be read: {problem}") from None


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines: half of a key would not be known as one."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


def _secrets(node: Node) -> list[str]:
    """What is hidden: the gateway's own secrets, and the keys of its channels where they are known here."""
    try:
        keys = [node.provided.get(channel.key) for channel in node.settings.gateway_channels]
    except SecretsError as problem:
        remote.tell(node.host, f"keys that do not look like one may be shown: {problem}")
        keys = []
    return [*vars(node.gateway.generated).values(), *filter(None, keys)]
