"""The small interface behind which a gateway's flavour is: all that the reconciler asks of one.

`AdminClient` is it for One API v0.6.10 and v0.6.11-preview. Another gateway is reconciled by a class of its own with
these methods; nothing in `change_plan`, `update_order`, `compare` and `apply` knows more of it.
"""

from __future__ import annotations

from typing import Protocol

from llm_gateway.flavours.oneapi.shapes import Channel, Token
from llm_gateway.flavours.oneapi.specs import ChannelSpec, TokenSpec


class Contents(Protocol):
    """The channels, tokens and options of one gateway. Every method raises OneAPIError where it cannot do it."""

    def channels(self) -> list[Channel]:
        """Return all channels, without their keys."""
        ...

    def create_channel(self, spec: ChannelSpec) -> None:
        """Add a channel."""
        ...

    def update_channel(self, channel_id: int, spec: ChannelSpec) -> None:
        """Make a channel into `spec`; an empty key keeps the one it has."""
        ...

    def switch_channel_off(self, channel_id: int) -> None:
        """Take a channel out of routing."""
        ...

    def delete_channel(self, channel_id: int) -> None:
        """Remove a channel."""
        ...

    def tokens(self) -> list[Token]:
        """Return all tokens, with their keys."""
        ...

    def create_token(self, spec: TokenSpec) -> Token:
        """Add a token and return it, with its key."""
        ...

    def update_token(self, token: Token, spec: TokenSpec) -> Token:
        """Make a token into `spec`, its status excepted."""
        ...

    def set_token_status(self, token: Token, status: int) -> Token:
        """Enable or disable a token."""
        ...

    def delete_token(self, token_id: int) -> None:
        """Remove a token."""
        ...

    def options(self) -> dict[str, str]:
        """Return the options as the gateway writes them."""
        ...

    def set_option(self, key: str, value: str) -> None:
        """Set an option."""
        ...
