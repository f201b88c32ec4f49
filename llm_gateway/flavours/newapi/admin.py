"""new-api's admin API as a person would use it. Where it differs from One API's, it does so without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from llm_gateway.flavours import listed, paths, values
from llm_gateway.flavours.admin_api import AdminAPI, read_row, read_rows
from llm_gateway.flavours.envelope import unexpected
from llm_gateway.flavours.errors import Invalid, RateLimited, Refused
from llm_gateway.flavours.newapi import wire
from llm_gateway.flavours.rows import Fields
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec, check_password

_Item = TypeVar("_Item")


class NewAPIClient(AdminAPI):
    """Talks to one new-api, by session (`log_in`) or by access token. Several threads may read.

    Every method raises `Unreachable`, `NotAdminAPI`, `Unauthorised`, `RateLimited` or `Refused`
    (all of them `AdminError`) when it cannot do what it says. Nothing is retried.

    Args:
        user: the id of the account that an access token is of.
    """

    not_allowed = wire.NOT_ALLOWED
    first_page = 1
    paging = f"&page_size={wire.PAGE}"

    def __init__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
        user: int = 1,
    ) -> None:
        super().__init__(base_url, access_token=access_token, transport=transport, timeout=timeout)
        # Its refusals are told by their words, which have the reader's language.
        self._http.headers.update({"Accept-Language": "en", wire.USER_HEADER: str(user)})

    def set_up(self, password: str) -> bool:
        """Make the account root where nobody has set the gateway up yet; return whether that was so.

        Until then it makes no account, and takes the first comer's.
        """
        check_password(password)
        found = self.call("GET", wire.SET_UP)
        if not isinstance(found, dict) or not isinstance(found.get("status"), bool):
            raise unexpected(f"GET {wire.SET_UP}", "no status in it")
        if found["status"]:
            return False
        fields = {
            "username": "root",
            "password": password,
            "confirmPassword": password,
            "SelfUseModeEnabled": True,
            "DemoSiteEnabled": False,
        }
        self.call("POST", wire.SET_UP, fields, secret=password)
        return True

    def log_in(self, username: str, password: str) -> bool:
        """Begin a session; return False for a wrong name or password.

        new-api takes 20 attempts in 20 minutes from one address, keys of tokens that are read among them.
        """
        body = {"username": username, "password": password}
        try:
            found = self.call("POST", paths.LOG_IN, body, secret=password)
        except Refused as refused:
            if wire.PASSWORD_LOGIN_OFF in refused.message.lower():
                raise
            return False
        if isinstance(found, dict) and found.get("require_2fa"):
            told = "logs in with a second factor, which a run does not have: switch it off in the admin page meanwhile"
            raise Refused(f"POST {paths.LOG_IN}", f"{username} {told}")
        user = read_row(f"POST {paths.LOG_IN}", found, listed.user)
        self._http.headers[wire.USER_HEADER] = str(user.id)
        return True

    def set_own_password(self, new: str) -> None:
        """Change the own password by root's right to change anybody's; the access token stays valid.

        new-api overwrites what goes with it, the group of the account among that.
        """
        check_password(new)
        path = f"{wire.USERS}{self.own_user().id:d}"
        row = self.call("GET", path)
        if not isinstance(row, dict):
            raise unexpected(f"GET {path}", "no object in it")
        kept = {name: row.get(name) or "" for name in ("id", "username", "display_name", "group", "remark")}
        self.call("PUT", wire.USERS, {**kept, "password": new}, secret=new)

    def fill_wallet(self) -> None:
        """Give root as much as One API does: all tokens end with it."""
        own = self.own_user().id
        self.call("POST", wire.MANAGE, {"id": own, "action": "add_quota", "mode": "override", "value": wire.WALLET})

    def channels(self) -> list[Channel]:
        """Return all channels, without their keys."""
        return self._pages(paths.CHANNELS, wire.read_channel)

    def create_channel(self, spec: ChannelSpec) -> None:
        """Add a channel.

        Raises:
            Invalid: the key is empty, or new-api has no such channels.
        """
        if not spec.key:
            raise Invalid(f"channel {spec.name!r}: a new channel needs a key")
        fields = wire.channel_fields(spec, {}, with_key=True)
        self.call("POST", paths.CHANNELS, {"mode": "single", "channel": fields}, secret=spec.key)

    def update_channel(self, channel_id: int, spec: ChannelSpec) -> None:
        """Make a channel into `spec`; an empty key keeps the one it has.

        Raises:
            Invalid: a config that it has, and that new-api does not take away any more.
            Refused: there is no such channel (any more).
        """
        path = f"{paths.CHANNELS}{channel_id:d}"
        setting, other = self.one("GET", path, None, lambda row: (wire.setting_of(row), row.get("other")))
        fields = wire.channel_fields(spec, setting, with_key=bool(spec.key))
        if other and not fields["other"]:
            raise Invalid(
                f"channel {spec.name!r}: new-api keeps its config ({other}) when it is to have none: declare another,"
                " or delete the channel in the admin page, and the next run makes it anew"
            )
        self.call("PUT", paths.CHANNELS, {"id": channel_id, **fields}, secret=spec.key)

    def switch_channel_off(self, channel_id: int) -> None:
        """Disable a channel, which takes its models out of routing; nothing else of it changes."""
        self.call("PUT", paths.CHANNELS, {"id": channel_id, "status": values.DISABLED})

    def tokens(self) -> list[Token]:
        """Return all tokens of the own user, with their keys."""
        return self._with_keys(self._pages(paths.TOKENS, wire.read_token))

    def create_token(self, spec: TokenSpec) -> Token:
        """Add a token and return it, with the key that new-api chose, which it tells of tokens that are there alone."""
        self.call("POST", paths.TOKENS, wire.token_fields(spec))
        named = [token for token in self._pages(paths.TOKENS, wire.read_token) if token.name == spec.name]
        if not named:
            raise unexpected(f"GET {paths.TOKENS}", f"no token {spec.name!r}, which was made")
        return self._with_keys([max(named, key=lambda token: token.id)])[0]

    def update_token(self, token: Token, spec: TokenSpec) -> Token:
        """Make a token into `spec`, its status excepted, and return it; its key stays."""
        fields = wire.token_fields(spec, token.used_quota)
        return self._changed(token, paths.TOKENS, {"id": token.id, **fields})

    def set_token_status(self, token: Token, status: int) -> Token:
        """Enable (1) or disable (2) a token, and return it.

        Raises:
            Refused: it should be enabled, and is past its time or has used up its quota.
        """
        return self._changed(token, paths.TOKEN_STATUS, {"id": token.id, "name": token.name, "status": status})

    def _changed(self, token: Token, path: str, fields: Fields) -> Token:
        changed = self.one("PUT", path, fields, wire.read_token)
        return replace(changed, key=token.key)

    def _with_keys(self, tokens: list[Token]) -> list[Token]:
        """Lists have keys with stars in them; one request tells those of up to a hundred tokens."""
        keys: dict[str, str] = {}
        for begin in range(0, len(tokens), wire.PAGE):
            ids = [token.id for token in tokens[begin : begin + wire.PAGE]]
            try:
                found = self.call("POST", wire.KEYS, {"ids": ids})
            except RateLimited as limited:  # which counts these as log-ins
                raise RateLimited(str(limited), wire.LOG_IN_MINUTES) from None
            keys |= read_row(f"POST {wire.KEYS}", found, _keys)
        missing = [token.name for token in tokens if not _is_key(keys.get(str(token.id)))]
        if missing:
            raise unexpected(f"POST {wire.KEYS}", f"no whole key of {', '.join(missing)}")
        return [replace(token, key=keys[str(token.id)].removeprefix("sk-")) for token in tokens]

    def _pages(self, path: str, read: Callable[[Mapping[str, Any]], _Item]) -> list[_Item]:
        return [item for page in self._all_pages(path) for item in read_rows(path, page, read)]

    def _all_pages(self, path: str) -> Iterator[object]:
        page = 0
        while True:
            page += 1
            rows, total = self._page(f"{path}?p={page}&page_size={wire.PAGE}")
            yield rows
            if not rows or page * wire.PAGE >= total:
                return

    def _page(self, path: str) -> tuple[object, int]:
        """The rows of a page, and how many there are on all."""
        call = f"GET {path.split('?', 1)[0]}"
        found = self.call("GET", path)
        if not isinstance(found, dict) or not isinstance(found.get("total"), int):
            raise unexpected(call, "no pages in it")
        return found.get("items"), found["total"]


def _keys(row: Mapping[str, Any]) -> dict[str, str]:
    found = row["keys"]
    if not isinstance(found, dict):
        raise TypeError("keys is not an object")
    return {str(number): str(key) for number, key in found.items()}


def _is_key(key: str | None) -> bool:
    """Whether a key is whole: an agent was once given one with stars in it."""
    return bool(key) and wire.MASK not in str(key)
