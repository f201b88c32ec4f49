"""A gateway in memory, and what a run writes to its host: for the tests of what it is made to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm_gateway.contents import provisioning
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Gateway, Machine, Run
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import DIRECTORY, make_agent, make_node

PATH = f"{DIRECTORY}/applied-keys.json"
DONE = {**FRESH, "tracked_stat": f"{DIRECTORY}/first-start-done 600 root:root 1.0\n"}


class Written(dict[str, str]):
    """What was written to the host, and what was said to the person at the terminal."""

    told: list[str]


def make_gateway(*agents: str, applied: str = "{}", **chosen: Any) -> Gateway:
    """A gateway that these OpenClaw hosts use, after what an earlier run left on it."""
    run = Run()
    made = make_node(DONE, run=run, **chosen).gateway
    made.record = Record.parse(applied)
    for name in agents:
        make_agent({**FRESH, **OPENCLAW}, name=name, run=run)
    return made


def commands(made: Machine) -> Iterator[Any]:
    return provisioning._reconcile._inner(made)  # type: ignore[attr-defined]


def reconcile(made: Gateway) -> list[bool]:
    """Carry the steps out, each as soon as it is known, as pyinfra does; whether each succeeded."""
    return [command.function(None, made.node.host) for command in commands(made.node.machine)]
