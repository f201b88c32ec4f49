"""Dotenv files that systemd, compose, Node and Python read alike.

The four readers agree on less than it seems: `$` is expanded by compose, a backslash is eaten by systemd,
`#` ends a value in Node, an escaped quote means four different things. So this module writes one subset,
`KEY=value` with the value bare or in single quotes, and refuses every value that does not fit it.
In somebody else's file (`merge`) it finds the places where a line of ours would be read by all four,
and refuses a file where they do not agree on where a line ends. What the readers do was established by
running them; tests/unit/test_dotenv.py runs them again.

Errors name the key and the line, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

COMMENT = "# Kept up to date by the LLM gateway deployment:"
"""The line above the keys that `merge` appends."""

_KEY = re.compile(r"[A-Z_][A-Z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@,+%=~-]*")

_READ_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")

# The characters that one reader or the other skips before a key; Node counts a byte order mark among them.
_BLANK = r"[\s\ufeff]*"
_EXPORT = rf"{_BLANK}(?:export[\s\ufeff]+)?"
# What some reader takes as a setting of KEY: `export` (not systemd), `KEY: value` (Node, compose),
# a quoted key (python-dotenv), a key without a value (python-dotenv, compose).
_OCCURRENCE = re.compile(rf"{_EXPORT}(?P<quote>['\"]?)(?P<key>[A-Za-z_]\w*)(?P=quote){_BLANK}(?:[=:#]|$)")
_QUOTED_KEY = re.compile(rf"{_EXPORT}(['\"])[A-Za-z_]\w*\1{_BLANK}=")
# Where a value can begin: after the first `=`, for systemd after the next one if the line begins with `=`,
# for Node and compose after `KEY:`.
_BEGINS_OF_VALUE = (
    re.compile(r"[^=]*="),
    re.compile(r"\s*=[^=]*="),
    re.compile(rf"{_EXPORT}[A-Za-z0-9_.-]+\s*:"),
)
_QUOTE_FIRST = re.compile(rf"{_EXPORT}['\"`]")
_QUOTE_IN_VALUE = re.compile(r"(?:[^\S\n]|\ufeff)*(?=['\"`])")
# What all readers see as a quoted value.
_QUOTED_VALUE = re.compile(rf"{_EXPORT}[A-Za-z0-9_.-]+\s*=[ \t]*['\"]")
# A line that begins with `;` is none: python-dotenv reads a setting in it.
_COMMENT_LINE = re.compile(r"[ \t]*#")
# The end of a line that takes the next one with it: a backslash for systemd, `KEY:` for Node.
_RUNS_ON = re.compile(rf".*\\|{_EXPORT}[A-Za-z0-9_.-]+:\s*")


class DotenvError(ValueError):
    """A file or a value that the four readers would not read alike; the text never shows a value."""


@dataclass(frozen=True)
class Entry:
    """One line, or the lines of one quoted value that spans several."""

    line: int
    text: str
    key: str | None


def quote(value: str) -> str:
    """The right-hand side that all four readers turn back into `value`.

    Raises DotenvError when there is none: a single quote, a backslash, `${` (python-dotenv expands it even
    in single quotes), a line break, or a character that is not printable.
    """
    if _PLAIN.fullmatch(value):
        return value
    for sign, name in (("'", "a single quote"), ("\\", "a backslash"), ("${", "`${`")):
        if sign in value:
            raise DotenvError(f"the value holds {name}, which systemd, compose, Node and Python read differently")
    if not value.isprintable():
        raise DotenvError("the value holds a line break or another character that is not printable")
    return f"'{value}'"


def render(values: Mapping[str, str]) -> str:
    """A whole file of ours: one line a key, in the order of `values`. Raises DotenvError, see `quote`."""
    return "".join(f"{line}\n" for line in _lines(values).values())


def read(text: str) -> dict[str, str]:
    """Read a file that keeps to what all four readers agree on.

    Taken: blank lines, whole-line `#` comments, `KEY=value` with the value bare, in single quotes, or in
    double quotes without `\\`, `$` and `"` inside. Blanks around a line do not count; LF and CR LF do.
    Raises DotenvError with the number of the line for everything else, a key that is set twice included.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.removesuffix("\r").strip(" \t")
        if stripped.startswith("#") and stripped.endswith("\\"):
            raise DotenvError(
                f"line {number}: systemd drops the line that follows a comment ending in a backslash;"
                " take the backslash away"
            )
        if not stripped or stripped.startswith("#"):
            continue
        key, value = _read_assignment(number, stripped)
        if key in values:
            raise DotenvError(f"line {number}: {key} is set a second time; keep one of the two lines")
        values[key] = value
    return values


