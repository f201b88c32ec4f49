"""The end of a rotation: a token that was replaced goes once its successor is seen to be in use, and not before.

Each deployment does this too: what a rotation that was cut off has left is finished by whichever run comes next.
"""

from __future__ import annotations

from collections.abc import Generator

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_client import LLMClient, LLMError
from llm_gateway.contents import provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN, own_tokens, token_name
from llm_gateway.flavours import AdminError, Token, only
from llm_gateway.flavours.contents import Admin
from llm_gateway.hosts import progress, remote
from llm_gateway.hosts.answers import UnreadableError
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Agent, Gateway
from llm_gateway.model.asking import VerificationError
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.real_requests import complete
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready
from llm_gateway.proof import agent_environment, agent_path, openclaw_turn
from llm_gateway.proof.broken_links import Path, explain
from llm_gateway.tasks import survey
from llm_gateway.tasks.rotation import token_renewal

_OF_GATEWAYS = (VERIFICATION_TOKEN, CANARY_TOKEN)
"""Tokens whose keys are on no other host, and are read anew at each use."""


_READY_SECONDS = 60


def remove_old_tokens(gateway: Gateway) -> None:
    """Remove the tokens that were replaced, where their successors are in use; tell which ones stay, and why.

    To be called last, when all hosts have been given what is new.
    """
    _remove(name="Remove the tokens that were replaced", gateway=gateway)


@operation()
def _remove(gateway: Gateway) -> Generator[FunctionCommand, None, None]:
    """Entered where there are any; for that nothing is asked that the run knows already."""
    if not gateway.node.host.state.is_executing and not gateway.node.state.api_tokens:
        return  # it is not set up yet, or does not answer now
    try:
        with admin_api(gateway) as admin:
            old = _old_by_name(gateway, admin.tokens())
    except (AdminError, RouteError) as problem:
        if gateway.node.host.state.is_executing:
            yield remote.Callback(_fail, (provisioning.explained(gateway, problem),), {})
        return
    reached = [name for name in old if not _is_unreached(gateway, name)]
    if gateway.node.host.state.is_executing:
        for name in sorted(old.keys() - {*reached}):
            _tell_stays(gateway, name, f"{name} is not reached in this run")
    if reached:
        yield remote.Callback(_remove_now, (gateway, tuple(reached)), {})


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, problem)
    return False


def _old_by_name(gateway: Gateway, tokens: list[Token]) -> dict[str, list[Token]]:
    found = {name: token_renewal.old_ones(tokens, name) for name in own_tokens(gateway)}
    return {name: old for name, old in found.items() if old}


def _agent(gateway: Gateway, name: str) -> Agent | None:
    """The host whose token has that name; None for verification's and the canary's."""
    return {token_name(agent.name): agent for agent in gateway.agents}.get(name)


def _is_unreached(gateway: Gateway, name: str) -> bool:
    agent = _agent(gateway, name)
    return agent is not None and not agent.is_reached


def _tell_stays(gateway: Gateway, name: str, reason: str) -> None:
    remote.tell(
        gateway.node.host,
        f"the old token of {name} stays, and its key goes on working: {reason}. The next run that finds the new one"
        " in use removes it (rotate_keys.py or deploy.py)",
    )


def _remove_now(state: State, host: Host, gateway: Gateway, names: tuple[str, ...]) -> bool:
    gateway.is_outdated = True
    try:
        with (
            admin_api(gateway) as admin,
            route(host, gateway.address, gateway.settings.gateway_port) as way,
        ):
            tokens = admin.tokens()
            reasons, seen = _reasons(state, gateway, names, tokens, way)
            for name in (name for name in names if name not in reasons):
                _delete(host, admin, token_renewal.old_ones(tokens, name), name, seen.get(name, ""))
    except (AdminError, RouteError) as problem:
        remote.complain(host, f"not all old tokens are removed: {provisioning.explained(gateway, problem)}")
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"not all old tokens are removed: {problem}")
        return False
    for name, reason in reasons.items():
        _tell_stays(gateway, name, reason)
    return not reasons


