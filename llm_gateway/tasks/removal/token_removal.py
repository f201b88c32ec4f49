"""The tokens of OpenClaw hosts that the gateway is taken off, revoked on the gateways that stay."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import token_name
from llm_gateway.contents.provisioning import explained
from llm_gateway.flavours import AdminError, Token
from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Gateway, Machine
from llm_gateway.model import layout
from llm_gateway.parts import database
from llm_gateway.tasks.removal import scope


def revoke(machine: Machine) -> None:
    """Revoke them on a gateway; on other hosts, wait until all gateways have.

    As `provisioning.reconcile`, an operation that all hosts share: agents come before it, gateways that go after it.
    """
    _revoke(name="Revoke the tokens of the OpenClaw hosts that are removed", machine=machine)


def is_due(machine: Machine) -> bool:
    """Whether this is a gateway that stays and has had OpenClaw hosts that go."""
    return (
        machine.node is not None
        and not scope.is_chosen(machine.host)
        and bool(scope.chosen_agents(machine.node.gateway))
    )


@operation()
def _revoke(machine: Machine) -> Generator[FunctionCommand, None, None]:
    if machine.node is None or not is_due(machine) or not machine.state.has_secrets:
        return
    gateway = machine.node.gateway
    try:
        with admin_api(gateway) as admin:
            doomed = _doomed(gateway, admin.tokens())
    except (AdminError, RouteError) as problem:
        names = ", ".join(token_name(agent.name) for agent in scope.chosen_agents(gateway))
        scope.mention(
            machine.host,
            f"{explained(gateway, problem)}. The token {names} stays valid: delete it in the admin page, or run this"
            " again when the gateway answers",
        )
        return
    for agent, token in doomed:
        yield remote.Callback(_delete, (gateway, agent, token), {})


def _doomed(gateway: Gateway, tokens: list[Token]) -> list[tuple[Agent, Token]]:
    """The tokens of theirs that a deployment has made, also those that a rotation has left."""
    found = []
    for agent in scope.chosen_agents(gateway):
        name = token_name(agent.name)
        ours = gateway.record.ids.get(f"token:{name}")
        found += [(agent, each) for each in tokens if (each.name, each.id) == (name, ours)]
    return found


def _delete(state: State, host: Host, gateway: Gateway, agent: Agent, token: Token) -> bool:
    if agent.host in state.failed_hosts:
        remote.tell(host, f"the token {token.name} stays, because {agent.name} failed")
        return True
    try:
        step(host, f"remove: revoking the token {token.name}")
        with admin_api(gateway) as admin:
            admin.delete_token(token.id)
        kept = gateway.record.without("token", token.name)
        remote.write_now(host, f"{gateway.node.directory}/{layout.APPLIED_KEYS}", kept.content(), "600")
        gateway.record = kept
    except (AdminError, RouteError, remote.RemoteError) as problem:
        remote.complain(host, f"the token {token.name} could not be revoked: {database.told(gateway, problem)}")
        return False
    return True
