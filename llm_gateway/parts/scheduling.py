"""Settings that a gateway's host is asked about: what timers run there, the commands it calls, what Docker is told."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.hosts.topology import Machine
from llm_gateway.parts import commands
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import destinations, scheduled_canary
from llm_gateway.parts.docker import daemon_settings


def problems(machine: Machine) -> Iterator[str]:
    """What prevents every run that installs them. Raises ConnectionLostError."""
    if node := machine.node:
        yield from scheduled_backups.problems(node)
        yield from destinations.problems(node)
        yield from scheduled_canary.problems(node)
        yield from commands.problems(node)
        yield from daemon_settings.problems(node)
