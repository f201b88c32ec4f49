"""How pyinfra was called in this run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_known: list[click.Context] = []
"""The context of this run, which click itself knows in the thread that it has called only."""


def remember(context: click.Context) -> None:
    """Keep what pyinfra was called with; for `config.py`."""
    _known[:] = [context]


def is_plan_now() -> bool:
    """Whether nothing is to be carried out in this run."""
    return any(is_plan(context) for context in _known)


def script() -> str:
    """What is run, such as "deploy.py"."""
    return ", ".join(name for context in _known for name in scripts(context)) or Path(sys.argv[0]).name


def is_plan(context: click.Context) -> bool:
    """Whether nothing is to be carried out: a plan was asked for, or pyinfra's own insides."""
    names = ("dry", "debug_facts", "debug_operations")
    return any(context.params.get(name) for name in names) or (
        bool(context.params.get("json_output")) and not context.params.get("yes")
    )


def scripts(context: click.Context) -> list[str]:
    """The names of the scripts that are run, such as "deploy.py"."""
    return [Path(str(name)).name for name in context.params.get("operations") or ()]
