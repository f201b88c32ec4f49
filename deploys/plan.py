"""Say what a deployment would change in the channels, tokens and options of every gateway; change nothing.

    pyinfra inventory.py deploys/plan.py
    python deploys/plan.py inventory.py [--check] [--json]

`--check`: exit code 3 if something differs from what is declared. `--json`: one JSON object on stdout, by host. With
pyinfra itself: `--data plan_check=True`, `--data plan_json=True`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("plan")

from pyinfra import host, state

from llm_gateway.tasks import drift, survey

drift.look(survey.machine_to_plan(state, host))
