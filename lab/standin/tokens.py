"""How many tokens a text has, counted with the tables that One API counts with (tiktoken's byte-pair encoding).

Of a long text the beginning is counted and the rest reckoned from it, and a long run without blanks is cut: Python is
slow. (The real encoder counts all of it, and its time grows with the square of a run's length.)
"""

from __future__ import annotations

import base64
import re
import sys
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from .encoders import ENCODERS

PER_BYTE = 0.38
"""Tokens for a byte of UTF-8, with the option ApproximateTokenEnabled."""
PER_MESSAGE, PER_NAME, PER_ANSWER = 3, 1, 3
_COUNTED_CHARACTERS = 20_000
_RUN_BYTES = 60

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
# The patterns of cl100k_base and o200k_base (openai/tiktoken, tiktoken_ext/openai_public.py); <L> is a class.
_PATTERNS = {
    "cl100k_base": rf"{_ENDINGS}|[^\r\n<L><N>]?[<L>]+|[<N>]{{1,3}}| ?[^\s<L><N>]+[\r\n]*|{_SPACES}",
    "o200k_base": (
        rf"[^\r\n<L><N>]?[<Lu><Lt><Lm><Lo><M>]*[<Ll><Lm><Lo><M>]+{_ENDINGS}?"
        rf"|[^\r\n<L><N>]?[<Lu><Lt><Lm><Lo><M>]+[<Ll><Lm><Lo><M>]*{_ENDINGS}?"
        rf"|[<N>]{{1,3}}| ?[^\s<L><N>]+[\r\n/]*|{_SPACES}"
    ),
}


class Tokens:
    """Counts tokens with the tables in a directory, which are read when the first text is counted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._encodings: dict[str, _Encoding] = {}
        self._turn = threading.Lock()

    def of_text(self, text: str, model: str, roughly: bool) -> int:
        """The tokens of a text; a model that One API does not know is counted as gpt-3.5-turbo."""
        if roughly:
            return int(len(text.encode(errors="replace")) * PER_BYTE)
        return self._encoding("o200k_base" if model.startswith("gpt-4o") else "cl100k_base").count(text)

    def of_messages(self, messages: Sequence[dict[str, Any]], model: str, roughly: bool) -> int:
        """The tokens of a chat, with what each message and the answer cost besides; images are not counted here."""
        total = PER_ANSWER
        for message in messages:
            texts = [*_texts(message.get("content")), message.get("role", "")]
            if "name" in message:
                texts.append(message["name"])
                total += PER_NAME
            total += PER_MESSAGE + sum(self.of_text(text, model, roughly) for text in texts)
        return total

    def _encoding(self, name: str) -> _Encoding:
        with self._turn:
            if name not in self._encodings:
                (encoder,) = (each for each in ENCODERS if each.name == name)
                self._encodings[name] = _Encoding(name, self._directory / encoder.cache_name)
            return self._encodings[name]


def _texts(content: Any) -> list[str]:
    """The texts of a message, of whichever form."""
    if isinstance(content, str):
        return [content]
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]


class _Encoding:
    def __init__(self, name: str, table: Path) -> None:
        rows = (line.split() for line in table.read_bytes().splitlines())
        self._ranks = {base64.b64decode(row[0]): int(row[1]) for row in rows if len(row) == 2}
        self._pattern = re.compile(re.sub("<(L[a-z]?|M|N)>", lambda found: _class(found[1]), _PATTERNS[name]))
        self._of_piece = lru_cache(100_000)(self._count_piece)

    def count(self, text: str) -> int:
        counted = text[:_COUNTED_CHARACTERS]
        found = sum(
            self._of_piece(piece[start : start + _RUN_BYTES])
            for match in self._pattern.finditer(counted)
            for piece in (match[0].encode(errors="replace"),)
            for start in range(0, len(piece), _RUN_BYTES)
        )
        return found * len(text) // (len(counted) or 1)

    def _count_piece(self, piece: bytes) -> int:
        """Join the two neighbours of the lowest rank until none are in the table."""
        if piece in self._ranks:
            return 1
        parts = [piece[place : place + 1] for place in range(len(piece))]
        while True:
            ranks = ((self._ranks.get(a + b), place) for place, (a, b) in enumerate(pairwise(parts)))
            joint = min(((rank, place) for rank, place in ranks if rank is not None), default=None)
            if joint is None:
                return len(parts)
            parts[joint[1] : joint[1] + 2] = [parts[joint[1]] + parts[joint[1] + 1]]


def _class(name: str) -> str:
    """What stands in a regular expression's brackets for a class of Unicode, such as Lu, or all of L."""
    return "".join(
        f"{re.escape(chr(first))}-{re.escape(chr(last))}"
        for category, spans in _categories().items()
        if category.startswith(name)
        for first, last in spans
    )


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """The spans of characters of each category of letters, marks and numbers."""
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN":
            found = spans[category]
            first = found.pop()[0] if found and found[-1][1] == code - 1 else code
            found.append((first, code))
    return spans
