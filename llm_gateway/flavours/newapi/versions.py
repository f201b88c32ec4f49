"""The versions of new-api that were tried. Its admin API changes between release candidates; others are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_gateway.flavours.channel_types import ChannelType
from llm_gateway.flavours.errors import UnknownVersion
from llm_gateway.flavours.flavour import Version


@dataclass(frozen=True)
class NewAPI:
    """A version of new-api; `version` is its tag, such as ``v1.0.0-rc.15``."""

    version: str

    @property
    def name(self) -> str:
        return f"new-api {self.version}"

    def is_version(self, version: str) -> bool:
        """A word behind the version, as in ``v1.0.0-rc.15-amd64``, is a build of the same."""
        return re.fullmatch(rf"{re.escape(self.version)}(-[a-z][a-z0-9-]*)?", version) is not None

    def knows(self, kind: ChannelType) -> bool:
        """What it has not is refused where a channel is declared (`wire.held`)."""
        return True

    @property
    def is_newer_in_bodies(self) -> bool:
        return True


VERSIONS: tuple[NewAPI, ...] = (NewAPI("v1.0.0-rc.15"),)


def version_of(version: str) -> Version:
    """Return the version, as `Status.version` or an image's tag gives it.

    Raises:
        UnknownVersion: none that was tried.
    """
    for known in VERSIONS:
        if known.is_version(version):
            return known
    tried = ", ".join(known.version for known in VERSIONS)
    raise UnknownVersion(f"version {version!r} of new-api was not tried with this deployment: {tried} was")
