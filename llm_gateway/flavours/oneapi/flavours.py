"""Which gateway it is that answers, and what that one can do.

The rest of this package is written for One API v0.6.10 and v0.6.11-preview, whose admin APIs are the same
(`wire` holds their paths and fields). What differs is told here; a flavour with another admin API gets its own
`wire` when it comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from llm_gateway.flavours.oneapi.channel_types import ChannelType
from llm_gateway.flavours.oneapi.errors import UnknownVersion
from llm_gateway.flavours.oneapi.shapes import Status

_NEW_BODIES = "v0.6.11-preview.4"
"""one-api#2069 and one-api#2050 are in it."""


class Flavour(Protocol):
    """One version of one gateway software."""

    @property
    def name(self) -> str:
        """What people call it, such as ``One API v0.6.10``."""
        ...

    def is_version(self, version: str) -> bool:
        """Whether a gateway that gives this version, or an image of this tag, is it."""
        ...

    def knows(self, kind: ChannelType) -> bool:
        """Whether its relay can serve this kind of channel."""
        ...

    @property
    def is_newer_in_bodies(self) -> bool:
        """Whether a channel's system prompt counts for every model, and mapped requests keep their reasoning fields."""
        ...


@dataclass(frozen=True)
class OneAPI:
    """A version of One API; `version` is its tag, such as ``v0.6.10``."""

    version: str

    @property
    def name(self) -> str:
        return f"One API {self.version}"

    def is_version(self, version: str) -> bool:
        """A word behind the version, as in ``v0.6.10-alpine``, is somebody's build of the same."""
        return re.fullmatch(rf"v?{re.escape(self.version[1:])}(-(?!preview|alpha)[a-z][a-z-]*)?", version) is not None

    def knows(self, kind: ChannelType) -> bool:
        return _order(kind.since) <= _order(self.version)

    @property
    def is_newer_in_bodies(self) -> bool:
        return _order(self.version) >= _order(_NEW_BODIES)


FLAVOURS: tuple[Flavour, ...] = (
    OneAPI("v0.6.10"),
    OneAPI("v0.6.11-preview"),
    *(OneAPI(f"v0.6.11-preview.{number}") for number in range(1, 8)),
)


def flavour_of(version: str) -> Flavour:
    """Return the flavour of a version, as `Status.version` or an image's tag gives it.

    Raises:
        UnknownVersion: none that this client was made for.
    """
    for flavour in FLAVOURS:
        if flavour.is_version(version):
            return flavour
    raise UnknownVersion(
        f"version {version!r} is none that this client knows: One API v0.6.10 and v0.6.11-preview to preview.7"
    )


def recognise(status: Status) -> Flavour:
    """Return the flavour of a running gateway.

    Raises:
        UnknownVersion: none that this client was made for.
    """
    return flavour_of(status.version)


def _order(version: str) -> tuple[int, ...]:
    """A key to sort One API's own tags by: a preview comes before its release."""
    release, _, preview = version.removeprefix("v").partition("-preview")
    numbers = tuple(int(part) for part in release.split("."))
    return (*numbers, int(preview.removeprefix(".") or 0)) if "-" in version else (*numbers, 1 << 30)
