"""Settings that a gateway's host is asked about: what timers run there, the commands it calls, what Docker is told."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.hosts.member import Member
from llm_gateway.parts import commands
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.docker import daemon_settings


def problems(member: Member) -> Iterator[str]:
    """What prevents every run that installs them. Raises ConnectionLostError."""
    yield from scheduled_backups.problems(member)
    yield from scheduled_canary.problems(member)
    yield from commands.problems(member)
    yield from daemon_settings.problems(member)
