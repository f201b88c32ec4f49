"""The tokens of OpenClaw hosts that the gateway is taken off, revoked on the gateways that stay."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import token_name
from llm_gateway.contents.provisioning import explained
from llm_gateway.flavours.oneapi import OneAPIError, Token
from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError
from llm_gateway.model import layout
from llm_gateway.parts import database
from llm_gateway.tasks.removal import scope


def revoke(member: Member) -> None:
    """Revoke them on a gateway; on other hosts, wait until all gateways have.

    As `provisioning.reconcile`, an operation that all hosts share: agents come before it, gateways that go after it.
    """
    _revoke(name="Revoke the tokens of the OpenClaw hosts that are removed", member=member)


def is_due(member: Member) -> bool:
    """Whether this is a gateway that stays and has had OpenClaw hosts that go."""
    return member.is_gateway and not scope.is_chosen(member) and bool(_agents(member))


def _agents(member: Member) -> list[Member]:
    return [agent for agent in member.fleet.agents_of(member) if scope.is_chosen(agent)]


@operation()
def _revoke(member: Member) -> Generator[FunctionCommand, None, None]:
    if not is_due(member) or not member.state.has_secrets:
        return
    try:
        with admin_api(member) as admin:
            doomed = _doomed(member, admin.tokens())
    except (OneAPIError, RouteError) as problem:
        names = ", ".join(token_name(agent.name) for agent in _agents(member))
        scope.mention(
            member,
            f"{explained(member, problem)}. The token {names} stays valid: delete it in the admin page, or run this"
            " again when the gateway answers",
        )
        return
    for agent, token in doomed:
        yield remote.Callback(_delete, (member, agent, token), {})


def _doomed(member: Member, tokens: list[Token]) -> list[tuple[Member, Token]]:
    """The tokens of theirs that a deployment has made, also those that a rotation has left."""
    found = []
    for agent in _agents(member):
        name = token_name(agent.name)
        ours = member.record.ids.get(f"token:{name}")
        found += [(agent, each) for each in tokens if (each.name, each.id) == (name, ours)]
    return found


def _delete(state: State, host: Host, member: Member, agent: Member, token: Token) -> bool:
    if agent.host in state.failed_hosts:
        remote.tell(host, f"the token {token.name} stays, because {agent.name} failed")
        return True
    try:
        step(host, f"remove: revoking the token {token.name}")
        with admin_api(member) as admin:
            admin.delete_token(token.id)
        kept = member.record.without("token", token.name)
        remote.write_now(host, f"{member.directory}/{layout.APPLIED_KEYS}", kept.content(), "600")
        member.record = kept
    except (OneAPIError, RouteError, remote.RemoteError) as problem:
        remote.complain(host, f"the token {token.name} could not be revoked: {database.told(member, problem)}")
        return False
    return True
