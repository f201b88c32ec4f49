"""Give consumers and gateways new keys; nobody is without a working one meanwhile.

    pyinfra inventory.py deploys/rotate_keys.py --data keys=tokens

`keys`: tokens (of the OpenClaw hosts and of verification), access_token, root_password, session_secret (the gateway
starts anew, and everybody is logged out of the admin page), several with commas between, or all. An old token goes only
when the new one is seen in use. What is cut off, the next run finishes, this one or deploy.py. Backups that were made
before hold the old keys.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks import agent_switch, verification
from llm_gateway.tasks.rotation import rotation, rotation_end

machine, keys = rotation.machine_to_rotate(state, host)

if machine.node:
    rotation.renew_access(machine.node, keys)

if rotation.TOKENS in keys:
    rotation.renew_tokens(machine)
    verification.prove_gateway(machine)
    if machine.agent:
        agent_switch.point_at_gateway(machine.agent)

verification.verify(machine)
if machine.node:
    rotation_end.remove_old_tokens(machine.node.gateway)
