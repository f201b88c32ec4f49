"""Show the whole fleet on one screen, hosts that are down included; change nothing.

    pyinfra inventory.py deploys/status.py
    python deploys/status.py inventory.py [--check] [--json] [--html FILE [--every MINUTES] [--language en|zh]]

`--check`: exit code 3 if something needs a person. `--json`: one object on stdout (see llm_gateway/tasks/status.py).
`--html FILE`: a page that needs nothing beside itself, with the last two weeks of each gateway; it says so when it is
older than `--every` minutes (10). With pyinfra itself: `--data status_check=True`, `status_json=True`,
`status_html=FILE`, `status_every=10`, `status_language=zh`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("status")

from pyinfra import host, state

from llm_gateway.tasks import status

status.look(state, host)
