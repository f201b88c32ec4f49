"""Names for the secrets of channels that nobody has declared yet: readable, and no two the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from llm_gateway.flavours import Channel
from llm_gateway.inputs import declarations
from llm_gateway.inputs.declaration_checks import CONFIG_SECRETS

_KEY = "API_KEY"
_SUFFIXES = (_KEY, *(field.upper() for field in CONFIG_SECRETS))


class SecretNames:
    """Names a channel's key and credentials: as they are declared already, else after the channel's name."""

    def __init__(self, channels: Iterable[Channel], declared: Iterable[declarations.Channel]) -> None:
        """Parameters: `channels`, what is there; `declared`, what is declared now, whose names are kept."""
        there = sorted(channels, key=lambda channel: channel.id)
        names = {channel.name for channel in there}
        self._declared = {channel.name: channel for channel in declared if channel.name in names}
        taken = {name for channel in self._declared.values() for name in (channel.key, *channel.credentials.values())}
        self._stems: dict[int, str] = {}
        for channel in there:
            self._stems[channel.id] = _free(_stem(channel), taken)
            taken |= _names(self._stems[channel.id])

    def key(self, channel: Channel) -> str:
        """The name of the secret that holds the provider's key."""
        known = self._declared.get(channel.name)
        return known.key if known else f"{self._stems[channel.id]}_{_KEY}"

    def credential(self, channel: Channel, field: str) -> str:
        """The name of the secret for a field of the channel's config."""
        known = self._declared.get(channel.name)
        named = known.credentials.get(field) if known else None
        return named or f"{self._stems[channel.id]}_{field.upper()}"


def _stem(channel: Channel) -> str:
    """`DASHSCOPE` for "dashscope" and "DashScope API key"; the number where no letter is left of the name."""
    plain = unicodedata.normalize("NFKD", channel.name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Z0-9]+", "_", plain.upper()).strip("_")
    words = words.removesuffix(_KEY).strip("_")
    if not words:
        return f"CHANNEL_{channel.id}"
    return words if words[0].isalpha() else f"CHANNEL_{words}"


def _free(stem: str, taken: set[str]) -> str:
    candidate, number = stem, 2
    while _names(candidate) & taken:
        candidate, number = f"{stem}_{number}", number + 1
    return candidate


def _names(stem: str) -> set[str]:
    return {f"{stem}_{suffix}" for suffix in _SUFFIXES}
