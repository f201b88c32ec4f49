"""What earlier runs made of a gateway's contents, kept beside it: which channels and tokens are ours, and which keys
the channels were given."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from llm_gateway.flavours import ChannelSpec

UNFINISHED = ""
"""In place of a fingerprint: a run has begun to write the channel, and none has told that it was done."""


@dataclass(frozen=True)
class Record:
    """One API lists keys blank, so which key was applied is known by a fingerprint that is kept of it.

    Args:
        channels: fingerprint of the key by the channel's name.
        tokens: names of the tokens that runs made or took over.
        ids: One API's numbers of both, by ``channel:NAME`` and ``token:NAME``: what was deleted and made anew by
            hand has the name, and is not ours.
        unproven: names of the channels that were written and whose models have not all answered since.
        unstored: names of the options that were set and not seen in the database since.
        is_lost: there was none that could be read.
    """

    channels: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: frozenset[str] = frozenset()
    ids: Mapping[str, int] = field(default_factory=dict)
    unproven: frozenset[str] = frozenset()
    unstored: frozenset[str] = frozenset()
    is_lost: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Record:
        """Read the file; an empty record, marked as lost, where it is missing or damaged.

        The first version held the channels' fingerprints alone.
        """
        try:
            found = json.loads(text)
            channels = found.get("channels", found)
            return cls(
                {name: mark for name, mark in channels.items() if isinstance(mark, str)},
                frozenset(map(str, found.get("tokens", []))),
                {name: int(number) for name, number in found.get("ids", {}).items()},
                frozenset(map(str, found.get("unproven", []))),
                frozenset(map(str, found.get("unstored", []))),
            )
        except (ValueError, TypeError, AttributeError, RecursionError):
            return cls(is_lost=True)

    def content(self) -> bytes:
        """The file's content."""
        found = {
            "channels": dict(self.channels),
            "tokens": sorted(self.tokens),
            "ids": dict(self.ids),
            "unproven": sorted(self.unproven),
            "unstored": sorted(self.unstored),
        }
        return (json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    def without(self, kind: str, name: str) -> Record:
        """The record once a channel or token has been removed."""
        return replace(
            self,
            channels={n: mark for n, mark in self.channels.items() if (kind, n) != ("channel", name)},
            tokens=self.tokens - {name} if kind == "token" else self.tokens,
            ids={n: number for n, number in self.ids.items() if n != f"{kind}:{name}"},
        )

    def begun(self, channels: Iterable[str]) -> Record:
        """The record while `channels` are being written: an interrupted write is then done again."""
        return replace(self, channels={**self.channels, **dict.fromkeys(channels, UNFINISHED)})


def fingerprint(secret: str, spec: ChannelSpec) -> str:
    """Return what is kept of a channel's key; keyed with a gateway's own `secret`, it is another on each gateway."""
    return hmac.new(secret.encode(), f"{spec.name}\0{spec.key}".encode(), "sha256").hexdigest()
