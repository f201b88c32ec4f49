"""The first moments of `llm-gateway`: Ctrl-C ends it with one line, and hosts are asked already."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from llm_gateway.command.words import CHINESE, Words, language
from llm_gateway.hosts import early

_INTERRUPTED = 130


def main(program: str | None = None) -> None:
    """Carry out what was typed. Ends the process.

    Parameters: `program`, how it was called, where that is not its own name.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of what a shell runs in the background
        signal.signal(signal.SIGINT, _leave)
    early.begin(sys.argv)
    from llm_gateway.command import cli, refusals  # 0.1 s

    words = _words()
    if words.language == CHINESE:
        refusals.run(cli.main, program, words)
    cli.main(prog_name=program)


def _words() -> Words:
    return Words(language(os.environ, sys.stderr.encoding if sys.stderr else "ascii"))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Nothing has begun that would have to be ended: what has something replaces this handler."""
    os.write(2, f"\n{_words()('interrupted before')}\n".encode())
    os._exit(_INTERRUPTED)
