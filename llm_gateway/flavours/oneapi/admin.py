"""The admin API as a person would use it: log in, look, change."""

from __future__ import annotations

from llm_gateway.flavours import paths, values
from llm_gateway.flavours.admin_api import AdminAPI
from llm_gateway.flavours.errors import Invalid, Refused
from llm_gateway.flavours.oneapi import wire
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec, check_password


class AdminClient(AdminAPI):
    """Talks to one One API, by session (`log_in`) or by access token. Several threads may read.

    Every method raises `Unreachable`, `NotAdminAPI`, `Unauthorised`, `RateLimited` or `Refused`
    (all of them `AdminError`) when it cannot do what it says. Nothing is retried.
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
            self.call("POST", paths.LOG_IN, body, secret=password)
        except Refused as refused:
            if refused.message.startswith(wire.PASSWORD_LOGIN_OFF):
                raise
            return False
        return True

    def set_own_password(self, new: str) -> None:
        """Change the own password; the sessions and the access token stay valid.

        Raises:
            Invalid: not 8 to 20 characters.
        """
        check_password(new)
        self.call("PUT", paths.OWN_USER, {"password": new}, secret=new)

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
        self.call("POST", paths.CHANNELS, wire.channel_fields(spec, with_key=True), secret=spec.key)

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
        row = self.call("PUT", paths.CHANNELS, {"id": channel_id, **fields}, secret=spec.key)
        if isinstance(row, dict) and row.get("created_time"):
            return
        try:
            self.call("GET", f"{paths.CHANNELS}{channel_id:d}", secret=spec.key)
        except Refused as refused:
            if refused.message == values.NOT_FOUND:
                self.delete_channel(channel_id)
            raise

    def switch_channel_off(self, channel_id: int) -> None:
        """Disable a channel, which takes its models out of routing; nothing else of it changes."""
        self.call("PUT", paths.CHANNELS, {"id": channel_id, "status": values.DISABLED})

    def tokens(self) -> list[Token]:
        """Return all tokens of the own user, with their keys."""
        return self.many(wire.ALL_TOKENS, wire.read_token)

    def create_token(self, spec: TokenSpec) -> Token:
        """Add a token and return it, with the key that One API chose."""
        return self.one("POST", paths.TOKENS, wire.token_fields(spec), wire.read_token)

    def update_token(self, token: Token, spec: TokenSpec) -> Token:
        """Make a token into `spec`, its status excepted, and return it; its key stays.

        What remains of a limited token is reckoned from `token.used_quota`: where that has grown in
        the meantime, the total of the token that is returned is too large by as much.
        """
        return self.one(
            "PUT", paths.TOKENS, {"id": token.id, **wire.token_fields(spec, token.used_quota)}, wire.read_token
        )

    def set_token_status(self, token: Token, status: int) -> Token:
        """Enable (1) or disable (2) a token, which `update_token` cannot, and return it.

        Raises:
            Refused: it should be enabled, and is past its time or has used up its quota.
        """
        # One API looks at the name here too, and leaves it as it is.
        body = {"id": token.id, "name": token.name, "status": status}
        return self.one("PUT", paths.TOKEN_STATUS, body, wire.read_token)
