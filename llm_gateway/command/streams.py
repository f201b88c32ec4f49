"""stdout and stderr of a run: their reader may go away (`… | head -1`), and a live line may stand on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

NOBODY_READS = 141
"""A shell's exit code for a program that SIGPIPE has ended. Python ignores that signal, for the sake of sockets."""


class Output:
    """A stream that says nothing any more once nobody reads it, instead of failing what writes to it.

    Parameters: `before`, called before each text; `alone`, called once when nobody reads it any more.
    """

    def __init__(
        self, stream: Any, before: Callable[[], None] = lambda: None, alone: Callable[[], object] = lambda: None
    ) -> None:
        self._stream, self._before, self._alone = stream, before, alone
        self._is_lost = False

    def write(self, text: str) -> int:
        """As the stream's own."""
        self._before()
        self._keep(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """As the stream's own."""
        self._keep(self._stream.flush)

    def _keep(self, call: Callable[..., object], *arguments: str) -> None:
        if self._is_lost:
            return
        try:
            call(*arguments)
        except BrokenPipeError:
            self._is_lost = True
            # What the stream still holds is written when it is closed, which must not fail either.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._alone()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def leave_quietly() -> NoReturn:
    """End the process, as SIGPIPE would: for what only tells."""
    os._exit(NOBODY_READS)


def heed_readers(*, only_tells: bool) -> None:
    """Have stdout and stderr survive that nobody reads them; where a run only tells something, it ends then."""
    sys.stdout = Output(sys.stdout, alone=leave_quietly if only_tells else lambda: None)
    sys.stderr = Output(sys.stderr)
