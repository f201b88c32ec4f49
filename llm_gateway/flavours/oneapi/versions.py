"""The versions of One API that are known, v0.6.10 and v0.6.11-preview: their admin APIs are the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_gateway.flavours.channel_types import ChannelType
from llm_gateway.flavours.errors import UnknownVersion
from llm_gateway.flavours.flavour import Version

_NEW_BODIES = "v0.6.11-preview.4"
"""one-api#2069 and one-api#2050 are in it."""


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


VERSIONS: tuple[Version, ...] = (
    OneAPI("v0.6.10"),
    OneAPI("v0.6.11-preview"),
    *(OneAPI(f"v0.6.11-preview.{number}") for number in range(1, 8)),
)


def version_of(version: str) -> Version:
    """Return the version, as `Status.version` or an image's tag gives it.

    Raises:
        UnknownVersion: none that this client was made for.
    """
    for known in VERSIONS:
        if known.is_version(version):
            return known
    raise UnknownVersion(
        f"version {version!r} is none that this client knows: One API v0.6.10 and v0.6.11-preview to preview.7"
    )


def _order(version: str) -> tuple[int, ...]:
    """A key to sort One API's own tags by: a preview comes before its release."""
    release, _, preview = version.removeprefix("v").partition("-preview")
    numbers = tuple(int(part) for part in release.split("."))
    return (*numbers, int(preview.removeprefix(".") or 0)) if "-" in version else (*numbers, 1 << 30)
