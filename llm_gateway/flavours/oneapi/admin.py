"""The admin API as a person would use it: log in, look, change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from llm_gateway.flavours import values
from llm_gateway.flavours.admin_api import AdminAPI
from llm_gateway.flavours.envelope import unexpected
from llm_gateway.flavours.errors import Invalid, Refused, Unauthorised
from llm_gateway.flavours.oneapi import wire
from llm_gateway.flavours.shapes import Channel, LogRow, Token, User
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec, check_password


class AdminClient(AdminAPI):
    """Talks to one One API, by session (`log_in`) or by access token. Several threads may read.

    Every method raises `Unreachable`, `NotOneAPI`, `Unauthorised`, `RateLimited` or `Refused`
    (all of them `OneAPIError`) when it cannot do what it says. Nothing is retried.
    """

    not_allowed = wire.NOT_ALLOWED

    def set_up(self, password: str) -> bool:
        """One API makes the account itself, with a password that everybody knows."""
        return False

    def fill_wallet(self) -> None:
        """It gives root enough by itself."""

    def log_in(self, username: str, password: str) -> bool:
        """Begin a session; return False for a wrong name or password.

        One API takes 20 attempts in 20 minutes from one address, then raises `RateLimited`.
        """
        body = {"username": username, "password": password}
        try:
            self.call("POST", wire.LOG_IN, body, secret=password)
        except Refused as refused:
            if refused.message.startswith(wire.PASSWORD_LOGIN_OFF):
                raise
            return False
        return True

    def own_user(self) -> User:
        """Return the user that the session or the access token stands for."""
        try:
            return self.one("GET", wire.OWN_USER, None, wire.read_user)
        except Refused as refused:  # a banned user: the only reason there is
            reason = str(refused)
        raise Unauthorised(reason)

    def set_own_password(self, new: str) -> None:
        """Change the own password; the sessions and the access token stay valid.

        Raises:
            Invalid: not 8 to 20 characters.
        """
        check_password(new)
        self.call("PUT", wire.OWN_USER, {"password": new}, secret=new)

    def new_access_token(self) -> str:
        """Return a new access token; the previous one ends. This client keeps its own."""
        found = self.call("GET", wire.ACCESS_TOKEN)
        if not isinstance(found, str) or not found:
            raise unexpected(f"GET {wire.ACCESS_TOKEN}", "no token in it")
        return found

    def channels(self) -> list[Channel]:
        """Return all channels, without their keys."""
        return self.many(wire.ALL_CHANNELS, wire.read_channel)

    def create_channel(self, spec: ChannelSpec) -> None:
        """Add a channel. One API tells no id: `only(admin.channels(), name)` finds it.

        Raises:
            Invalid: the key is empty.
        """
        if not spec.key:
            raise Invalid(f"channel {spec.name!r}: a new channel needs a key")
        self.call("POST", wire.CHANNELS, wire.channel_fields(spec, with_key=True), secret=spec.key)

    def update_channel(self, channel_id: int, spec: ChannelSpec) -> None:
        """Make a channel into `spec`; an empty key keeps the one it has.

        One API answers "success" for a channel that is gone, and makes routing entries for it that
        let its models fail with 503. That is seen in the answer, and undone.

        Raises:
            Refused: there is no such channel (any more).
        """
        fields = wire.channel_fields(spec, with_key=bool(spec.key))
        # The answer holds the upstream key in clear; it is looked through for what One API itself
        # sets when it makes a channel, and dropped.
        row = self.call("PUT", wire.CHANNELS, {"id": channel_id, **fields}, secret=spec.key)
        if isinstance(row, dict) and row.get("created_time"):
            return
        try:
            self.call("GET", f"{wire.CHANNELS}{channel_id:d}", secret=spec.key)
        except Refused as refused:
            if refused.message == values.NOT_FOUND:
                self.delete_channel(channel_id)
            raise

    def switch_channel_off(self, channel_id: int) -> None:
        """Disable a channel, which takes its models out of routing; nothing else of it changes."""
        self.call("PUT", wire.CHANNELS, {"id": channel_id, "status": values.DISABLED})

    def delete_channel(self, channel_id: int) -> None:
        """Delete a channel and its routing entries; no error when it is gone already."""
        self.call("DELETE", f"{wire.CHANNELS}{channel_id:d}")

    def tokens(self) -> list[Token]:
        """Return all tokens of the own user, with their keys."""
        return self.many(wire.ALL_TOKENS, wire.read_token)

    def create_token(self, spec: TokenSpec) -> Token:
        """Add a token and return it, with the key that One API chose."""
        return self.one("POST", wire.TOKENS, wire.token_fields(spec), wire.read_token)

    def update_token(self, token: Token, spec: TokenSpec) -> Token:
        """Make a token into `spec`, its status excepted, and return it; its key stays.

        What remains of a limited token is reckoned from `token.used_quota`: where that has grown in
        the meantime, the total of the token that is returned is too large by as much.
        """
        return self.one(
            "PUT", wire.TOKENS, {"id": token.id, **wire.token_fields(spec, token.used_quota)}, wire.read_token
        )

    def set_token_status(self, token: Token, status: int) -> Token:
        """Enable (1) or disable (2) a token, which `update_token` cannot, and return it.

        Raises:
            Refused: it should be enabled, and is past its time or has used up its quota.
        """
        # One API looks at the name here too, and leaves it as it is.
        body = {"id": token.id, "name": token.name, "status": status}
        return self.one("PUT", wire.TOKEN_STATUS, body, wire.read_token)

    def delete_token(self, token_id: int) -> None:
        """Delete a token; requests with its key are refused from now on.

        Raises:
            Refused: there is no such token (any more).
        """
        self.call("DELETE", f"{wire.TOKENS}{token_id:d}")

    def log(self, token_name: str, after: int) -> list[LogRow]:
        """Return the requests that a token was billed for, the newest first.

        A row is there a moment after its answer: One API writes it behind the answer's back.

        Args:
            token_name: the token's name.
            after: the id of a row; it, and what was before it, is left out.
        """
        rows: list[LogRow] = []
        page = 0
        while True:
            found = self._log_page(token_name, page)
            rows += [row for row in found if row.id > after]
            if not found or found[-1].id <= after:
                return rows
            page += 1

    def last_logged(self, token_name: str) -> int:
        """Return the id of the newest row of `log`; 0 where there is none."""
        return max((row.id for row in self._log_page(token_name, 0)), default=0)

    def _log_page(self, token_name: str, page: int) -> list[LogRow]:
        path = f"{wire.LOG}?type={wire.CONSUMED}&token_name={quote(token_name, safe='')}&p={page}"
        return self.many(path, wire.read_log_row)

    def options(self) -> dict[str, str]:
        """Return the options; One API leaves out those that hold a token or a secret."""

        def pair(row: Mapping[str, Any]) -> tuple[str, str]:
            return str(row["key"]), str(row["value"])

        return dict(self.many(wire.OPTIONS, pair))

    def set_option(self, key: str, value: str) -> None:
        """Set an option. `value` is always text (``"false"``); unknown keys are stored too."""
        self.call("PUT", wire.OPTIONS, {"key": key, "value": value})
