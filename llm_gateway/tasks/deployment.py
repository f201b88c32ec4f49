"""A whole deployment, one line a step: of the gateway, and then of the OpenClaw hosts that use it.

Both are called for every host of the run: a host that has no gateway, or no OpenClaw, is passed over.
"""

from __future__ import annotations

from llm_gateway.contents import budgets, provisioning
from llm_gateway.hosts.topology import Machine, Node
from llm_gateway.parts import (
    firewall,
    first_start,
    image,
    installation,
    log_pruning,
    packages,
    page_server,
    postgresql,
    service,
    skills,
    tiktoken,
)
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.proof import around
from llm_gateway.tasks import agent_switch, verification
from llm_gateway.tasks.rotation import rotation, rotation_end
from llm_gateway.tasks.upgrades import upgrade


def deploy_gateway(machine: Machine) -> None:
    """Bring the gateway up, with what it is to hold, and have it answer with a token of its own."""
    if node := machine.node:
        packages.install(node)
        postgresql.check(node)
        firewall.install(node)
        if upgrade.is_due(node):
            upgrade.carry_out(node)
        else:
            if first_start.finds_database(node):
                installation.install_beside(node)
            else:
                installation.install_files(node)
            image.provide(node)
            tiktoken.place(node)
            first_start.secure(node, around.prove)
            service.publish(node)
        scheduled_backups.install(node)
        look_after(node)
        rotation.resume(node)
    provisioning.reconcile(machine)
    if node:
        budgets.install(node)
        firewall.narrow(node)
    verification.prove_gateway(machine)


def look_after(node: Node) -> None:
    """Put in place what looks after a gateway that serves from now on, wherever it came from."""
    scheduled_canary.install(node)
    log_pruning.install(node)
    page_server.install(node)


def point_openclaw(machine: Machine) -> None:
    """Point OpenClaw at its gateway, and have both verified by a real completion and a real embedding."""
    if agent := machine.agent:
        agent_switch.point_at_gateway(agent)
        skills.place_client(agent)
    verification.verify(machine)
    if machine.node:
        rotation_end.remove_old_tokens(machine.node.gateway)
