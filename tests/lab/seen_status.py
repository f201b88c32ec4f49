"""What `deploys/status.py` shows of a fleet."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.lab.conftest import ROOT, Run


def status(inventory: str, *arguments: str) -> Run:
    """Run it with these arguments, as a person does."""
    done = subprocess.run(
        [sys.executable, "deploys/status.py", inventory, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-4000:]
    return Run(done.returncode, done.stdout, done.stderr)


def hosts(run: Run) -> dict[str, Any]:
    """The hosts of a `--json`, by name."""
    return {host["name"]: host for host in json.loads(run.stdout)["hosts"]}


def attention(inventory: str, host: str) -> str:
    """What of a host needs a person, in one line."""
    run = status(inventory, "--json")
    assert run.code == 0, run.output[-3000:]
    return " ".join(hosts(run)[host]["attention"])
