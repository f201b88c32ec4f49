"""Put a gateway's data back, from a backup or from what people have kept of them, onto the same host or another one.

    pyinfra inventory.py deploys/restore.py
    pyinfra inventory.py deploys/restore.py --data backup=gateway-20261122T101100Z.tar.gz
    pyinfra inventory.py deploys/restore.py --data host=gw2 --data backup=/path/on/this/machine

Without `backup` it is the newest one in backups/ on the host. A path may be a backup, a directory or a tar archive with
the data of a gateway, or a one-api.db alone; one that looks like a number is written ./1.10. What is replaced is kept.
Where the restored gateway does not answer a real completion, the old data are put back, and the old gateway serves
again: by its host's own doing where the run was cut off. `--dry` says what would be replaced by what. A host whose
gateway was moved away, or that one is on its way to, wants `--data yes=HOST`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.contents import budgets
from llm_gateway.parts import firewall, image, packages, skills, tiktoken
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.tasks import agent_switch, deployment, verification
from llm_gateway.tasks.restore import restore

# Reads what is to be restored to its end; nothing is touched when anything of it is wrong.
machine = restore.machine_to_restore(state, host)
target, user = restore.target_on(machine), restore.user_on(machine)

if target:
    packages.install(target)
    firewall.install(target)
    restore.prepare(target)
    image.provide(target)
    tiktoken.place(target)
    scheduled_backups.install(target)

restore.restore(machine)

if target:
    deployment.look_after(target)
    budgets.install(target)
    firewall.narrow(target)

verification.prove_gateway(machine)

if user:
    agent_switch.point_at_gateway(user)
    skills.place_client(user)

if target or user:
    verification.verify(machine)
