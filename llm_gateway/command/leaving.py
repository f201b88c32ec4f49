"""The end of the process, once its exit code is known."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def leave(code: str | int | None) -> NoReturn:
    """As `sys.exit`, but without taking all modules apart, which is a tenth of a run that changes nothing."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:  # nobody reads it any more
        code = code or 1
    os._exit(code or 0)
