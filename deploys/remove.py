"""Take off hosts what deployments have installed there, and nothing else; the data go to a last backup first.

    pyinfra inventory.py deploys/remove.py                          asks for the hosts' names, behind the plan
    pyinfra -y inventory.py deploys/remove.py --data yes=gw1,agent1 the same without asking
    pyinfra --dry inventory.py deploys/remove.py                    the plan alone

`--data fetch=DIRECTORY` brings the last backups to this machine as well. OpenClaw gets its former .env back, with all
that was added to it since, and its token is revoked on a gateway that stays. Backups and packages stay on the hosts.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks.removal import remove

remove.take_off(remove.machine_to_remove(state, host))
