"""Texts that come in and go out: UTF-8 whatever the locale says, and harmless on a terminal."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import TextIO

from ..errors import LLMConfigError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All control characters but the tab and the end of a line."""
_SHOWN = {13: "", 127: "\u2421", **{code: chr(0x2400 + code) for code in range(32) if code != 13}}
"""How they are shown: ESC as ␛. A carriage return goes, as it would let a line write over itself."""


class OutputError(Exception):
    """Standard output takes no more, for another reason than that its reader went away."""


class Output:
    """Standard output: verbatim to a file or a pipe, without control characters to a terminal.

    Attributes:
        begun: whether some of an answer has come, even without text in it.
        printed: whether any text has been printed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Args: stream: where to; None (a closed standard output) swallows everything."""
        self._stream = stream
        self._is_terminal = stream is not None and stream.isatty()
        self._half = ""
        self._at_line_start = True
        self.begun = False
        self.printed = False

    def write(self, text: str) -> None:
        """Print `text` at once. A character that came cut in two (an emoji) waits for its other half."""
        self.begun = True
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        self._put(_whole(text.removesuffix(self._half)))

    def end_line(self) -> None:
        """Print what still waits, and end the line unless it has ended."""
        self._put(_whole(self._half))
        self._half = ""
        if not self._at_line_start:
            self._put("\n")

    def line(self, text: str) -> None:
        """Print one line: whatever breaks lines in `text` becomes a blank."""
        self._put(" ".join(_whole(text).splitlines()) + "\n")

    def json(self, text: str) -> None:
        """Print one line of JSON; control characters that JSON allows as they are get escaped for a terminal."""
        if self._is_terminal:
            text = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
        self._send(text + "\n")

    def _put(self, text: str) -> None:
        if self._is_terminal:
            text = _CONTROL.sub(lambda found: _SHOWN.get(ord(found.group()), "\ufffd"), text)
        if text:
            self._send(text)
            self.printed = True
            self._at_line_start = text.endswith("\n")

    def _send(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise OutputError(f"the answer cannot be written: {reason}") from exc


def speak_utf8() -> None:
    """Make the standard streams UTF-8: in the locale C or POSIX they could not take Chinese.

    What UTF-8 cannot hold (half of a surrogate pair) is written as ``\\udXXX``, which JSON reads back.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def tell(line: str) -> None:
    """Print `line` on standard error; where that is closed, nobody wants to know (`print` would use stdout)."""
    if sys.stderr is not None:
        print(line, file=sys.stderr)


def abandon(stream: TextIO | None) -> None:
    """Send what is still to be written nowhere, so that Python's exit does not complain about it."""
    if stream is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def standard_input() -> str:
    """Return all of standard input.

    Raises:
        LLMConfigError: it is not UTF-8, or closed.
    """
    if sys.stdin is None:
        raise LLMConfigError("standard input is closed: give the text as an argument")
    raw = sys.stdin.buffer.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        problem = f"byte {exc.start + 1} is 0x{raw[exc.start]:02x}"
    raise LLMConfigError(f"standard input is not UTF-8 ({problem}): convert it first, for example iconv -f GB18030")


def argument_text(argument: str) -> str:
    """Return an argument as it was typed: Python decodes it by the locale, and C knows no Chinese.

    Raises:
        LLMConfigError: it is neither UTF-8 nor text in the locale's encoding.
    """
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        decoded = argument
    if any("\ud800" <= character <= "\udfff" for character in decoded):
        raise LLMConfigError("an argument is not UTF-8")
    return decoded


def _whole(text: str) -> str:
    """`text` with the halves of surrogate pairs joined; a half that stays alone becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
