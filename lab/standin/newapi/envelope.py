"""What all of /api shares: limits, who may call, and failures in the envelope, in the words of English callers."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..database import NotFoundError, Row
from ..envelope import ADMIN, DISABLED, ROOT, USER, AdminError, failed, ok
from ..web import Handler, Request, Response
from .config import CRITICAL, GLOBAL
from .schema import LOGS, USERS

if TYPE_CHECKING:
    from .app import App

__all__ = ["ADMIN", "DISABLED", "ROOT", "USER", "AdminError", "api", "failed", "ok", "page", "paged"]

INVALID = "Invalid parameters"
AUTH_VERSION = {"Auth-Version": "864b7076dbcd0a3c01b5520316720ebf"}
NO_STORE = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Expires": "0",
}
MANAGE, LOGIN = 3, 7
"""Types of log rows."""
MOST_OF_A_PAGE = 100


def page(request: Request, default: int = 10) -> tuple[int, int]:
    """The number of a page, from 1, and its size, at most 100."""
    size = request.query_number("page_size") or request.query_number("ps") or request.query_number("size") or default
    return max(request.query_number("p"), 1), min(size, MOST_OF_A_PAGE)


def paged(number: int, size: int, total: int, items: list[Row]) -> Response:
    return ok(data={"page": number, "page_size": size, "total": total, "items": items})


def limits(number: int, size: int) -> str:
    """LIMIT and OFFSET of a page."""
    return f"LIMIT {size} OFFSET {(number - 1) * size}"


def api(role: int = 0, *marks: str, secret: bool = False) -> Callable[[Handler], Handler]:
    """Make a handler an /api endpoint: limits, then authentication, then errors as envelopes.

    `role` is the least role (0: no login); `marks` are limits of its own, counted after the log-in. With `secret` the
    answer is kept by no cache.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def endpoint(app: App, request: Request) -> Response:
            if not app.allows(GLOBAL, request.client_ip):
                return Response(429)
            refusal = authenticate(app, request, role) if role else None
            if refusal:
                return refusal
            for mark in marks:
                key = request.client_ip if mark == CRITICAL else str(request.user_id)
                if not app.allows(mark, key):
                    return Response(429, headers=dict(AUTH_VERSION) if role else {})
            try:
                response = handler(app, request)
            except (AdminError, NotFoundError, sqlite3.Error) as error:
                response = failed(str(error))
            if role:
                response.headers.update({**AUTH_VERSION, **(NO_STORE if secret else {})})
            return response

        return endpoint

    return wrap


def authenticate(app: App, request: Request, least_role: int) -> Response | None:
    """Set the caller on the request, or answer why not: cookie or access token, and New-Api-User beside either."""
    who = app.sessions.read(request.header("Cookie"))
    if not who:
        token = request.header("Authorization").replace("Bearer ", "", 1)
        if not token:
            return failed("Unauthorized, not logged in and no access token provided", 401)
        found = app.database.rows(USERS, "WHERE access_token = ? AND deleted_at IS NULL", (token,))
        if not found:
            return failed("Unauthorized, invalid access token")
        who = found[0]
    stated = request.header("New-Api-User")
    if not stated:
        return failed("Unauthorized, New-Api-User header not provided", 401)
    if not stated.lstrip("+-").isdecimal():
        return failed("Unauthorized, New-Api-User header format error", 401)
    if int(stated) != who["id"]:
        return failed("Unauthorized, New-Api-User does not match logged in user", 401)
    if who["status"] == DISABLED:
        return failed("User has been banned")
    if who["role"] < least_role:
        return failed("Unauthorized, insufficient privileges")
    request.user_id, request.username, request.role = who["id"], who["username"], who["role"]
    return None


def record(app: App, request: Request, kind: int, content: str, **more: Any) -> None:
    """A log row of what somebody has done with the gateway itself."""
    row = {
        "user_id": request.user_id,
        "created_at": app.now(),
        "type": kind,
        "content": content,
        "username": request.username,
        "ip": request.client_ip,
        "request_id": request.request_id,
        **more,
    }
    app.database.insert(LOGS, row)
