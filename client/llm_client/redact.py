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
    """Removes API keys from texts, in each form in which a gateway may echo them."""

    def __init__(self, *keys: str) -> None:
        forms = {form for key in keys for form in _forms(key) if len(form) >= _SHORTEST}
        longest_first = sorted(forms, key=len, reverse=True)
        self._forms = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def line(self, text: str, limit: int = TEXT_LIMIT) -> str:
        """Return `text` on one line, without the key, at most `limit` characters.

        The key goes first and the cut comes last: a cut through the key would leave half of it.
        """
        text = self._forms.sub(MASK, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def clean(self, error: LLMError) -> None:
        """Remove the keys from every text that `error` carries; the summary names each gateway that was asked."""
        error.failures = {base: self.line(said) for base, said in error.failures.items()}
        share = TEXT_LIMIT // max(len(error.failures), 1) - len("; ")
        each = [self.line(f"{base}: {said}", share) for base, said in error.failures.items()]
        error.summary = "; ".join(each) or self.line(error.summary)
        error.args = (error.summary,)
        for name in ("model", "request_id", "error_type", "error_code"):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self.line(value))


def _forms(key: str) -> set[str]:
    bare = key.removeprefix("sk-")
    return {key, bare, *(piece for piece in bare.split("-") if len(piece) >= _PIECE_MIN)}
