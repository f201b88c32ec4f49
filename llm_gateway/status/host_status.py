"""What one host of the fleet is like, for the person who looks after it; and what of it needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx

from llm_gateway.contents import budgets
from llm_gateway.contents.admin import admin_api, parse_answer
from llm_gateway.flavours import AdminError, known
from llm_gateway.flavours.admin_api import read_status
from llm_gateway.flavours.values import ENABLED
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.parts import first_start, log_pruning
from llm_gateway.parts.backups import backup_health
from llm_gateway.parts.backups.archive import Outcome
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready
from llm_gateway.parts.openclaw.openclaw_json import ConfigurationError
from llm_gateway.proof import agent_path
from llm_gateway.proof.agent_path import Look
from llm_gateway.status import attention, canary_status, differences, history
from llm_gateway.status.shapes import (
    DOWN,
    UNREADABLE,
    UP,
    AgentBudget,
    Backup,
    Disk,
    Fallback,
    GatewayStatus,
    HostStatus,
    LastRun,
    Logs,
    OpenClawStatus,
    Place,
)
from llm_gateway.status.status_answers import StatusAnswers

_LONGEST_RUN_SECONDS = 3600.0
"""A run that is at work for longer may hang: then what is not in order is told as it always is."""
_READING_SECONDS = 5.0
_ANSWERS_WITHIN_SECONDS = 5
"""One that is ready answers at once; on a busy host that is not within one second."""


def down(name: str, roles: tuple[str, ...]) -> HostStatus:
    """A host that no connection could be made to."""
    return HostStatus(name, roles, DOWN, "no connection could be made", attention=("it cannot be reached",))


def unreadable(name: str, roles: tuple[str, ...], problem: str) -> HostStatus:
    """A host that was reached and could not be looked at."""
    return HostStatus(name, roles, UNREADABLE, problem, attention=(problem,))


def of(
    machine: Machine, seen: StatusAnswers, problems: Iterable[str], changing: frozenset[str] = frozenset()
) -> HostStatus:
    """What a host that was read is like.

    Parameters: `seen`, the answers of `status.sh`; `problems`, what prevents looking at it;
    `changing`, the names of those of its OpenClaw's gateways that a run is at work on.
    """
    drift = differences.drift(machine)  # first: by it the tokens of a gateway are known
    found = HostStatus(
        machine.name,
        roles_of(machine),
        UP,
        gateway=_gateway(machine.node, seen) if machine.node else None,
        openclaw=_openclaw(machine.agent) if machine.agent else None,
        drift=drift,
        unfinished=machine.state.left_unfinished or "",
        last_run=_last_run(seen),
    )
    return replace(found, attention=(*problems, *attention.of(machine, found, changing)))


def roles_of(machine: Machine) -> tuple[str, ...]:
    """The groups of ours that the host is in."""
    groups = (("gateways", machine.node), ("openclaw", machine.agent))
    return tuple(group for group, is_in in groups if is_in)


def _gateway(node: Node, seen: StatusAnswers) -> GatewayStatus:
    container = node.state.container or {}
    is_running = bool(container.get("State", {}).get("Running"))
    address, port = node.state.published
    return GatewayStatus(
        is_running,
        f"{address}:{port}" if address else None,
        _version(seen),
        container.get("Config", {}).get("Image"),
        _uptime(container, seen) if is_running else None,
        _models(node),
        _backup(node, seen),
        _disk(seen),
        seen.migrated_to or None,
        seen.migrating_from or None,
        _waits_for(seen),
        canary_status.of(node, seen, _now(seen)),
        _logs(node, seen),
        (container.get("State", {}).get("Health") or {}).get("Status") if is_running else None,
        _elsewhere(seen),
        tuple(_budgets(node)),
    )


def _budgets(node: Node) -> Iterator[AgentBudget]:
    if (month := budgets.last(node)) is None:
        return
    for spent in month.spent:
        budget = spent.budget
        yield AgentBudget(
            spent.agent,
            month.month,
            budget.unit,
            float(spent.used),
            float(budget.limit),
            float(spent.left),
            budget.at_limit,
            spent.is_refused,
            month.until.isoformat() if month.until else "",
            spent.unpriced,
            f"{spent.told} until {month.ends}",
        )


def _logs(node: Node, seen: StatusAnswers) -> Logs:
    database, kib = seen.database_bytes, seen.log_files.partition("\t")[0]
    pruned = log_pruning.last(node)
    return Logs(
        int(database) if database else None,
        int(kib) * 1024 if kib else None,
        pruned.rows if pruned else None,
        (log_pruning.problem_of(node) if first_start.is_done(node) else None) or "",
    )


def _elsewhere(seen: StatusAnswers) -> tuple[Place, ...]:
    lines = (line.split(" ", 3) for line in seen.places)
    return tuple(Place(name, path, kind, there == "yes") for name, there, kind, path in lines)


def _waits_for(seen: StatusAnswers) -> str:
    """What files/start-gateway says that it waits for."""
    kind, _, reason = seen.unit_says.partition(": ")
    return reason if kind == "waiting" else ""


def _version(seen: StatusAnswers) -> str | None:
    """What it says of itself; None where it does not answer."""
    try:
        body = parse_answer(seen.answers.get("api_status", "")).json()
        found = read_status(body["data"])
        return f"{known.NEW_API.name} {found.version}" if found.is_new_api else found.version
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _uptime(container: Mapping[str, Any], seen: StatusAnswers) -> float | None:
    """By the host's own clock, which may go otherwise than this machine's."""
    started = str(container.get("State", {}).get("StartedAt", ""))
    try:
        # Docker gives nanoseconds: "2026-11-22T10:00:00.123456789Z"
        moment = datetime.strptime(started[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, _now(seen) - moment.timestamp())


def _now(seen: StatusAnswers) -> float:
    return float(seen.now)


def _models(node: Node) -> tuple[str, ...]:
    """The models of the channels that are switched on, as the gateway itself lists them."""
    if not first_start.is_done(node) or not node.state.api_channels:
        return ()
    try:
        with admin_api(node.gateway) as admin:
            channels = admin.channels()
    except (AdminError, RouteError):
        return ()
    return tuple(dict.fromkeys(model for each in channels if each.status == ENABLED for model in each.models))


def _disk(seen: StatusAnswers) -> Disk | None:
    lines = [line.split(maxsplit=5) for line in seen.disks[1:]]
    disks = [Disk(int(size), int(free), mount) for _, size, _, free, _, mount in lines]
    return min(disks, key=lambda disk: disk.free / (disk.size or 1), default=None)


def _backup(node: Node, seen: StatusAnswers) -> Backup:
    files = [line.split() for line in seen.backups]
    name, size, made = files[-1] if files else (None, None, None)
    age = _now(seen) - float(made) if made else None
    last = Outcome.parse(node.state.backup_last)
    size_of = int(size) if size else None
    return Backup(name, age, size_of, len(files), _backup_problem(node), last.odd if last else "")


def _backup_problem(node: Node) -> str:
    return (backup_health.problem_of(node) if first_start.is_done(node) else None) or ""


def _openclaw(agent: Agent) -> OpenClawStatus:
    unit = agent.settings.openclaw_unit
    state = agent.state.openclaw_unit.get("ActiveState", "none") if openclaw.has_unit(agent) else "none"
    first, *others = agent_path.look(agent)
    return OpenClawStatus(
        unit,
        state,
        agent.nodes[0].name,
        first,
        _readiness(agent, state),
        openclaw_ready.rejected(agent) if state == "active" else None,
        tuple(
            Fallback(node.name, others[number] if number < len(others) else Look(None, "not named"))
            for number, node in enumerate(agent.nodes[1:])
        ),
    )


def _readiness(agent: Agent, state: str) -> str | None:
    if state != "active" or not openclaw_config.has_command(agent):
        return None
    try:
        return openclaw_ready.look(agent, _ANSWERS_WITHIN_SECONDS)
    except ConfigurationError as broken:
        return f"where it listens is not known, because {openclaw_config.path(agent)} cannot be read: {broken}"


def _last_run(seen: StatusAnswers) -> LastRun | None:
    runs, _, _ = history.parse([*seen.journal, *seen.at_work])
    told = [run for run in runs if run.began is not None]  # the journal is read from its last lines on
    if not told:
        return None
    # One that was refused has fixed nothing of what the one before has left.
    last_done = next((run for run in reversed(told) if run.has_done_something), None)
    run = last_done if last_done and last_done.is_bad and not told[-1].is_at_work else told[-1]
    is_changing = run.is_at_work and run.has_changed and _now(seen) - _moment(run.began) < _LONGEST_RUN_SECONDS
    return LastRun(str(run.script), str(run.who), str(run.began), run.how, run.is_bad, is_changing)


def has_just_ended(seen: StatusAnswers) -> bool:
    """Whether a run came to its end while the host was looked at: what was read may be of before and after."""
    runs, _, _ = history.parse(seen.journal)
    return any(_now(seen) - _moment(run.ended) < _READING_SECONDS for run in runs if run.has_changed and run.ended)


def _moment(text: str | None) -> float:
    """Of a time in the journal, in seconds since 1970; long ago where that cannot be read."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
