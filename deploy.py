"""Turn hosts into private, verified LLM gateways, and point OpenClaw hosts at them.

    pyinfra inventory.py deploy.py

Every step changes only what differs, so that a second run changes nothing. Settings: group_data/all.py.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks import deployment, survey

# Checks every host's settings and state; nothing is touched when anything anywhere is wrong.
machine = survey.machine_to_deploy(state, host)

deployment.deploy_gateway(machine)
deployment.point_openclaw(machine)
