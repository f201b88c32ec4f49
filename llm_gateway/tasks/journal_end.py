"""The last lines of a run in its hosts' journals: how it ended, where it has changed or failed something."""

from __future__ import annotations

import sys
from typing import Any

from pyinfra.api.state import State, StateStage

from llm_gateway.hosts import invocation, journal, remote
from llm_gateway.hosts.interruption import INTERRUPTED
from llm_gateway.hosts.topology import Machine
from llm_gateway.model import layout
from llm_gateway.model.concurrency import concurrently
from llm_gateway.tasks import outcome
from llm_gateway.tasks.survey import current


def close(state: State) -> None:
    """At the end of a run, while its hosts are still connected: how it ended."""
    surveyed = current(state)
    if surveyed is None:
        return
    ending = sys.exc_info()[1]
    if state.current_stage < StateStage.Execute and _is_failure(ending):
        surveyed.note_refusal(surveyed.machines.values())
        return
    run = journal.notes_of(state)
    is_carried_out = state.current_stage >= StateStage.Execute and not invocation.is_plan_now()

    def write(machine: Machine) -> None:
        if machine.name in run.closed:
            return
        has_failed = machine.host in state.failed_hosts and state.current_stage >= StateStage.Execute
        has_found_all_well = (
            is_carried_out and machine.state.last_run_is_bad and _outcome(state, machine, ending) == "done"
        )
        if not has_failed and machine.name not in run.changing and not has_found_all_well:
            return  # nothing was done, or it was refused before anything was
        facts: dict[str, Any] = {"changes": outcome.changes_on(state, machine.host)}
        if failed_at := outcome.failure_on(state, machine.host):
            facts["failed_at"] = failed_at
        if machine.node:
            facts["image"] = machine.settings.gateway_image
        try:
            journal.end(machine.host, _outcome(state, machine, ending), **facts)
        except remote.RemoteError as problem:
            remote.complain(machine.host, f"the end of this run could not be written into {layout.JOURNAL}: {problem}")

    concurrently(write, surveyed.machines.values())


def _is_failure(ending: BaseException | None) -> bool:
    """Whether a run ended so because it was refused: not by its person, and not as it should."""
    return ending is not None and getattr(ending, "code", 1) not in (0, None, INTERRUPTED)


def _outcome(state: State, machine: Machine, ending: BaseException | None) -> str:
    is_exit = isinstance(ending, SystemExit)
    if is_exit and getattr(ending, "code", None) == INTERRUPTED:
        return "interrupted"
    # pyinfra always exits; its code speaks of all hosts.
    return "failed" if machine.host in state.failed_hosts or (ending is not None and not is_exit) else "done"
