"""/api/user for administrators: other people's accounts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .admin_user import (
    DELETED,
    DISABLED,
    ENABLED,
    blank_user,
    delete_user,
    insert_user,
    shaped,
    update_user,
    user_from,
    validate,
)
from .database import Row
from .envelope import ADMIN, INVALID, ROOT, USER, AdminError, api, ok, page, path_id, read_object
from .schema import LOGS, USERS
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

ORDERS = {"quota": "quota", "used_quota": "used_quota", "request_count": "request_count"}
OUTRANKED = "无权更新同权限等级或更高权限等级的用户信息"


@api(ADMIN)
def list_users(app: App, request: Request) -> Response:
    order = ORDERS.get(request.query("order"), "id")
    tail = f"WHERE status != {DELETED} ORDER BY {order} DESC {page(request)}"
    return ok(data=[shaped(user) for user in app.database.rows(USERS, tail, omit="password")])


@api(ADMIN)
def search_users(app: App, request: Request) -> Response:
    keyword = request.query("keyword")
    tail = "WHERE id = ? OR username LIKE ? OR email LIKE ? OR display_name LIKE ?"
    params = (int(keyword) if keyword.isdecimal() else 0, *([keyword + "%"] * 3))
    return ok(data=[shaped(user) for user in app.database.rows(USERS, tail, params, omit="password")])


@api(ADMIN)
def get_user(app: App, request: Request) -> Response:
    user = _by_id(app, path_id(request))
    if request.role <= user["role"] and request.role != ROOT:
        raise AdminError("无权获取同级或更高等级用户的信息")
    return ok(data=shaped(user))


@api(ADMIN)
def create_user(app: App, request: Request) -> Response:
    user = user_from(request.body)
    if not user["username"] or not user["password"]:
        raise AdminError(INVALID)
    validate(user)
    if user["role"] >= request.role:
        raise AdminError("无法创建权限大于等于自己的用户")
    insert_user(app, user["username"], user["password"], user["display_name"] or user["username"])
    return ok()


@api(ADMIN)
def put_user(app: App, request: Request) -> Response:
    user = user_from(request.body)
    if not user["id"]:
        raise AdminError(INVALID)
    validate(user, password_optional=True)
    origin = _by_id(app, user["id"])
    if request.role != ROOT and request.role <= origin["role"]:
        raise AdminError(OUTRANKED)
    if request.role != ROOT and request.role <= user["role"]:
        raise AdminError("无权将其他用户权限等级提升到大于等于自己的权限等级")
    update_user(app, user)
    return ok()


@api(ADMIN)
def remove_user(app: App, request: Request) -> Response:
    """One API answers a deletion that worked with an empty 200."""
    user = _by_id(app, path_id(request))
    if request.role <= user["role"]:
        raise AdminError("无权删除同权限等级或更高权限等级的用户")
    delete_user(app, user["id"])
    return Response(200)


@api(ADMIN)
def manage_user(app: App, request: Request) -> Response:
    given = read_object(request.body)
    found = app.database.rows(USERS, "WHERE username = ?", (given.get("username") or "",))
    if not found:
        raise AdminError("用户不存在")
    user = found[0]
    if request.role <= user["role"] and request.role != ROOT:
        raise AdminError(OUTRANKED)
    changed = _act(app, request, user, str(given.get("action")))
    update_user(app, {**blank_user(), "id": user["id"], **changed})
    shown = {**blank_user(), "role": user["role"], "status": user["status"], **changed}
    return ok(data=shown)


def _act(app: App, request: Request, user: Row, action: str) -> Row:
    """The fields that an action changes.

    Raises AdminError where it may not be done to this user.
    """
    is_root = user["role"] == ROOT
    if action == "enable":
        return {"status": ENABLED}
    if action == "disable":
        if is_root:
            raise AdminError("无法禁用超级管理员用户")
        return {"status": DISABLED}
    if action == "delete":
        if is_root:
            raise AdminError("无法删除超级管理员用户")
        delete_user(app, user["id"])
        return {"status": DELETED}
    if action == "promote":
        if request.role != ROOT:
            raise AdminError("普通管理员用户无法提升其他用户为管理员")
        if user["role"] >= ADMIN:
            raise AdminError("该用户已经是管理员")
        return {"role": ADMIN}
    if action == "demote":
        if is_root:
            raise AdminError("无法降级超级管理员用户")
        if user["role"] == USER:
            raise AdminError("该用户已经是普通用户")
        return {"role": USER}
    return {}


@api(ADMIN)
def top_up(app: App, request: Request) -> Response:
    given = read_object(request.body)
    user_id, quota = int(given.get("user_id") or 0), int(given.get("quota") or 0)
    if quota < 0:
        raise AdminError("quota 不能为负数！")
    app.database.execute("UPDATE users SET quota = quota + ? WHERE id = ?", (quota, user_id))
    found = app.database.rows(USERS, "WHERE id = ?", (user_id,))
    row = {
        "user_id": user_id,
        "created_at": int(time.time()),
        "type": 1,
        "content": given.get("remark") or f"通过 API 充值 {quota}",
        "username": found[0]["username"] if found else "",
        "quota": quota,
    }
    app.database.insert(LOGS, row)
    return ok()


def _by_id(app: App, user_id: int) -> Row:
    if not user_id:
        raise AdminError("id 为空！")
    return app.database.first(USERS, "id = ?", (user_id,), omit="password")
