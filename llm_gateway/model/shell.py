"""Shell programs for hosts: their text lies in files, which `make lint` checks; only values come from Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def program(values: Mapping[str, str], *files: Path, call: str = "") -> str:
    """The text of a shell program: its variables, then its files, one after the other, then a call.

    Parameters: `values`, by the names of the variables; what a value holds is never read as shell. `call`, a command
    line, such as the name of a function that the files define.
    """
    return "\n".join(
        [*assignments(values), *(file.read_text(encoding="utf-8") for file in files), *([call] * bool(call))]
    )


def command(values: Mapping[str, str], *files: Path, call: str = "") -> str:
    """A `program` as one command, in a shell of its own, so that others may stand before and behind it."""
    return f"(\n{program(values, *files, call=call)}\n)"


def assignments(values: Mapping[str, str]) -> list[str]:
    """A line for each variable."""
    return [f"{name}={shlex.quote(value)}" for name, value in values.items()]
