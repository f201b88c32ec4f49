"""Python source for plain values and for comments, laid out as ruff does it, whatever is in them.

What is written comes from a gateway, and a person's pyinfra is going to execute it: no text may end its quotes or its
comment.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

WIDTH = 120
_INDENT = "    "
_PIECE = 88
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def flat(value: object) -> str:
    """The value on one line."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(name)}: {flat(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flat, value)) + "]"
    return repr(value)


def item(value: object, depth: int) -> list[str]:
    """The lines of an element of a list; a dict has each of its fields on a line of its own."""
    if isinstance(value, Mapping) and value:
        return list(_opened("", value, ",", depth))
    return list(_lines("", value, ",", depth))


def field(name: str, value: object, depth: int) -> list[str]:
    """The lines of an entry of a dict."""
    return list(_lines(f"{_quoted(name)}: ", value, ",", depth))


def comment(text: str, depth: int = 0, more: str = "") -> list[str]:
    """The lines of a comment; `more` is the indentation of its second line and the following ones."""
    start = f"{_INDENT * depth}# "
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=start, subsequent_indent=start + more, break_on_hyphens=False
    )


def commented(lines: Sequence[str], depth: int) -> list[str]:
    """The same lines, put out of use."""
    indent = _INDENT * depth
    return [f"{indent}# {line.removeprefix(indent)}" for line in lines]


def printable(text: str) -> str:
    """On one line, with what a terminal or Python would take otherwise than as a sign written as an escape."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _lines(prefix: str, value: object, suffix: str, depth: int) -> Iterator[str]:
    line = f"{_INDENT * depth}{prefix}{flat(value)}{suffix}"
    has_lines = isinstance(value, str) and "\n" in value[:-1]
    if len(line) <= WIDTH and not has_lines:
        yield line
    else:
        yield from _opened(prefix, value, suffix, depth)


def _opened(prefix: str, value: object, suffix: str, depth: int) -> Iterator[str]:
    """A value over several lines, where it can be."""
    indent = _INDENT * depth
    if isinstance(value, str):
        pieces = _pieces(value)
        if len(pieces) < 2:
            yield f"{indent}{prefix}{_quoted(value)}{suffix}"
            return
        yield f"{indent}{prefix}("
        yield from (f"{indent}{_INDENT}{_quoted(piece)}" for piece in pieces)
        yield f"{indent}){suffix}"
    elif isinstance(value, Mapping) and value:
        yield f"{indent}{prefix}{{"
        for name, each in value.items():
            yield from _lines(f"{_quoted(name)}: ", each, ",", depth + 1)
        yield f"{indent}}}{suffix}"
    elif isinstance(value, (list, tuple)) and value:
        yield f"{indent}{prefix}["
        for each in value:
            yield from _lines("", each, ",", depth + 1)
        yield f"{indent}]{suffix}"
    else:
        yield f"{indent}{prefix}{flat(value)}{suffix}"


def _quoted(text: str) -> str:
    quote = "'" if '"' in text and "'" not in text else '"'
    escapes = {**_ESCAPES, quote: f"\\{quote}"}
    body = "".join(escapes.get(each) or (each if each.isprintable() else _escaped(each)) for each in text)
    return f"{quote}{body}{quote}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _pieces(text: str) -> list[str]:
    """At its line breaks, and where a line is long."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return [line[start : start + _PIECE] for line in lines for start in range(0, len(line), _PIECE)]
