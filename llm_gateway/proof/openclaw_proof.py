"""The proof that OpenClaw itself uses its gateway, by its own word: what its command resolves, and that it is ready."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready

_LOOK_SECONDS = 10


def verify(agent: Agent) -> None:
    """Ask the OpenClaw of this host; the run fails where it uses something else, or is not ready."""
    if openclaw.has_unit(agent):
        _verify(name="Ask OpenClaw itself whether it uses the gateway", agent=agent)


@operation()
def _verify(agent: Agent) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if not agent.host.state.is_executing:
        return
    try:
        problem = _problem(agent)
    except remote.RemoteError as refused:
        problem = f"OpenClaw's own command fails: {refused}"
    if problem:
        yield remote.Callback(_fail, (problem,), {})
    elif openclaw_config.is_managed(agent):
        there = zip(openclaw_config.providers(agent), openclaw.places(agent), strict=True)
        named = ", then ".join(f"{place.base_url} as {provider.name}" for provider, place in there)
        remote.tell(agent.host, f"OpenClaw is ready, and by its own word uses {named}")
    else:
        ready = "is ready" if openclaw_config.has_command(agent) else "runs"
        remote.tell(agent.host, f"{agent.settings.openclaw_unit} {ready}; what it uses is not known")


def _problem(agent: Agent) -> str | None:
    """What is wrong with the unit, its readiness or its configuration, in this order. Raises RemoteError."""
    unit, state = agent.settings.openclaw_unit, agent.state.openclaw_unit.get("ActiveState")
    if state != "active":
        return f"{unit} is {state}: {openclaw_ready.journal(agent)}"
    if openclaw.runs_with_older_files(agent):
        return f"{unit} runs with what it read before its .env or drop-in was changed: run deploy.py, which restarts it"
    if openclaw_config.has_command(agent) and (found := openclaw_ready.look(agent, _LOOK_SECONDS)) != "ready":
        if found.startswith("down "):
            return f"{unit} {openclaw_ready.ended(agent, found)}"
        return f"{unit} is not ready ({found}): {openclaw_ready.journal(agent)}"
    return _configuration_problem(agent)


def _configuration_problem(agent: Agent) -> str | None:
    if not openclaw_config.is_managed(agent):
        return openclaw_ready.rejected(agent)
    try:
        return openclaw_config.unused(agent)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError:
        # It tells no value of a configuration that is not valid: which it then says in its own words.
        if problem := openclaw_config.invalid(agent):
            return problem
        raise


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, f"verification failed: {problem}")
    return False
