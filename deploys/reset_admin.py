"""Make the admin access of every gateway right again, when its access token or root's password was changed by hand.

    pyinfra inventory.py deploys/reset_admin.py

Afterwards the access token and the root password in secrets.env on the host are the gateway's own. Where they are
already, nothing is changed. A root password that is known is handed in with ONEAPI_ROOT_PASSWORD=…; it is kept.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks import reset_admin

reset_admin.fix(reset_admin.machine_to_fix(state, host))
