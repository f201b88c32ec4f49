"""What a person may get wrong in the inventory's Python, and in that of group_data: told by file and line.

pyinfra ends with a traceback of its own where such a file cannot be run, or where hosts have another form than it
expects; or it leaves a group out without a word.
"""

from __future__ import annotations

import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from pyinfra import logger

from llm_gateway import pyinfra_insides
from llm_gateway.inputs.inventory_groups import wrong_groups
from llm_gateway.pyinfra_insides import Execute


def watch(inventory: str) -> None:
    """Have pyinfra run such files with care; ends the run, with 1, where there is something to tell.

    Parameters: `inventory`, the path of the inventory, or what else pyinfra takes for one.
    """
    pyinfra_insides.around_files(partial(_with_care, inventory))


def _with_care(inventory: str, execute: Execute) -> Execute:
    def run(filename: str, *arguments: Any, **options: Any) -> Any:
        try:
            found = execute(filename, *arguments, **options)
        except (SyntaxError, ValueError, OSError) as problem:
            _end(f"{filename}: {_told(problem)}")
        except Exception as problem:
            if (raised := pyinfra_insides.cause(problem)) is None:
                raise
            _end(f"{filename}{_line(raised, filename)}: {_told(raised)}")
        if Path(filename) == Path(inventory) and (problems := list(wrong_groups(found))):
            _end("\n  - ".join([f"{filename} cannot be used; nothing was changed.", *problems]))
        return found

    return run


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
