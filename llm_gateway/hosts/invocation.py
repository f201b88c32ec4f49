"""How pyinfra was called in this run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
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
_spellings: list[Callable[[str], str]] = []
_places: list[Path] = []
_refused: list[bool] = []
_PASSWORDS = ("--ssh-password", "--ssh-key-password")
"""The options of pyinfra that are followed by a password."""
_HIDDEN = "…"
_SECRET = re.compile(r"(?<!ssh)_key$|api_?key|pass(word|phrase|wd)|secret|token", re.IGNORECASE)


def remember(context: click.Context) -> None:
    """Keep what pyinfra was called with; for `config.py`."""
    _known[:] = [context]


def typed(words: Sequence[str], spell: Callable[[str], str], place: Path) -> None:
    """Keep the words of our own command, where they were typed, and how a text that names scripts is spelled there."""
    _typed[:] = words
    _spellings[:] = [spell]
    _places[:] = [place]


def place() -> Path:
    """The directory that the person who called it is in; this process may have moved to the checkout."""
    return _places[0] if _places else Path.cwd()


def spelled(text: str) -> str:
    """A text that names scripts and their `--data`, with commands as they were typed in this run."""
    return _spellings[0](text) if _spellings else text


def shown(words: Sequence[str]) -> list[str]:
    """Words of a command line as they may be printed: what is a password, or may be a secret, is hidden."""
    return [_shown(before, word) for before, word in zip(["", *words], words, strict=False)]


def _shown(before: str, word: str) -> str:
    if before in _PASSWORDS:
        return _HIDDEN
    option, given = ("", word) if before == "--data" else word.split("=", 1) if "=" in word else ("", "")
    name, equals, _ = given.partition("=")
    if (before == "--data" or option == "--data") and equals and _is_secret(name):
        return f"{option}{'=' if option else ''}{name}={_HIDDEN}"
    return re.sub(r"(?<=password=).*", _HIDDEN, word, flags=re.DOTALL)


def _is_secret(name: str) -> bool:
    """Whether the value of that name in a host's data may be one, or hold one."""
    from llm_gateway.inputs.settings import SETTINGS  # late: config.py should not keep the connections waiting

    return SETTINGS[name].hidden if name in SETTINGS else bool(_SECRET.search(name))


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
        return shlex.join(shown(_typed))
    words = shown(sys.argv[1:])
    if root is None:
        return shlex.join(["pyinfra", *words])
    return shlex.join(["pyinfra", "--chdir", str(root), *map(_absolute, words)])


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
