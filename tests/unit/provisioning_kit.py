"""A gateway in memory, and what a run writes to its host: for the tests of what it is made to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm_gateway.contents import provisioning
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.record import Record
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.members import DIRECTORY, Fleet, member

PATH = f"{DIRECTORY}/applied-keys.json"
DONE = {**FRESH, "tracked_stat": f"{DIRECTORY}/first-start-done 600 root:root 1.0\n"}


class Written(dict[str, str]):
    """What was written to the host, and what was said to the person at the terminal."""

    told: list[str]


def fleet(*agents: str, applied: str = "{}", **chosen: Any) -> Member:
    """A gateway that these OpenClaw hosts use, after what an earlier run left on it."""
    together = Fleet()
    made = member(DONE, fleet=together, **chosen)
    made.record = Record.parse(applied)
    for name in agents:
        member({**FRESH, **OPENCLAW}, name=name, roles="openclaw", fleet=together)
    return made


def commands(made: Member) -> Iterator[Any]:
    return provisioning._reconcile._inner(made)  # type: ignore[attr-defined]


def reconcile(made: Member) -> list[bool]:
    """Carry the steps out, each as soon as it is known, as pyinfra does; whether each succeeded."""
    return [command.function(None, made.host) for command in commands(made)]
