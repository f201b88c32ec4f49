"""Show what every gateway's unit and container log, and go on with what comes; change nothing.

    pyinfra inventory.py deploys/logs.py

With `--data lines=20` the last 20 lines of each (100); with `--data follow=false` these alone. Keys are hidden.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks import logs

logs.show(state, host)
