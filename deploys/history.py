"""Show what was run on every host, when, by whom, with which versions and how it ended; change nothing.

    pyinfra inventory.py deploys/history.py
    python deploys/history.py inventory.py [--last 10|all] [--json]

With pyinfra itself: `--data last=20`, `--data json=true`. The journal lies on the host, in
/var/lib/openclaw-llm-gateway/journal.jsonl.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("history")

from pyinfra import host, state

from llm_gateway.tasks import history

history.tell(state, host)