def _delete(host: Host, admin: Admin, old: list[Token], name: str, seen: str) -> None:
    progress.step(host, f"rotate: removing the old token of {name}")
    for token in old:
        admin.delete_token(token.id)
    told = f"the token of {name} is new, and the key of the old one is refused"
    remote.tell(host, f"{told}; of OpenClaw: {seen}" if seen else told)


def _reasons(
    state: State, gateway: Gateway, names: tuple[str, ...], tokens: list[Token], way: httpx.BaseTransport
) -> tuple[dict[str, str], dict[str, str]]:
    """Why the old tokens of these names are still needed; the names where they are not are left out.

    And for each that is not needed, how OpenClaw was seen to use the new one.
    """
    seen: dict[str, str] = {}

    def in_use(name: str) -> str | None:
        agent = _agent(gateway, name)
        if (agent or gateway.node).host in state.failed_hosts:
            return f"{name} has failed in this run; the first error of it says why"
        made = only(tokens, name)
        if made is None:
            return "there is no new one"
        return _not_taken_up(agent, gateway, made.key, seen) if agent else _refused(gateway, made.key, way)

    def of_agent(agent: Agent) -> str | None:
        return in_use(token_name(agent.name))

    agents = [agent for name in names if (agent := _agent(gateway, name))]
    found = {token_name(a.name): reason for a, reason in zip(agents, concurrently(of_agent, agents), strict=True)}
    found |= {name: in_use(name) for name in _OF_GATEWAYS if name in names}
    return {name: reason for name, reason in found.items() if reason}, seen


def _not_taken_up(agent: Agent, gateway: Gateway, key: str, seen: dict[str, str]) -> str | None:
    """Why OpenClaw does not use a gateway's key yet, as its host says now, or gets no answer with it from there.

    Parameters: `seen`, is given how it was seen to use it.
    """
    unit = agent.settings.openclaw_unit
    gateway.token_keys[token_name(agent.name)] = key
    try:
        agent.machine.state = survey.read_state(agent.machine, lock=False)
        if openclaw.runs_with_older_files(agent):
            return f"{unit} on its host runs with what it read before: {openclaw.by_hand(agent, 'restart')}"
        asked = [each for each in agent_environment.on_disk(agent) if each.gateway is gateway]
        if not asked:
            return f"its host was not given the new one: {gateway.name} failed in this run"
        for environment in asked:
            agent_path.complete_once(agent, environment)
        is_asked = openclaw_config.has_command(agent) and not openclaw.is_stopped(agent)
        if is_asked and (state := openclaw_ready.look(agent, _READY_SECONDS)) != "ready":
            return f"{unit} on its host is not ready ({state}): {openclaw_ready.journal(agent)}"
        seen[token_name(agent.name)] = _seen(agent, gateway)
    except (remote.RemoteError, UnreadableError, OSError) as problem:
        return f"it cannot be seen which key its host uses: {problem}"
    except VerificationError as problem:
        return f"the new one gets no completion: {problem}"
    except openclaw_turn.TurnError as problem:
        return f"OpenClaw itself was not seen to use the new one: {problem}"
    return None


def _seen(agent: Agent, gateway: Gateway) -> str:
    """How OpenClaw is seen to use its new key. Raises TurnError and RemoteError."""
    if gateway is not agent.gateway:
        reason: str | None = f"{gateway.name} is its fallback, which it asks where {agent.nodes[0].name} is gone"
    elif (reason := openclaw_turn.no_embedding(agent)) is None:
        return openclaw_turn.embed(agent)
    if openclaw.is_stopped(agent):
        return f"{reason}, and will read the new key when it is started"
    unit = agent.settings.openclaw_unit
    return f"{unit} was started after its .env had the new key; its own request was not seen ({reason})"


def _refused(gateway: Gateway, key: str, way: httpx.BaseTransport) -> str | None:
    """Why a key of a gateway's own gets no completion."""
    model, seconds = gateway.settings.llm_model, gateway.settings.verification_timeout
    client = LLMClient(f"{gateway.base_url}/v1", f"sk-{key}", transport=way)
    try:
        complete(client, model, seconds)
    except LLMError as problem:
        return f"the new one gets no completion: {explain(Path(gateway.name, gateway, model), problem, seconds)}"
    except VerificationError as problem:
        return f"the new one gets no completion: {problem}"
    return None
