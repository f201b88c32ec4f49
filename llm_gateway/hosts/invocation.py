"""How pyinfra was called in this run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import gevent
import pyinfra
from pyinfra import logger

from llm_gateway.model.checkout import IS_CHECKOUT, ROOT

_known: list[click.Context] = []
"""The context of this run, which click itself knows in the thread that it has called only."""

_typed: list[str] = []
"""The words of our own command, where it was that and not pyinfra's."""
_refused: list[bool] = []
_PASSWORDS = ("--ssh-password", "--ssh-key-password")
"""The options of pyinfra that are followed by a password."""
_HIDDEN = "…"


def remember(context: click.Context) -> None:
    """Keep what pyinfra was called with; for `config.py`."""
    _known[:] = [context]


def typed(words: Sequence[str]) -> None:
    """Keep the words of our own command; there is no password among its options."""
    _typed[:] = words


def is_plan_now() -> bool:
    """Whether nothing is to be carried out in this run."""
    return any(is_plan(context) for context in _known)


def script() -> str:
    """What is run, such as "deploy.py"."""
    return ", ".join(name for context in _known for name in scripts(context)) or Path(sys.argv[0]).name


def command(*, root: Path | None = None) -> str:
    """What was typed, to be typed again; no password is in it.

    Parameters: `root`, the directory in which it is to be run, where that is not the present one.
    """
    if _typed:
        return shlex.join(_typed)
    typed = [re.sub(r"(?<=password=).*", _HIDDEN, part, flags=re.DOTALL) for part in sys.argv[1:]]
    before = ["", *typed]
    shown = [_HIDDEN if last in _PASSWORDS else part for last, part in zip(before, typed, strict=False)]
    if root is None:
        return shlex.join(["pyinfra", *shown])
    return shlex.join(["pyinfra", "--chdir", str(root), *(_absolute(part) for part in shown)])


def _absolute(part: str) -> str:
    return str(Path(part).resolve()) if part and Path(part).exists() else part


def require_config() -> None:
    """End a run of pyinfra's command that has not called `watch` in `config.py`: safeguards would be missing.

    It reads what lies in the directory where it is run, as it does with group_data.
    """
    if not pyinfra.is_cli or _known:
        return
    if _refused:  # pyinfra runs a deploy.py for all hosts side by side; each SystemExit but one would be shown
        raise gevent.GreenletExit
    _refused.append(True)
    if IS_CHECKOUT and _is_of_checkout(sys.argv):
        problem = f"has not read {ROOT / 'config.py'}; nothing was changed. Run: {command(root=ROOT)}"
    else:
        problem = (
            "has found no safeguards in its config.py; nothing was changed. Put these two lines into"
            f" {Path.cwd() / 'config.py'}: `from llm_gateway import watch` and `watch()`"
        )
    logger.error(f"pyinfra was run in {Path.cwd()} and {problem}")
    sys.exit(1)


def _is_of_checkout(arguments: Iterable[str]) -> bool:
    """Whether a script of this checkout is run."""
    return any(Path(part).suffix == ".py" and ROOT in Path(part).resolve().parents for part in arguments)


def is_plan(context: click.Context) -> bool:
    """Whether nothing is to be carried out: a plan was asked for, or pyinfra's own insides."""
    names = ("dry", "debug_facts", "debug_operations")
    return any(context.params.get(name) for name in names) or (
        bool(context.params.get("json_output")) and not context.params.get("yes")
    )


def scripts(context: click.Context) -> list[str]:
    """The names of the scripts that are run, such as "deploy.py"."""
    return [Path(str(name)).name for name in context.params.get("operations") or ()]
