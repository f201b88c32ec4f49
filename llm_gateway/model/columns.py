"""Text in the columns of a terminal, where Chinese characters take two."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterator

WIDTH = 80
"""The columns that all has room in that is written for a person."""


_FIRM = "\u00a0"


def width(text: str) -> int:
    """The columns that a text takes on a terminal, where Chinese characters take two (Unicode annex 11)."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def room() -> int:
    """The columns of the terminal that stdout is, or 80."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def firm(text: str) -> str:
    """A text that `wrapped` keeps in one line."""
    return text.replace(" ", _FIRM)


def wrapped(text: str, head: str, indent: str) -> Iterator[str]:
    """Lines of 80 columns, the first with `head`, others indented; none ends at a blank that is written U+00A0.

    textwrap takes Chinese characters for one column.
    """
    line = head
    is_begun = False
    for word in filter(None, text.split(" ")):
        if is_begun and width(line) + width(word) >= WIDTH:
            yield line.rstrip()
            line = indent
        line += f"{word} ".replace(_FIRM, " ")
        is_begun = True
    yield line.rstrip()
