"""What a person wants to know at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State, StateStage

from llm_gateway.hosts import invocation
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.model import dotenv, layout
from llm_gateway.parts import first_start, skills
from llm_gateway.parts.openclaw import openclaw, openclaw_config
from llm_gateway.tasks import outcome, survey
from llm_gateway.tasks.migration import move
from llm_gateway.tasks.removal import scope


@dataclass(frozen=True)
class HostResult:
    """What became of a host in a run.

    Args:
        ending: "failed", "interrupted" or "not reached" where it did not come to the end, else "".
        failed_at: the step that failed, where one did.
        changes: the steps that have changed something, in their order.
        left: the steps that it did not come to.
        role: what it is now, where it came to the end.
    """

    name: str
    ending: str = ""
    failed_at: str = ""
    changes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    role: str = ""
    nothing: str = "nothing was changed"


def results(state: State) -> list[HostResult]:
    """What became of each host; empty where the run has not begun to change any."""
    surveyed = survey.current(state)
    if surveyed is None or state.current_stage < StateStage.Execute:
        return []
    reached = [_result(state, machine) for machine in surveyed.machines.values()]
    missed = [host for host in _wanted(state) if str(host.name) not in surveyed.machines]
    return [*reached, *(HostResult(str(host.name), "not reached") for host in missed)]


def tell(state: State, is_interrupted: bool) -> None:
    """At the end of a run that was carried out, or begun to be: on each host, what was done and what was not."""
    found = results(state)
    for result in found:
        (_tell_unfinished if result.ending else _tell_done)(result)
    if any(result.ending for result in found):
        why = "" if is_interrupted else "Fix what failed (the errors above say why), then "
        text = f"{why}run the same command again to resume: {invocation.command()}"
        logger.error(text[0].upper() + text[1:])


def _wanted(state: State) -> Iterator[Host]:
    """The hosts that the run was to work on, reached or not."""
    return (host for host in state.inventory if state.is_host_in_limit(host))


def _result(state: State, machine: Machine) -> HostResult:
    host, name = machine.host, machine.name
    changes, left = tuple(outcome.changes_on(state, host)), tuple(outcome.not_carried_out(state, host))
    if host in state.failed_hosts:
        return HostResult(name, "failed", outcome.failure_on(state, host) or "", changes, left)
    if left:
        return HostResult(name, "interrupted", "", changes, left)
    nothing = "nothing else was changed" if _has_moved_away(machine) else "nothing was changed"
    return HostResult(name, changes=changes, role=_role(machine, bool(changes)), nothing=nothing)


def _tell_unfinished(result: HostResult) -> None:
    if result.ending == "not reached":
        logger.error(f"{result.name}: NOT REACHED; nothing was done on it")
        return
    logger.error(f"{result.name}: {result.ending.upper()}{f' at: {result.failed_at}' if result.failed_at else ''}")
    logger.error(f"  done: {'; '.join(result.changes) or 'nothing'}")
    if result.left:
        logger.error(f"  not done: {'; '.join(result.left)}")


def _tell_done(result: HostResult) -> None:
    """Where each gateway is, where its secrets are, what was changed."""
    count = len(result.changes)
    told = f"{count} change{'s' if count > 1 else ''}" if count else result.nothing
    logger.info(f"{result.name}: {'; '.join(filter(None, (result.role, told)))}")
    for change in result.changes:
        logger.info(f"  {change}")


def _role(machine: Machine, is_changed: bool) -> str:
    if scope.is_under_way(machine.host):
        return "no deployment on it"
    roles = []
    if target := _has_moved_away(machine):
        roles.append(f"its gateway was moved to {target}, and is stopped here")
    if (node := machine.node) and not is_changed and not _serves(node):
        roles.append("no gateway of ours runs on it")  # what answers there may be anything
    elif node:
        roles.append(
            f"admin page {node.base_url} (user root; password in {node.directory}/{layout.SECRETS} on the host)"
        )
    if agent := machine.agent:
        roles.append(f"{_openclaw(agent)} {_used_by_openclaw(agent)}")
    if agent and agent.settings.openclaw_workspace:
        roles.append(f"Skills require {skills.client_path(agent)}")
    return ", ".join(roles)


def _serves(node: Node) -> bool:
    """Whether its gateway was set up and ran when the run began."""
    return first_start.is_done(node) and bool((node.state.container or {}).get("State", {}).get("Running"))


def _openclaw(agent: Agent) -> str:
    """Whether OpenClaw's own configuration follows its .env, which alone makes it use what that names."""
    changed, due = agent.environment_changed, openclaw_config.is_due(agent)
    if openclaw.is_left_running(agent):
        uses = not (changed or due or openclaw.runs_with_older_files(agent))
    else:
        uses = changed or not due
    return "OpenClaw uses" if uses and openclaw_config.is_managed(agent) else "OpenClaw's .env names"


def _used_by_openclaw(agent: Agent) -> str:
    """What its .env names: not every run points it at the gateway that it should use."""
    if agent.environment_changed:
        return ", then ".join(place.base_url for place in openclaw.places(agent))
    text = agent.state.openclaw_env or ""
    try:
        values = dotenv.read(text)
    except dotenv.DotenvError as problem:
        return f"what its .env says, which cannot be read: {problem}"
    named = [values.get("LLM_BASE_URL"), *(each.base_url for each in openclaw.accesses(text)[1:])]
    return ", then ".join(filter(None, named)) or "no gateway of ours yet"


def _has_moved_away(machine: Machine) -> str | None:
    """The host that this run has moved its gateway to, or has found it to be on already."""
    migration = move.known(machine.host.state)
    if migration is None or not migration.is_over or migration.source_name != machine.name:
        return None
    return migration.target_name
