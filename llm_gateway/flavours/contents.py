"""What is asked of a gateway's admin API, whichever software it is: each folder beside this has a client with it all.

Nothing in `change_plan`, `update_order`, `compare` and `apply` knows more of a gateway than `Contents`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from llm_gateway.flavours.shapes import Channel, LogRow, Status, Token, User
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec


class Contents(Protocol):
    """The channels, tokens and options of one gateway. Every method raises AdminError where it cannot do it."""

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


class Admin(Contents, Protocol):
    """A gateway as its administrator sees it. Every method raises AdminError where it cannot do it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Close the connection and forget the session."""
        ...

    def status(self) -> Status:
        """Return what anyone may know."""
        ...

    def log_in(self, username: str, password: str) -> bool:
        """Begin a session; return False for a wrong name or password."""
        ...

    def set_up(self, password: str) -> bool:
        """Make the account root where there is none yet; return whether it was made."""
        ...

    def fill_wallet(self) -> None:
        """See that root, who pays for all tokens, has enough."""
        ...

    def own_user(self) -> User:
        """Return the user that the session or the access token stands for."""
        ...

    def set_own_password(self, new: str) -> None:
        """Change root's own password; the access token stays valid."""
        ...

    def new_access_token(self) -> str:
        """Return a new access token; the previous one ends."""
        ...

    def log(self, token_name: str, after: int) -> list[LogRow]:
        """Return the requests that a token was billed for, the newest first, down to the row `after`."""
        ...

    def last_logged(self, token_name: str) -> int:
        """Return the id of the newest row of `log`; 0 where there is none."""
        ...
