"""The proof that OpenClaw itself uses its gateway, by its own word: what its command resolves, and that it is ready."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready

_LOOK_SECONDS = 10


def verify(member: Member) -> None:
    """Ask the OpenClaw of this host; the run fails where it uses something else, or is not ready."""
    if member.is_openclaw and openclaw.has_unit(member):
        _verify(name="Ask OpenClaw itself whether it uses the gateway", member=member)


@operation()
def _verify(member: Member) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if not member.host.state.is_executing:
        return
    try:
        problem = _problem(member)
    except remote.RemoteError as refused:
        problem = f"OpenClaw's own command fails: {refused}"
    if problem:
        yield remote.Callback(_fail, (problem,), {})
    elif openclaw_config.is_managed(member):
        provider, url = member.settings.openclaw_provider, f"{member.gateway.base_url}/v1"
        remote.tell(member.host, f"OpenClaw is ready, and by its own word uses {url} as {provider}")
    else:
        ready = "is ready" if openclaw_config.has_command(member) else "runs"
        remote.tell(member.host, f"{member.settings.openclaw_unit} {ready}; what it uses is not known")


def _problem(member: Member) -> str | None:
    """What is wrong with the unit, its readiness or its configuration, in this order. Raises RemoteError."""
    unit, state = member.settings.openclaw_unit, member.state.openclaw_unit.get("ActiveState")
    if state != "active":
        return f"{unit} is {state}: {openclaw_ready.journal(member)}"
    if openclaw.runs_with_older_files(member):
        return f"{unit} runs with what it read before its .env or drop-in was changed: run deploy.py, which restarts it"
    if openclaw_config.has_command(member) and (found := openclaw_ready.look(member, _LOOK_SECONDS)) != "ready":
        if found.startswith("down "):
            return f"{unit} {openclaw_ready.ended(member, found)}"
        return f"{unit} is not ready ({found}): {openclaw_ready.journal(member)}"
    return _configuration_problem(member)


def _configuration_problem(member: Member) -> str | None:
    if not openclaw_config.is_managed(member):
        return openclaw_ready.rejected(member)
    try:
        return openclaw_config.unused(member)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError:
        # It tells no value of a configuration that is not valid: which it then says in its own words.
        if problem := openclaw_config.invalid(member):
            return problem
        raise


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, f"verification failed: {problem}")
    return False
