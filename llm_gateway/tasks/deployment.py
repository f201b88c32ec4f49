"""A whole deployment, one line a step: of the gateway, and then of the OpenClaw hosts that use it.

Both are called for every host of the run: a host that has no gateway, or no OpenClaw, is passed over.
"""

from __future__ import annotations

from llm_gateway.contents import provisioning
from llm_gateway.hosts.member import Member
from llm_gateway.parts import firewall, first_start, image, installation, log_pruning, service, skills, tiktoken
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.docker import packages
from llm_gateway.proof import around
from llm_gateway.tasks import agent_switch, verification
from llm_gateway.tasks.rotation import rotation, rotation_end
from llm_gateway.tasks.upgrades import upgrade


def deploy_gateway(member: Member) -> None:
    """Bring the gateway up, with what it is to hold, and have it answer with a token of its own."""
    if member.is_gateway:
        packages.install(member)
        firewall.install(member)
        scheduled_backups.install_packages(member)  # the first start looks into the database
        if upgrade.is_due(member):
            upgrade.carry_out(member)
        else:
            if first_start.finds_database(member):
                installation.install_beside(member)
            else:
                installation.install_files(member)
            image.provide(member)
            tiktoken.place(member)
            first_start.secure(member, around.prove)
            service.publish(member)
        scheduled_backups.install(member)
        scheduled_canary.install(member)
        log_pruning.install(member)
        rotation.resume(member)
    provisioning.reconcile(member)
    firewall.narrow(member)
    verification.prove_gateway(member)


def point_openclaw(member: Member) -> None:
    """Point OpenClaw at its gateway, and have both verified by a real completion and a real embedding."""
    if member.is_openclaw:
        agent_switch.point_at_gateway(member)
        skills.place_client(member)
    verification.verify(member)
    rotation_end.remove_old_tokens(member)
