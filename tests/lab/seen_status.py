"""What `deploys/status.py` shows of a fleet."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.conftest import Run, python


def status(inventory: str, *arguments: str) -> Run:
    """Run it with these arguments, as a person does."""
    run = python("deploys/status.py", inventory, *arguments)
    assert "Traceback" not in run.output, run.stderr[-4000:]
    return run


def hosts(run: Run) -> dict[str, Any]:
    """The hosts of a `--json`, by name."""
    return {host["name"]: host for host in json.loads(run.stdout)["hosts"]}


def attention(inventory: str, host: str) -> str:
    """What of a host needs a person, in one line."""
    run = status(inventory, "--json")
    assert run.code == 0, run.output[-3000:]
    return " ".join(hosts(run)[host]["attention"])
