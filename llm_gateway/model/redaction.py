"""Other programs' messages, as they may be shown: on one line, cut, and without keys."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HIDDEN = "[hidden]"
_LOOKS_LIKE_A_KEY = re.compile(r"sk-[\w-]{6,}|(?<=://)[^\s/@]+(?=@)")
"""A key of an OpenAI-compatible service, and who a URL has logged in."""


def redacted(text: str, secrets: Iterable[str], limit: int) -> str:
    """A message without `secrets` and what looks like one, on one line of at most `limit` characters."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _LOOKS_LIKE_A_KEY.sub(_HIDDEN, text)
    # Cut last, or half of a key stays.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
