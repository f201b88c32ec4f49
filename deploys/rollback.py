"""Have every gateway serve with the image again that served before its last upgrade.

    pyinfra inventory.py --limit gw1 deploys/rollback.py
    pyinfra inventory.py --limit gw1 --limit agent1 --data yes=gw1 deploys/rollback.py

The second form where the newer image has changed the database's schema: the data from before the upgrade come back
then, with the keys of that day, and what was written since is kept in a backup only. The OpenClaw hosts of the run get
their tokens again; those that are not in it are named. Pin the image in the inventory afterwards.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.parts import firewall, packages
from llm_gateway.tasks import agent_switch, verification
from llm_gateway.tasks.upgrades import rollback

machine = rollback.machine_to_roll_back(state, host)
user = rollback.user_on(machine)

if machine.node:
    packages.install_beside_docker(machine.node)  # a host of an earlier version has no firewall, which the unit needs
    firewall.install(machine.node)
rollback.roll_back(machine)

if machine.node:
    firewall.narrow(machine.node)

verification.prove_gateway(machine)

if user:
    agent_switch.point_at_gateway(user)

if machine.node or user:
    verification.verify(machine)
