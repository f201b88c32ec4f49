"""Move a gateway, with all that it holds, to another host; the OpenClaw hosts are pointed at it.

    pyinfra inventory.py deploys/migrate.py --data source=OLD_HOST

Both hosts are in the inventory, the new one in the group `gateways`; the old one may be in no group of ours, and its
gateway one that was set up by hand. Everything is made ready and copied while it serves; then it is stopped for some
seconds. It serves again where anything fails, by its host's own doing where the run was cut off: then run this again.
`--dry` says what would be done. Options, each by `--data`: `target=HOST`, where there are several other gateways;
`replace=HOST`, where the new host has a gateway already, which goes to its backups; `container=NAME`, where the old
host has several; `limit=SECONDS` (240), after which the old gateway serves again whatever became of the run.
"""

from pyinfra import host, state

from gateway import docker, firewall, image, openclaw, service, skills, tiktoken
from gateway.backups import scheduled_backups
from gateway.canary import scheduled_canary
from gateway.contents import provisioning
from gateway.migration import migrating
from gateway.proving import verification

member = migrating.member_to_migrate(state, host)

if migrating.is_involved(member):
    if migrating.is_target(member):
        docker.install(member)
        firewall.install(member)
        migrating.place_files(member)
        image.provide(member)
        tiktoken.place(member)
        scheduled_backups.install(member)
    migrating.prepare(member)
    if migrating.is_target(member) and migrating.is_moved_already(member):
        service.publish(member)

migrating.carry_out(member)

if migrating.is_involved(member):
    if migrating.is_target(member) or member.is_openclaw:
        provisioning.reconcile(member)
    if member.is_openclaw:
        skills.place_client(member)
        openclaw.point_at_gateway(member)

migrating.finish(member)

if migrating.is_target(member):
    scheduled_canary.install(member)
    firewall.narrow(member)

if migrating.is_involved(member) and (migrating.is_target(member) or member.is_openclaw):
    verification.verify(member)
