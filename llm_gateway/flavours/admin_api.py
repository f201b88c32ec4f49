"""Requests to an admin API and what is read of its answers, for the clients of each software."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote

import httpx

from llm_gateway.flavours import listed, paths
from llm_gateway.flavours.envelope import opened, unexpected
from llm_gateway.flavours.errors import Refused, Unauthorised
from llm_gateway.flavours.http import ask, make_client
from llm_gateway.flavours.rows import Fields, Row, text, whole
from llm_gateway.flavours.shapes import LogRow, Status, User

_Item = TypeVar("_Item")


class AdminAPI:
    """A connection to one gateway's admin API.

    Args:
        base_url: such as ``http://127.0.0.1:3000``.
        access_token: of a root or admin user; better than logging in, which gateways limit.
        transport: for tests.
        timeout: seconds for each connection and each wait for data, and for each body as a whole.

    Raises:
        Invalid: the URL or the token cannot be used.
    """

    not_allowed: ClassVar[str] = ""
    """How a refusal of a role or an access token begins that comes in HTTP 200."""
    first_page: ClassVar[int] = 0
    paging: ClassVar[str] = ""
    """What stands behind the number of a page in a path."""

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
        return f"{type(self).__name__}({str(self._http.base_url)!r})"

    def __enter__(self) -> Self:
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
        """Return version and start time; needs no login."""
        return self.one("GET", paths.STATUS, None, read_status)

    def own_user(self) -> User:
        """Return the user that the session or the access token stands for."""
        try:
            return self.one("GET", paths.OWN_USER, None, listed.user)
        except Refused as refused:  # a banned user: the only reason there is
            reason = str(refused)
        raise Unauthorised(reason)

    def new_access_token(self) -> str:
        """Return a new access token; the previous one ends. This client keeps its own."""
        found = self.call("GET", paths.ACCESS_TOKEN)
        if not isinstance(found, str) or not found:
            raise unexpected(f"GET {paths.ACCESS_TOKEN}", "no token in it")
        return found

    def delete_channel(self, channel_id: int) -> None:
        """Delete a channel and its routing entries; no error when it is gone already."""
        self.call("DELETE", f"{paths.CHANNELS}{channel_id:d}")

    def delete_token(self, token_id: int) -> None:
        """Delete a token; requests with its key are refused from now on.

        Raises:
            Refused: there is no such token (any more).
        """
        self.call("DELETE", f"{paths.TOKENS}{token_id:d}")

    def options(self) -> dict[str, str]:
        """Return the options; those that hold a token or a secret are left out by the gateway."""

        def pair(row: Mapping[str, Any]) -> tuple[str, str]:
            return str(row["key"]), str(row["value"])

        return dict(self.many(paths.OPTIONS, pair))

    def set_option(self, key: str, value: str) -> None:
        """Set an option. `value` is always text (``"false"``); unknown keys are stored too."""
        self.call("PUT", paths.OPTIONS, {"key": key, "value": value})

    def log(self, token_name: str, after: int) -> list[LogRow]:
        """Return the requests that a token was billed for, the newest first.

        A row is there a moment after its answer: it is written behind the answer's back.

        Args:
            token_name: the token's name.
            after: the id of a row; it, and what was before it, is left out.
        """
        rows: list[LogRow] = []
        page = self.first_page
        while True:
            found = self._log_page(token_name, page)
            rows += [row for row in found if row.id > after]
            if not found or found[-1].id <= after:
                return rows
            page += 1

    def last_logged(self, token_name: str) -> int:
        """Return the id of the newest row of `log`; 0 where there is none."""
        return max((row.id for row in self._log_page(token_name, self.first_page)), default=0)

    def _log_page(self, token_name: str, page: int) -> list[LogRow]:
        name = quote(token_name, safe="")
        path = f"{paths.LOG}?type={paths.CONSUMED}&token_name={name}&p={page}{self.paging}"
        found = self.call("GET", path)
        return read_rows(path, found.get("items") if isinstance(found, dict) else found, listed.log_row)

    def call(self, method: str, path: str, fields: Fields | None = None, *, secret: str = "") -> object:
        """The data of an answer; no error repeats `secret`, which is in the request."""
        reply = ask(self._http, method, path, fields, self._timeout)
        return opened(reply, (secret, self._access_token), self.not_allowed)

    def one(self, method: str, path: str, fields: Fields | None, read: Callable[[Mapping[str, Any]], _Item]) -> _Item:
        """The one row of an answer."""
        return read_row(f"{method} {path}", self.call(method, path, fields), read)

    def many(self, path: str, read: Callable[[Mapping[str, Any]], _Item]) -> list[_Item]:
        """The list of rows of an answer."""
        return read_rows(path, self.call("GET", path), read)


def read_status(row: Row) -> Status:
    """Raises TypeError or KeyError when `row` is something else."""
    return Status(text(row, "version"), whole(row, "start_time"), is_new_api="setup" in row)


def read_rows(path: str, rows: object, read: Callable[[Mapping[str, Any]], _Item]) -> list[_Item]:
    """Raises NotAdminAPI where it is no list of such rows."""
    call = f"GET {path.split('?', 1)[0]}"
    if rows is None:  # how Go writes an empty list that was never made
        return []
    if not isinstance(rows, list):
        raise unexpected(call, "no list in it")
    return [read_row(call, row, read) for row in rows]


def read_row(call: str, row: object, read: Callable[[Mapping[str, Any]], _Item]) -> _Item:
    """Raises NotAdminAPI where it is no such row."""
    if not isinstance(row, dict):
        raise unexpected(call, "no object in it")
    try:
        return read(row)
    except KeyError as exc:
        detail = f"field {exc} is missing"
    except TypeError as exc:
        detail = str(exc)
    raise unexpected(call, detail)
