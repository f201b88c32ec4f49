"""Keeps the API key, and anything that breaks a log line, out of every text that leaves."""

from __future__ import annotations

import re

from .errors import LLMError

MASK = "[key]"
TEXT_LIMIT = 400
"""Characters of a summary; One API's messages have at most about 200."""
_SHORTEST = 8
"""Shorter keys, such as the ``EMPTY`` and ``none`` of servers that ask for none, are words and no secrets."""
_PIECE_MIN = 16
"""One API cuts ``sk-KEY-7`` (a key with a channel number) at its hyphens and may echo one piece."""


class Redactor:
    """Removes one API key from texts, in each form in which a gateway may echo it."""

    def __init__(self, key: str) -> None:
        bare = key.removeprefix("sk-")
        forms = {key, bare, *(piece for piece in bare.split("-") if len(piece) >= _PIECE_MIN)}
        longest_first = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._forms = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def line(self, text: str, limit: int = TEXT_LIMIT) -> str:
        """Return `text` on one line, without the key, at most `limit` characters.

        The key goes first and the cut comes last: a cut through the key would leave half of it.
        """
        text = self._forms.sub(MASK, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def clean(self, error: LLMError) -> None:
        """Remove the key from every text that `error` carries."""
        error.summary = self.line(error.summary)
        error.args = (error.summary,)
        for name in ("model", "request_id", "error_type", "error_code"):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self.line(value))
