"""Which gateway a migration moves where, and how far it is: found out once, before anything is touched."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra.api import DeployError
from pyinfra.api.state import State

from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.inputs import run_options
from llm_gateway.model.suggestion import suggest
from llm_gateway.tasks.migration.source import Source

OPTIONS = {
    "source": "the host whose gateway is moved",
    "target": "the host that it is moved to; needed if the group `gateways` has several besides the source",
    "container": "the source's container, if several hold a one-api.db",
    "replace": "the target's name, if it has a gateway already, which is then replaced (and kept in its backups)",
    "limit": "seconds after which the old gateway serves again, whatever became of the run (240)",
}
LIMIT_SECONDS = 240
LEAST_LIMIT_SECONDS = 10


@dataclass
class Move:
    """A migration: from where to where, as its options say; and how far it is."""

    source_name: str
    target_name: str
    options: Mapping[str, str]
    limit: int
    """Seconds from the stop of the old gateway until its host starts it again by itself."""
    source: Machine = field(init=False)
    target: Node = field(init=False)
    found: Source = field(init=False)
    is_surveyed: bool = False
    refusal: DeployError | None = None
    """Why it is not to be, once that was found out."""
    is_over: bool = False
    """Whether the old gateway was given up: by an earlier run, or by this one."""
    stopped: float | None = None
    """When this run stopped the old gateway, in seconds of the monotonic clock."""
    served: float | None = None
    """When the new one had completed its first request."""

    @property
    def old_store(self) -> SQLiteStore:
        """Where the old gateway has what it holds."""
        return SQLiteStore(self.source.host, self.found.database)

    @property
    def agents(self) -> list[Agent]:
        """The OpenClaw hosts that use the gateway afterwards, reached in this run or not."""
        return self.target.gateway.agents

    @property
    def what(self) -> str:
        """For people."""
        return f"the migration of {self.source_name}'s gateway to {self.target_name}"


_moves: WeakKeyDictionary[State, Move] = WeakKeyDictionary()
_lock = threading.Lock()


def of(state: State) -> Move:
    """The migration that a run is about. Raises DeployError where its options do not say one."""
    with _lock:
        if state not in _moves:
            _moves[state] = _read(state)
        return _moves[state]


def known(state: State) -> Move | None:
    """The migration that a run has begun to read about, if it is one."""
    return _moves.get(state)


def _read(state: State) -> Move:
    options = run_options.read(state, OPTIONS, values=("limit",))
    names = [str(host.name) for host in state.inventory]
    gateways = [str(host.name) for host in state.inventory if "gateways" in host.groups]
    if problems := [*_source_problems(options, names)]:
        raise DeployError("\n".join([*problems, "Nothing was changed."]))
    source = options["source"]
    move = Move(source, _target(options, [name for name in gateways if name != source]), options, _limit(options))
    reached = {str(host.name) for host in state.inventory.get_active_hosts()}
    if missing := [name for name in (move.source_name, move.target_name) if name not in reached]:
        raise DeployError(
            f"{' and '.join(missing)} cannot be reached in this run, and a migration needs both hosts: fix that, or"
            " name both with --limit. Nothing was changed."
        )
    return move


def _source_problems(options: Mapping[str, str], names: list[str]) -> Iterator[str]:
    source = options.get("source")
    if source is None:
        yield f"Which gateway is to be moved? Add --data source=HOST, one of: {', '.join(names)}"
    elif source not in names:
        yield f"source={source}: the inventory has no such host ({', '.join(names)}){suggest(source, names)}"


def _target(options: Mapping[str, str], gateways: list[str]) -> str:
    wanted = options.get("target")
    if wanted is not None and wanted in gateways:
        return wanted
    if wanted is not None and wanted == options["source"]:
        raise DeployError(
            f"source={wanted} and target={wanted}: a gateway moves from one host to another, so name two. Nothing was"
            " changed."
        )
    if wanted is not None:
        known = f": {', '.join(gateways)}" if gateways else ", which has no other"
        raise DeployError(
            f"target={wanted} is not another host of the group `gateways`{known}. List the new host there. Nothing was"
            " changed."
        )
    if len(gateways) == 1:
        return gateways[0]
    raise DeployError(
        "Where is the gateway to be moved? "
        + (
            f"Add --data target=HOST, one of: {', '.join(gateways)}"
            if gateways
            else "List the new host in the group `gateways` of the inventory"
        )
        + ". Nothing was changed."
    )


def _limit(options: Mapping[str, str]) -> int:
    text = options.get("limit", str(LIMIT_SECONDS))
    if not text.isdigit() or int(text) < LEAST_LIMIT_SECONDS:
        raise DeployError(
            f"limit={text} must be a number of seconds, {LEAST_LIMIT_SECONDS} or more. Nothing was changed."
        )
    return int(text)
