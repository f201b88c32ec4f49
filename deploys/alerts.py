"""Send a test message from every gateway host to each of `gateway_alerts`, and tell which arrived; change nothing.

    pyinfra inventory.py deploys/alerts.py

Exit code 1 where one did not arrive. With `--data alerts_json=True` JSON on stdout (llm_gateway/tasks/alerts.py).
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

from pyinfra import host, state

from llm_gateway.tasks import alerts

alerts.test(state, host)