def merge(text: str, values: Mapping[str, str], absent: Collection[str] = ()) -> str:
    """Set `values` in the existing file `text`, take the keys `absent` out of it, and leave the rest of it as it is.

    A key that is there is replaced where it stands first, `export KEY=` included, and taken away where it
    stands again; missing keys are appended below `COMMENT`. Every other line stays byte for byte. Besides,
    a byte order mark goes (systemd would make it a part of the first key), a missing end of the last line
    comes, and so does an empty line between ours and one that systemd (a backslash at its end) or Node
    (`KEY:`) would join to it. Lines of ours end as the first line of the file does, LF or CR LF.
    Merging twice is merging once.

    Raises DotenvError for a value that does not fit (see `quote`), and with the number of the line for a
    file whose readers disagree on where a value ends, so that no line in it would be safe.
    """
    ours = _lines(values)
    body = text.lstrip("\ufeff")
    newline = "\r\n" if body.partition("\n")[0].endswith("\r") else "\n"
    missing = dict(ours)
    merged: list[str] = []
    for entry in entries(body):
        if entry.key not in ours and entry.key not in absent:
            merged.append(entry.text)
        elif entry.key in missing:
            merged += [*_apart(merged, newline), missing.pop(entry.key) + newline]
        else:
            merged += _apart(merged, newline)
    if merged and not merged[-1].endswith("\n"):
        merged[-1] += newline
    return "".join(_append(merged, list(missing.values()), newline))


def _lines(values: Mapping[str, str]) -> dict[str, str]:
    lines = {}
    for key, value in values.items():
        if not _KEY.fullmatch(key):
            raise DotenvError(f"{key!r} is not a name for a variable: capital letters, digits and _, not a digit first")
        try:
            lines[key] = f"{key}={quote(value)}"
        except DotenvError as problem:
            raise DotenvError(f"{key}: {problem}") from None
    return lines


def _read_assignment(number: int, line: str) -> tuple[str, str]:
    match = _READ_LINE.fullmatch(line)
    if match is None:
        raise DotenvError(f"line {number}: not of the form KEY=value (no `export`, no blanks around `=`)")
    key, right = match.groups()
    if _PLAIN.fullmatch(right):
        return key, right
    sign, inner = right[0], right[1:-1]
    if len(right) < 2 or sign not in "'\"" or right[-1] != sign:
        raise DotenvError(
            f"line {number}: {key}: put the value in single quotes, with nothing behind them; systemd,"
            " compose, Node and Python do not read it alike as it is"
        )
    if sign == "'":
        _check_quoted(number, key, inner)
    elif not inner.isprintable() or set(inner) & set('"\\$'):
        raise DotenvError(
            f'line {number}: {key}: no ", \\ or $ and nothing unprintable can stand in double quotes;'
            " put the value in single quotes"
        )
    return key, inner


def _check_quoted(number: int, key: str, value: str) -> None:
    try:
        quote(value)
    except DotenvError as problem:
        raise DotenvError(f"line {number}: {key}: {problem}") from None


def _apart(before: list[str], newline: str) -> list[str]:
    """The empty line that keeps a reader from joining our line to the one before it."""
    return [newline] if before and _runs_on(before[-1]) else []


def _runs_on(text: str) -> bool:
    return _RUNS_ON.fullmatch(text.rstrip("\r\n").rpartition("\n")[2]) is not None


