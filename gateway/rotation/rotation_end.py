"""The end of a rotation: a token that was replaced goes once its successor is seen to be in use, and not before.

Each deployment does this too: what a rotation that was cut off has left is finished by whichever run comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from client import LLMClient, LLMError
from gateway import openclaw, remote
from gateway.concurrency import concurrently
from gateway.contents import provisioning
from gateway.contents.admin import admin_api
from gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN, own_tokens, token_name
from gateway.host_state import UnreadableError
from gateway.proving.broken_links import Path, VerificationError, explain
from gateway.proving.real_requests import complete
from gateway.proving.verification_keys import key_in_environment_file
from gateway.rotation import rotated_tokens
from gateway.route import RouteError, route
from gateway.runs import progress
from oneapi import AdminClient, OneAPIError, Token, only

if TYPE_CHECKING:
    from gateway.fleet import Member


_OF_GATEWAYS = (VERIFICATION_TOKEN, CANARY_TOKEN)
"""Tokens whose keys are on no other host, and are read anew at each use."""


def remove_old_tokens(member: Member) -> None:
    """Remove the tokens that were replaced, where their successors are in use; tell which ones stay, and why.

    To be called last, when all hosts have been given what is new.
    """
    if member.is_gateway:
        _remove(name="Remove the tokens that were replaced", member=member)


@operation()
def _remove(member: Member) -> Generator[FunctionCommand, None, None]:
    """Entered where there are any; for that nothing is asked that the run knows already."""
    if not member.host.state.is_executing and not member.state.text("api_tokens"):
        return  # it is not set up yet, or does not answer now
    try:
        with admin_api(member) as admin:
            old = _old_by_name(member, admin.tokens())
    except (OneAPIError, RouteError) as problem:
        if member.host.state.is_executing:
            yield remote.Callback(_fail, (provisioning.explained(member, problem),), {})
        return
    reached = [name for name in old if not _is_unreached(member, name)]
    if member.host.state.is_executing:
        for name in sorted(old.keys() - {*reached}):
            _tell_stays(member, name, f"{name} is not reached in this run")
    if reached:
        yield remote.Callback(_remove_now, (member, tuple(reached)), {})


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, problem)
    return False


def _old_by_name(member: Member, tokens: list[Token]) -> dict[str, list[Token]]:
    found = {name: rotated_tokens.old_ones(tokens, name) for name in own_tokens(member)}
    return {name: old for name, old in found.items() if old}


def _agent(member: Member, name: str) -> Member:
    """The host whose token has that name; for verification's and the canary's, the gateway itself."""
    agents = {token_name(agent.name): agent for agent in member.fleet.agents_of(member)}
    return agents.get(name, member)


def _is_unreached(member: Member, name: str) -> bool:
    return _agent(member, name).name not in member.fleet.members


def _tell_stays(member: Member, name: str, reason: str) -> None:
    remote.tell(
        member.host,
        f"the old token of {name} stays, and its key goes on working: {reason}. The next run that finds the new one"
        " in use removes it (rotate_keys.py or deploy.py)",
    )


def _remove_now(state: State, host: Host, member: Member, names: tuple[str, ...]) -> bool:
    member.is_republished = True  # what was read of it at the start need not hold any more
    try:
        with (
            admin_api(member) as admin,
            route(host, member.address, member.settings.gateway_port) as way,
        ):
            tokens = admin.tokens()
            reasons = _reasons(state, member, names, tokens, way)
            for name in (name for name in names if name not in reasons):
                _delete(host, admin, rotated_tokens.old_ones(tokens, name), name)
    except (OneAPIError, RouteError) as problem:
        remote.complain(host, f"not all old tokens are removed: {provisioning.explained(member, problem)}")
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"not all old tokens are removed: {problem}")
        return False
    for name, reason in reasons.items():
        _tell_stays(member, name, reason)
    return not reasons


def _delete(host: Host, admin: AdminClient, old: list[Token], name: str) -> None:
    progress.step(host, f"rotate: removing the old token of {name}")
    for token in old:
        admin.delete_token(token.id)
    remote.tell(host, f"the token of {name} is new, and the key of the old one is refused")


def _reasons(
    state: State, member: Member, names: tuple[str, ...], tokens: list[Token], way: httpx.BaseTransport
) -> dict[str, str]:
    """Why the old tokens of these names are still needed; the names where they are not are left out."""

    def in_use(name: str) -> str | None:
        agent = _agent(member, name)
        if agent.host in state.failed_hosts:
            return f"{name} has failed in this run; the first error of it says why"
        made = only(tokens, name)
        if made is None:
            return "there is no new one"
        if name not in _OF_GATEWAYS and (reason := _not_taken_up(agent, made.key)):
            return reason
        return _refused(agent, member, made.key, way)

    def of_agent(agent: Member) -> str | None:
        return in_use(token_name(agent.name))

    agents = [_agent(member, name) for name in names if name not in _OF_GATEWAYS]
    found = {token_name(a.name): reason for a, reason in zip(agents, concurrently(of_agent, agents), strict=True)}
    found |= {name: in_use(name) for name in _OF_GATEWAYS if name in names}
    return {name: reason for name, reason in found.items() if reason}


def _not_taken_up(agent: Member, key: str) -> str | None:
    """Why OpenClaw does not use a key yet, as its host says now."""
    try:
        agent.state = agent.read_state(lock=False)
        present = key_in_environment_file(agent)
    except (remote.RemoteError, UnreadableError, VerificationError, OSError) as problem:
        return f"it cannot be seen which key its host uses: {problem}"
    if present != key:
        return f"{openclaw.environment_path(agent)} on its host has another key than the new one"
    if openclaw.runs_with_older_files(agent):
        return (
            f"{agent.settings.openclaw_unit} on its host runs with what it read before; its restart has not succeeded"
        )
    return None


def _refused(asker: Member, gateway: Member, key: str, way: httpx.BaseTransport) -> str | None:
    """Why a key gets no completion, by the way that is open to the gateway."""
    model, seconds = asker.settings.llm_model, asker.settings.verification_timeout
    client = LLMClient(f"{gateway.base_url}/v1", f"sk-{key}", transport=way)
    try:
        complete(client, model, seconds)
    except LLMError as problem:
        return f"the new one gets no completion: {explain(Path(asker, gateway, model), problem, seconds)}"
    except VerificationError as problem:
        return f"the new one gets no completion: {problem}"
    return None
