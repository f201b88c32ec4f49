"""Put a gateway's data back, from a backup or from what people have kept of them, onto the same host or another one.

    pyinfra inventory.py deploys/restore.py
    pyinfra inventory.py deploys/restore.py --data backup=gateway-20261122T101100Z.tar.gz
    pyinfra inventory.py deploys/restore.py --data host=gw2 --data backup=/path/on/this/machine

Without `backup` it is the newest one in backups/ on the host. A path may be a backup, a directory or a tar archive with
the data of a gateway, or a one-api.db alone. What is replaced is kept. Where the restored gateway does not answer a
real completion, the old data are put back, and the old gateway serves again: by its host's own doing where the run was
cut off. `--dry` says what would be replaced by what. A host whose gateway was moved away, or that one is on its way to,
wants `--data yes=HOST`.
"""

from pyinfra import host, state

from gateway import docker, firewall, image, openclaw, skills, tiktoken
from gateway.backups import scheduled_backups
from gateway.canary import scheduled_canary
from gateway.proving import verification
from gateway.restore import restoring

# Reads what is to be restored to its end; nothing is touched when anything of it is wrong.
member = restoring.member_to_restore(state, host)

if restoring.is_target(member):
    docker.install(member)
    firewall.install(member)
    restoring.prepare(member)
    image.provide(member)
    tiktoken.place(member)
    scheduled_backups.install(member)

restoring.restore(member)

if restoring.is_target(member):
    scheduled_canary.install(member)

if restoring.is_user(member):
    skills.place_client(member)
    openclaw.point_at_gateway(member)

if restoring.is_target(member):
    firewall.narrow(member)

if restoring.is_target(member) or restoring.is_user(member):
    verification.verify(member)
