"""The way back of `dotenv.merge`: somebody's file without our names, and with what these names had there before."""

from __future__ import annotations

import re
from collections.abc import Collection

from llm_gateway.model import dotenv

_ANY = "x"
"""Stands for our values, which are of no account where only the places of our lines are compared."""


def restore(text: str, before: str | None, names: Collection[str]) -> str | None:
    """Take our names out of `text`, and put in their place what `before` has for them.

    Where nobody has changed anything but our values since the merge, that is `before`, byte for byte. Otherwise every
    line of others stays as it is now. A name that a person has taken out of the file stays out.
    Parameters: `before`, the file as it was before the merge; None where there was none.
    Returns None where there was no file and only ours is in it now. Raises DotenvError for a file whose readers
    disagree on where a value ends.
    """
    values = dict.fromkeys(names, _ANY)
    if _leveled(text, names) == dotenv.merge(before or "", values):
        return before
    former: dict[str, str] = {}
    for entry in dotenv.entries((before or "").lstrip("\ufeff")):
        if entry.key in names:
            former[str(entry.key)] = former.get(str(entry.key), "") + _ended(entry.text)
    kept: list[str] = []
    for entry in dotenv.entries(text):
        if entry.key in names:
            kept.append(former.pop(str(entry.key), ""))
        elif entry.text.rstrip("\r\n") != dotenv.COMMENT:
            kept.append(entry.text)
        elif kept and not kept[-1].strip():
            kept.pop()  # the empty line that was put before the comment
    restored = "".join(kept)
    return None if before is None and not restored.strip() else restored


def value(text: str, name: str) -> str | None:
    """What a line of ours sets `name` to, or None where there is none."""
    found = re.search(rf"^{name}='?([^'\s]*)'?\s*$", text, re.MULTILINE)
    return found[1] if found else None


def _leveled(text: str, names: Collection[str]) -> str:
    """The text with the values of our lines made all alike."""
    return "".join(
        f"{entry.key}={_ANY}{_line_end(entry.text)}" if entry.key in names else entry.text
        for entry in dotenv.entries(text)
    )


def _line_end(text: str) -> str:
    return text[len(text.rstrip("\r\n")) :]


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
