"""Move a gateway, with all that it holds, to another host; the OpenClaw hosts are pointed at it.

    pyinfra inventory.py deploys/migrate.py --data source=OLD_HOST

Both hosts are in the inventory, the new one in the group `gateways`; the old one may be in no group of ours, and its
gateway one that was set up by hand. Everything is made ready and copied while it serves; then it is stopped for some
seconds. It serves again where anything fails, by its host's own doing where the run was cut off: then run this again.
`--dry` says what would be done. Options, each by `--data`: `target=HOST`, where there are several other gateways;
`replace=HOST`, where the new host has a gateway already, which goes to its backups; `container=NAME`, where the old
host has several; `limit=SECONDS` (240), after which the old gateway serves again whatever became of the run.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.contents import budgets, provisioning
from llm_gateway.parts import firewall, image, packages, service, skills, tiktoken
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.tasks import agent_switch, deployment, verification
from llm_gateway.tasks.migration import migration

machine = migration.machine_to_migrate(state, host)
is_involved, target = migration.is_involved(machine), migration.target_on(machine)
agent = machine.agent if is_involved else None

if target:
    packages.install(target)
    firewall.install(target)
    migration.place_files(target)
    image.provide(target)
    tiktoken.place(target)
    scheduled_backups.install(target)
if is_involved:
    migration.prepare(machine)
if target and migration.is_moved_already(machine):
    service.publish(target)

migration.carry_out(machine)

if target or agent:
    provisioning.reconcile(machine)
    if target:
        budgets.install(target)
    verification.prove_gateway(machine)
if agent:
    agent_switch.point_at_gateway(agent)
    skills.place_client(agent)

migration.finish(machine)

if target:
    deployment.look_after(target)
    firewall.narrow(target)

if target or agent:
    verification.verify(machine)
