"""What differs between the gateway software that a deployment knows: one object each, found by the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httpx

from llm_gateway.flavours.channel_types import ChannelType
from llm_gateway.flavours.contents import Admin
from llm_gateway.model.budgets import TokenTable
from llm_gateway.model.usage import UsageLog


class Version(Protocol):
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


class MakeAdmin(Protocol):
    """How a client of its admin API is made: see `AdminAPI`."""

    def __call__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
    ) -> Admin: ...


@dataclass(frozen=True)
class Flavour:
    """One gateway software.

    Args:
        name: what people call it.
        admin: makes a client of its admin API.
        version_of: a version by what `Status.version` or an image's tag says. Raises UnknownVersion.
        usage_log: what the rows of its log mean.
        token_table: where it keeps its tokens, and how one is switched off by a budget.
    """

    name: str
    admin: MakeAdmin
    version_of: Callable[[str], Version]
    usage_log: UsageLog
    token_table: TokenTable

    def version_of_image(self, image: str | None) -> Version:
        """The version that an image's tag names. Raises UnknownVersion."""
        return self.version_of((image or "").rpartition(":")[2])
