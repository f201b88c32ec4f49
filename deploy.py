"""Turn hosts into private, verified LLM gateways, and point OpenClaw hosts at them.

    pyinfra inventory.py deploy.py

Every step changes only what differs, so that a second run changes nothing. Settings: group_data/all.py.
"""

from pyinfra import host, state

from gateway import docker, firewall, first_start, fleet, image, installation, openclaw, service, skills, tiktoken
from gateway.backups import scheduled_backups
from gateway.canary import scheduled_canary
from gateway.contents import provisioning
from gateway.proving import verification
from gateway.rotation import rotating, rotation_end
from gateway.upgrades import upgrade

# Checks every host's settings and state; nothing is touched when anything anywhere is wrong.
member = fleet.member_to_deploy(state, host)

if member.is_gateway:
    docker.install(member)
    firewall.install(member)
    if upgrade.is_due(member):
        upgrade.carry_out(member)
    else:
        installation.install_files(member)
        image.provide(member)
        tiktoken.place(member)
        first_start.secure(member)
        service.publish(member)
    scheduled_backups.install(member)
    scheduled_canary.install(member)
    rotating.resume(member)

provisioning.reconcile(member)

if member.is_openclaw:
    skills.place_client(member)
    openclaw.point_at_gateway(member)

firewall.narrow(member)
verification.verify(member)
rotation_end.remove_old_tokens(member)
