"""Show the whole fleet on one screen, hosts that are down included; change nothing.

    pyinfra inventory.py deploys/status.py
    python deploys/status.py inventory.py [--check] [--json] [--html FILE]

`--check`: exit code 3 where something needs a person. `--json`: one object on stdout (see gateway/overview/status.py).
`--html FILE`: a page that needs nothing beside itself. With pyinfra itself: `--data status_check=True`,
`--data status_json=True`, `--data status_html=FILE`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # not so where pyinfra runs it
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from gateway.runs import front

    front.become_status()

from pyinfra import host, state

from gateway.overview import status

status.look(state, host)
