"""What earlier runs made of a gateway's contents, kept beside it: which channels and tokens are ours, and which keys
the channels were given."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from oneapi import ChannelSpec

FILE = "applied-keys.json"
UNFINISHED = ""
"""In place of a fingerprint: a run has begun to write the channel, and none has told that it was done."""


@dataclass(frozen=True)
class Record:
    """One API lists keys blank, so which key was applied is known by a fingerprint that is kept of it.

    Args:
        channels: fingerprint of the key by the channel's name.
        tokens: names of the tokens that runs made or took over.
    """

    channels: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Record:
        """Read the file; an empty record where it is damaged: then nothing is ours, and every key is applied again.

        Before version 0.3 the file held the channels alone.
        """
        try:
            found = json.loads(text or "{}")
        except ValueError:
            return cls()
        if not isinstance(found, dict):
            return cls()
        channels = found.get("channels", found)
        tokens = found.get("tokens", [])
        if not isinstance(channels, dict) or not isinstance(tokens, list):
            return cls()
        kept = {str(name): mark for name, mark in channels.items() if isinstance(mark, str)}
        return cls(kept, frozenset(map(str, tokens)))

    def content(self) -> bytes:
        """The file's content."""
        found = {"channels": dict(self.channels), "tokens": sorted(self.tokens)}
        return (json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    def begun(self, channels: Iterable[str]) -> Record:
        """The record while `channels` are being written: an interrupted write is then done again."""
        return replace(self, channels={**self.channels, **dict.fromkeys(channels, UNFINISHED)})


def fingerprint(secret: str, spec: ChannelSpec) -> str:
    """Return what is kept of a channel's key; keyed with a gateway's own `secret`, it is another on each gateway."""
    return hmac.new(secret.encode(), f"{spec.name}\0{spec.key}".encode(), "sha256").hexdigest()
