"""The admin API as a person would use it: log in, look, change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from llm_gateway.flavours.oneapi import wire
from llm_gateway.flavours.oneapi.envelope import opened, unexpected
from llm_gateway.flavours.oneapi.errors import Invalid, Refused, Unauthorised
from llm_gateway.flavours.oneapi.http import ask, make_client
from llm_gateway.flavours.oneapi.shapes import Channel, LogRow, Status, Token, User
from llm_gateway.flavours.oneapi.specs import ChannelSpec, TokenSpec, check_password

_Item = TypeVar("_Item")


class AdminClient:
    """Talks to one One API, by session (`log_in`) or by access token. Several threads may read.

    Args:
        base_url: such as ``http://127.0.0.1:3000``.
        access_token: of a root or admin user; better than logging in, which One API limits.
        transport: for tests.
        timeout: seconds for each connection and each wait for data, and for each body as a whole.

    Raises:
        Invalid: the URL or the token cannot be used.

    Every method raises `Unreachable`, `NotOneAPI`, `Unauthorised`, `RateLimited` or `Refused`
    (all of them `OneAPIError`) when it cannot do what it says. Nothing is retried.
    """

    def __init__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._http = make_client(base_url, access_token, transport, timeout)
        self._timeout = timeout
        self._access_token = access_token or ""

    def __repr__(self) -> str:
        return f"AdminClient({str(self._http.base_url)!r})"

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the session."""
        self._http.close()

    def status(self) -> Status:
        """Return version, name and start time; needs no login."""
        return self._one("GET", wire.STATUS, None, Status.read)

    def log_in(self, username: str, password: str) -> bool:
        """Begin a session; return False for a wrong name or password.

        One API takes 20 attempts in 20 minutes from one address, then raises `RateLimited`.
        """
        body = {"username": username, "password": password}
        try:
            self._call("POST", wire.LOG_IN, body, secret=password)
        except Refused as refused:
            if refused.message.startswith(wire.PASSWORD_LOGIN_OFF):
                raise
            return False
        return True

    def own_user(self) -> User:
        """Return the user that the session or the access token stands for."""
        try:
            return self._one("GET", wire.OWN_USER, None, User.read)
        except Refused as refused:  # a banned user: the only reason there is
            reason = str(refused)
        raise Unauthorised(reason)

    def set_own_password(self, new: str) -> None:
        """Change the own password; the sessions and the access token stay valid.

        Raises:
            Invalid: not 8 to 20 characters.
        """
        check_password(new)
        self._call("PUT", wire.OWN_USER, {"password": new}, secret=new)

    def new_access_token(self) -> str:
        """Return a new access token; the previous one ends. This client keeps its own."""
        found = self._call("GET", wire.ACCESS_TOKEN)
        if not isinstance(found, str) or not found:
            raise unexpected(f"GET {wire.ACCESS_TOKEN}", "no token in it")
        return found

    def channels(self) -> list[Channel]:
        """Return all channels, without their keys."""
        return self._many(wire.ALL_CHANNELS, Channel.read)

    def create_channel(self, spec: ChannelSpec) -> None:
        """Add a channel. One API tells no id: `only(admin.channels(), name)` finds it.

        Raises:
            Invalid: the key is empty.
        """
        if not spec.key:
            raise Invalid(f"channel {spec.name!r}: a new channel needs a key")
        self._call("POST", wire.CHANNELS, spec.fields(with_key=True), secret=spec.key)

    def update_channel(self, channel_id: int, spec: ChannelSpec) -> None:
        """Make a channel into `spec`; an empty key keeps the one it has.

        One API answers "success" for a channel that is gone, and makes routing entries for it that
        let its models fail with 503. That is seen in the answer, and undone.

        Raises:
            Refused: there is no such channel (any more).
        """
        fields = spec.fields(with_key=bool(spec.key))
        # The answer holds the upstream key in clear; it is looked through for what One API itself
        # sets when it makes a channel, and dropped.
        row = self._call("PUT", wire.CHANNELS, {"id": channel_id, **fields}, secret=spec.key)
        if isinstance(row, dict) and row.get("created_time"):
            return
        try:
            self._call("GET", f"{wire.CHANNELS}{channel_id:d}", secret=spec.key)
        except Refused as refused:
            if refused.message == wire.NOT_FOUND:
                self.delete_channel(channel_id)
            raise

    def switch_channel_off(self, channel_id: int) -> None:
        """Disable a channel, which takes its models out of routing; nothing else of it changes."""
        self._call("PUT", wire.CHANNELS, {"id": channel_id, "status": wire.DISABLED})

    def delete_channel(self, channel_id: int) -> None:
        """Delete a channel and its routing entries; no error when it is gone already."""
        self._call("DELETE", f"{wire.CHANNELS}{channel_id:d}")

    def tokens(self) -> list[Token]:
        """Return all tokens of the own user, with their keys."""
        return self._many(wire.ALL_TOKENS, Token.read)

    def create_token(self, spec: TokenSpec) -> Token:
        """Add a token and return it, with the key that One API chose."""
        return self._one("POST", wire.TOKENS, spec.fields(), Token.read)

    def update_token(self, token: Token, spec: TokenSpec) -> Token:
        """Make a token into `spec`, its status excepted, and return it; its key stays.

        What remains of a limited token is reckoned from `token.used_quota`: where that has grown in
        the meantime, the total of the token that is returned is too large by as much.
        """
        return self._one("PUT", wire.TOKENS, {"id": token.id, **spec.fields(token.used_quota)}, Token.read)

    def set_token_status(self, token: Token, status: int) -> Token:
        """Enable (1) or disable (2) a token, which `update_token` cannot, and return it.

        Raises:
            Refused: it should be enabled, and is past its time or has used up its quota.
        """
        # One API looks at the name here too, and leaves it as it is.
        body = {"id": token.id, "name": token.name, "status": status}
        return self._one("PUT", wire.TOKEN_STATUS, body, Token.read)

    def delete_token(self, token_id: int) -> None:
        """Delete a token; requests with its key are refused from now on.

        Raises:
            Refused: there is no such token (any more).
        """
        self._call("DELETE", f"{wire.TOKENS}{token_id:d}")

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
        return self._many(path, LogRow.read)

    def options(self) -> dict[str, str]:
        """Return the options; One API leaves out those that hold a token or a secret."""

        def pair(row: Mapping[str, Any]) -> tuple[str, str]:
            return str(row["key"]), str(row["value"])

        return dict(self._many(wire.OPTIONS, pair))

    def set_option(self, key: str, value: str) -> None:
        """Set an option. `value` is always text (``"false"``); unknown keys are stored too."""
        self._call("PUT", wire.OPTIONS, {"key": key, "value": value})

    def _call(self, method: str, path: str, fields: wire.Fields | None = None, *, secret: str = "") -> object:
        """The data of an answer; no error repeats `secret`, which is in the request."""
        reply = ask(self._http, method, path, fields, self._timeout)
        return opened(reply, (secret, self._access_token))

    def _one(
        self,
        method: str,
        path: str,
        fields: wire.Fields | None,
        read: Callable[[Mapping[str, Any]], _Item],
    ) -> _Item:
        return _read_row(f"{method} {path}", self._call(method, path, fields), read)

    def _many(self, path: str, read: Callable[[Mapping[str, Any]], _Item]) -> list[_Item]:
        rows = self._call("GET", path)
        call = f"GET {path.split('?', 1)[0]}"
        if rows is None:  # how Go writes an empty list that was never made
            return []
        if not isinstance(rows, list):
            raise unexpected(call, "no list in it")
        return [_read_row(call, row, read) for row in rows]


def _read_row(call: str, row: object, read: Callable[[Mapping[str, Any]], _Item]) -> _Item:
    if not isinstance(row, dict):
        raise unexpected(call, "no object in it")
    try:
        return read(row)
    except KeyError as exc:
        detail = f"field {exc} is missing"
    except TypeError as exc:
        detail = str(exc)
    raise unexpected(call, detail)
