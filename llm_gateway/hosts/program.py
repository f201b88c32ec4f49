"""Shell programs in files of their own, as a host is to run them."""

from __future__ import annotations

import shlex
from pathlib import Path


def program(file: Path, function: str = "", **values: str) -> str:
    """The text of a shell program with its variables before it, and the function that is to run at its end."""
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"{assignments}{file.read_text(encoding='utf-8')}\n{function}\n"