def _append(merged: list[str], missing: list[str], newline: str) -> list[str]:
    """Put the missing lines below our comment, which is added once, an empty line before it."""
    if not missing:
        return merged
    added = [line + newline for line in missing]
    comments = [at for at, text in enumerate(merged) if text.rstrip("\r\n") == COMMENT]
    if comments:
        at = comments[0] + 1
        return merged[:at] + added + merged[at:]
    blank = [newline] if merged and merged[-1].strip() else []
    return [*merged, *blank, COMMENT + newline, *added]


def entries(text: str) -> Iterator[Entry]:
    """Cut a foreign file into entries at whose ends every reader is between two settings."""
    _refuse_odd_line_ends(text)
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    at = 0
    while at < len(lines):
        count = _lines_of_value(lines, at)
        occurrence = _OCCURRENCE.match(lines[at].rstrip("\r\n"))
        yield Entry(at + 1, "".join(lines[at : at + count]), occurrence and occurrence["key"])
        at += count


def _refuse_odd_line_ends(text: str) -> None:
    """A line separator that one reader takes as the end of a line and another does not can hide a key."""
    odd = re.search(r"\r(?!\n)|[\0\u2028\u2029]", text)
    if odd:
        number = text.count("\n", 0, odd.start()) + 1
        raise DotenvError(
            f"line {number}: holds the character U+{ord(odd[0]):04X}, which not every reader takes as the"
            " end of a line; delete it"
        )


def _lines_of_value(lines: list[str], at: int) -> int:
    """How many lines, from line `at` on, the entry that begins there takes.

    Raises DotenvError when the readers do not agree on it.
    """
    line = lines[at]
    if _COMMENT_LINE.match(line):
        return 1
    # Node takes it as the value of an empty `KEY=` above, python-dotenv as a key, which may span lines.
    if _QUOTE_FIRST.match(line) and not _QUOTED_KEY.match(line):
        raise _disagree(at, "begins with a quote")
    begins = [match.end() for pattern in _BEGINS_OF_VALUE if (match := pattern.match(line))]
    count = max((_lines_of_quoted(lines, at, line[begin:]) for begin in begins), default=1)
    joined = at > 0 and _runs_on(lines[at - 1])
    if count > 1 and (joined or not _QUOTED_VALUE.match(line)):
        raise _disagree(at, "opens a quote that some of its readers do not see")
    return count


def _lines_of_quoted(lines: list[str], at: int, value: str) -> int:
    """How many lines `value` takes, which begins on line `at`: one, unless a quote spans several."""
    opened = _QUOTE_IN_VALUE.match(value)
    if opened is None:
        return 1
    rest = value[opened.end() :]
    spanned = 1
    closed = _after_quote(rest, at)
    while closed is None:
        if rest[0] == "`" or at + spanned == len(lines):
            raise _disagree(at, "opens a quote and does not close it")
        rest += lines[at + spanned]
        spanned += 1
        closed = _after_quote(rest, at)
    if spanned > 1 and closed.strip() and not re.match(r"\s+#", closed):
        raise _disagree(at + spanned - 1, "goes on behind the quote that it closes")
    # systemd joins 'a''b': what follows may open the next quote, and must close it on this line.
    follows = closed.lstrip(" \t")
    if follows[:1] in ("'", '"'):
        _lines_of_quoted(lines[: at + 1], at, follows)
    return spanned


def _after_quote(text: str, at: int) -> str | None:
    """What follows the quote that closes the one `text` begins with; None when none does.

    Raises DotenvError for a closing quote that a backslash makes an escaped one for some readers only.
    """
    sign = text[0]
    for match in re.finditer(rf"(\\*){sign}", text[1:]):
        backslashes = len(match[1])
        if sign == '"' and backslashes % 2:
            continue
        if backslashes:
            raise _disagree(at, "has a backslash before the quote that ends its value")
        return text[1 + match.end() :]
    return None


def _disagree(at: int, what: str) -> DotenvError:
    return DotenvError(
        f"line {at + 1} {what}: systemd, compose, Node and Python do not agree on where its value ends,"
        " so no line below it is safe; fix or delete that line"
    )
