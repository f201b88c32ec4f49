"""/api/token: a user's own relay tokens, their keys in clear and without `sk-`."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

from .admin_user import random_text
from .database import Row
from .envelope import USER, AdminError, api, bind, ok, page, path_id
from .schema import TOKENS
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
NAME_BYTES = 30
ORDERS = {"remain_quota": "unlimited_quota DESC, remain_quota", "used_quota": "used_quota"}


@api(USER)
def list_tokens(app: App, request: Request) -> Response:
    order = ORDERS.get(request.query("order"), "id")
    tail = f"WHERE user_id = ? ORDER BY {order} DESC {page(request)}"
    return ok(data=app.database.rows(TOKENS, tail, (request.user_id,)))


@api(USER)
def search_tokens(app: App, request: Request) -> Response:
    params = (request.user_id, request.query("keyword") + "%")
    return ok(data=app.database.rows(TOKENS, "WHERE user_id = ? AND name LIKE ?", params))


@api(USER)
def get_token(app: App, request: Request) -> Response:
    return ok(data=_own(app, request, path_id(request)))


@api(USER)
def add_token(app: App, request: Request) -> Response:
    """The key cannot be chosen; an expired_time of 0 is stored as -1."""
    given = bind(TOKENS, request.body)
    _validate(given)
    now = int(time.time())
    chosen = ("name", "expired_time", "remain_quota", "unlimited_quota", "models", "subnet")
    token = {
        **{name: given[name] for name in chosen},
        "user_id": request.user_id,
        "key": random_text(48),
        "created_time": now,
        "accessed_time": now,
    }
    (token_id,) = app.database.insert(TOKENS, token)
    return ok(data=_own(app, request, token_id))


@api(USER)
def put_token(app: App, request: Request) -> Response:
    """Overwrites every field that can be chosen, absent ones with zero; or only the status."""
    given = bind(TOKENS, request.body)
    _validate(given)
    token = _own(app, request, given["id"])
    if given["status"] == ENABLED:
        _refuse_useless_enabling(token)
    if request.query("status_only"):
        changed = {"status": given["status"]}
    else:
        chosen = ("name", "expired_time", "remain_quota", "unlimited_quota", "models", "subnet")
        changed = {name: given[name] for name in chosen}
    app.database.update(TOKENS, token["id"], changed)
    return ok(data={**token, **changed})


@api(USER)
def delete_token(app: App, request: Request) -> Response:
    text = request.params["id"]
    token = _own(app, request, int(text) if text.isdecimal() else 0)
    app.database.execute("DELETE FROM tokens WHERE id = ?", (token["id"],))
    return ok()


def _own(app: App, request: Request, token_id: int) -> Row:
    if not token_id:
        raise AdminError("id 或 userId 为空！")
    return app.database.first(TOKENS, "id = ? AND user_id = ?", (token_id, request.user_id))


def _validate(token: Row) -> None:
    if len(token["name"].encode()) > NAME_BYTES:
        raise AdminError("参数错误：令牌名称过长")
    for subnet in (token["subnet"] or "").split(",") if token["subnet"] else ():
        _validate_subnet(subnet.strip())


def _validate_subnet(subnet: str) -> None:
    try:
        if "/" not in subnet:
            raise ValueError
        ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        problem = f"failed to parse subnet: invalid CIDR address: {subnet}"
        raise AdminError(f"参数错误：无效的网段：{problem}") from None


def _refuse_useless_enabling(token: Row) -> None:
    if token["status"] == EXPIRED and token["expired_time"] != -1 and token["expired_time"] <= time.time():
        raise AdminError("令牌已过期，无法启用，请先修改令牌过期时间，或者设置为永不过期")
    if token["status"] == EXHAUSTED and token["remain_quota"] <= 0 and not token["unlimited_quota"]:
        raise AdminError("令牌可用额度已用尽，无法启用，请先修改令牌剩余额度，或者设置为无限额度")
