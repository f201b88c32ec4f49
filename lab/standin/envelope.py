"""What all of /api shares: the envelope, who may call, and reading a JSON body as Go would."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .database import NotFoundError, Row
from .go_words import BROKEN_OFF, read_json
from .schema import GO_TYPES, USERS, Table
from .web import Handler, Request, Response, json_response

if TYPE_CHECKING:
    from .app import App

USER, ADMIN, ROOT = 1, 10, 100
DISABLED = 2
PAGE_SIZE = 10
INVALID = "无效的参数"
KINDS = {str: "string", bool: "bool", dict: "object", list: "array"}


class AdminError(Exception):
    """A failure that is told in the envelope: HTTP 200, success false, this message."""


def ok(**extra: Any) -> Response:
    """The envelope of a success; `data` and other keys where given."""
    return json_response(dict(sorted({"message": "", "success": True, **extra}.items())))


def failed(message: str, status: int = 200, **extra: Any) -> Response:
    """The envelope of a failure: HTTP 200 nearly always."""
    return json_response(dict(sorted({"message": message, "success": False, **extra}.items())), status)


def page(request: Request) -> str:
    """LIMIT and OFFSET of the zero-based `?p=`."""
    return f"LIMIT {PAGE_SIZE} OFFSET {max(request.query_number('p'), 0) * PAGE_SIZE}"


def api(role: int = 0, limit: tuple[str, int, int] | None = None) -> Callable[[Handler], Handler]:
    """Make a handler an /api endpoint: limits, then authentication, then errors as envelopes.

    `role` is the least role (0: no login); `limit` a mark, a number of requests and seconds for the
    endpoint's own rate limit.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def endpoint(app: App, request: Request) -> Response:
            limits = [("GA", app.config.api_rate_limit, 180), *([limit] if limit else [])]
            for mark, number, seconds in limits:
                if not app.limiter.allow(mark, request.client_ip, number, seconds):
                    return Response(429)
            refusal = authenticate(app, request, role) if role else None
            if refusal:
                return refusal
            try:
                return handler(app, request)
            except (AdminError, NotFoundError, sqlite3.Error) as error:
                return failed(str(error))

        return endpoint

    return wrap


def authenticate(app: App, request: Request, least_role: int) -> Response | None:
    """Set the caller on the request, or answer why not.

    The cookie comes first; the Authorization header is looked at only without a session.
    """
    who = app.sessions.read(request.header("Cookie"))
    if not who:
        token = request.header("Authorization")
        if not token:
            return failed("无权进行此操作，未登录且未提供 access token", 401)
        try:
            found = app.database.rows(USERS, "WHERE access_token = ?", (token.replace("Bearer ", "", 1),))
        except sqlite3.Error as error:  # model/user.go, ValidateAccessToken: what cannot be read is not there
            app.log.system_error(str(error))
            found = []
        if not found or not token.replace("Bearer ", "", 1):
            return failed("无权进行此操作，access token 无效")
        who = found[0]
    if who["status"] == DISABLED or who["id"] in app.banned_users:
        response = failed("用户已被封禁")
        response.headers["Set-Cookie"] = app.sessions.cookie({})
        return response
    if who["role"] < least_role:
        return failed("无权进行此操作，权限不足")
    request.user_id, request.username, request.role = who["id"], who["username"], who["role"]
    return None


def read_object(body: bytes, struct: str = "") -> Row:
    """The JSON object of a request body.

    Raises AdminError in Go's words where it is none.
    """
    if not body.strip():
        raise AdminError("EOF")
    try:
        value = read_json(body, BROKEN_OFF)
    except ValueError as error:
        raise AdminError(str(error)) from None
    if value is None:  # to Go, null is an object without fields
        return {}
    if not isinstance(value, dict):
        raise AdminError(f"json: cannot unmarshal {kind_of(value)} into Go value of type {struct}")
    return value


def bind(table: Table, body: bytes) -> Row:
    """A request body as the table's Go struct: unknown fields dropped, absent ones zero.

    Raises AdminError where a field has another type than the struct.
    """
    return bound(table, read_object(body, f"model.{table.struct}"))


def bound(table: Table, given: Row, path: str = "") -> Row:
    """A JSON object as the table's Go struct; `path` is what Go puts before a field's name.

    Raises AdminError as `bind` does.
    """
    row = {}
    for column in table.columns:
        value = given.get(column.field)
        if value is None:
            row[column.field] = column.zero
        elif is_kind(value, column.kind):
            row[column.field] = value
        else:
            shown = f"number {value}" if is_kind(value, "int") else kind_of(value)
            raise AdminError(
                f"json: cannot unmarshal {shown} into Go struct field"
                f" {table.struct}.{path}{column.field} of type {GO_TYPES[column.kind]}"
            )
    return row


def is_kind(value: object, kind: str) -> bool:
    """Whether a JSON value fits a Go type (a bool is no number)."""
    if kind in ("int", "uint", "float"):
        wanted: Any = (int, float) if kind == "float" else int
        return isinstance(value, wanted) and not isinstance(value, bool) and (kind != "uint" or value >= 0)
    return isinstance(value, {"str": str, "bool": bool}[kind])


def kind_of(value: object) -> str:
    """Go's name for a JSON value's kind."""
    return KINDS.get(type(value), "number")


def set_fields(table: Table, row: Row) -> Row:
    """The columns that an ORM update of this struct writes: pointers that are set, others not zero."""
    return {
        c.name: row[c.field]
        for c in table.columns
        if c.name != "id" and row[c.field] is not None and (c.pointer or row[c.field] != c.zero)
    }


def path_id(request: Request) -> int:
    """The `:id` of the path.

    Raises AdminError in Go's words where it is no number.
    """
    text = request.params["id"]
    try:
        return int(text)
    except ValueError:
        raise AdminError(f'strconv.Atoi: parsing "{text}": invalid syntax') from None
