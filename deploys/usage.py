"""Show requests, tokens, cost and failures of every gateway by agent, model, channel and day; change nothing.

    pyinfra inventory.py deploys/usage.py
    python deploys/usage.py inventory.py [--since 7d] [--by agent,model,day] [--json|--csv|--html]

`--since`: 7d (today and the six days before it), 24h or 2026-11-01. `--by`: of agent, model, channel and day. What is
asked for goes to stdout, and nothing else (see llm_gateway/tasks/usage.py for JSON). With pyinfra itself: `--data
usage_since=30d`, `usage_by=day`, `usage_json=True`, `usage_csv=True`, `usage_html=True`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("usage")

from pyinfra import host, state

from llm_gateway.tasks import usage

usage.look(state, host)
