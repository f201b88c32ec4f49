"""What a person may get wrong in the inventory's Python, and in that of group_data: told by file and line.

pyinfra ends with a traceback of its own where such a file cannot be run, or where hosts have another form than it
expects; or it leaves a group out without a word.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyinfra_cli.inventory
from pyinfra import logger
from pyinfra_cli.exceptions import UnexpectedExternalError

OURS = ("gateways", "openclaw")
_FORM = '["gw1", ("gw2", {"gateway_port": 3001})]'


def watch(inventory: str) -> None:
    """Have pyinfra run such files with care; ends the run, with 1, where there is something to tell.

    Parameters: `inventory`, the path of the inventory, or what else pyinfra takes for one.
    """
    execute = pyinfra_cli.inventory.exec_file

    def run(filename: str, *arguments: Any, **options: Any) -> Any:
        try:
            found = execute(filename, *arguments, **options)
        except UnexpectedExternalError as problem:
            _end(f"{filename}{_line(problem.exception, filename)}: {_told(problem.exception)}")
        except (SyntaxError, ValueError, OSError) as problem:
            _end(f"{filename}: {_told(problem)}")
        if Path(filename) == Path(inventory) and (problems := list(wrong_groups(found))):
            _end("\n  - ".join([f"{filename} cannot be used; nothing was changed.", *problems]))
        return found

    pyinfra_cli.inventory.exec_file = run


def _end(text: str) -> None:
    logger.error(text)
    sys.exit(1)


def _line(problem: BaseException, filename: str) -> str:
    """The last line of that file on the way to what went wrong."""
    frames = traceback.extract_tb(getattr(problem, "_traceback", problem.__traceback__))
    lines = [frame.lineno for frame in frames if frame.filename == filename]
    return f", line {lines[-1]}" if lines else ""


def _told(problem: BaseException) -> str:
    """What went wrong in one line; a SyntaxError says by itself where."""
    return f"{type(problem).__name__}: {problem}"


def wrong_groups(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the groups of an inventory, each text with the mend.

    Parameters: `attributes`, what its variables are, by name. pyinfra takes each list or tuple for a group whose name
    does not begin with `_`.
    """
    for name, value in attributes.items():
        if name in OURS and not isinstance(value, (list, tuple)):
            yield f"{name} must be a list of hosts, such as {_FORM}"
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            yield from _wrong_group(name, value)


def _wrong_group(name: str, value: Any) -> Iterator[str]:
    hosts = value
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[0], list) or not isinstance(value[1], dict):
            yield (
                f"{name} must be a list of hosts, such as {_FORM}, or a pair of such a list and a dict of settings for"
                " all of them; let its name begin with _ where it is no group"
            )
            return
        hosts = value[0]
    if name not in OURS and not all(isinstance(host, (str, tuple)) for host in hosts):
        return  # pyinfra leaves it alone: it is a list of something else
    for host in hosts:
        if problem := _wrong_host(host):
            yield f"{name}: {problem}"


def _wrong_host(host: Any) -> str | None:
    name, data = host if isinstance(host, tuple) and len(host) == 2 else (host, {})
    if not isinstance(name, str):
        return f"a host must be a name, or a name with its settings: {_FORM}"
    if not name.isprintable() or not name.strip() or name != name.strip():
        return f"{name!r} is no name of a host: it is empty, or has blanks around it or something unprintable in it"
    if "," in name and not name.startswith("@"):
        return f"{name!r} is no name of a host: where several are named, commas stand between them"
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        return f"what stands beside {name} must be a dict of settings by their names, such as {_FORM}"
    return None
