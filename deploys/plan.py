"""Say what a deployment would change in the channels, tokens and options of every gateway; change nothing.

    pyinfra inventory.py deploys/plan.py
    python deploys/plan.py inventory.py [--check] [--json]

`--check`: exit code 3 where something differs from what is declared. `--json`: one JSON object on stdout, by host. With
pyinfra itself: `--data plan_check=True`, `--data plan_json=True`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # not so where pyinfra runs it
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from gateway.runs import front

    front.become_plan()

from pyinfra import host, state

from gateway import fleet
from gateway.contents import drift

drift.look(fleet.member_to_plan(state, host))
