"""/api/setup and /api/user: the first start, log-in, the own account and other people's."""

from __future__ import annotations

import base64
import os
import secrets
import sqlite3
from typing import TYPE_CHECKING, Any

from ..admin_user import random_text
from ..database import NotFoundError, Row
from ..envelope import read_object
from ..passwords import check_password, hash_password
from ..web import Request, Response, json_response
from . import REAL_VERSION
from .config import CRITICAL
from .envelope import (
    ADMIN,
    INVALID,
    LOGIN,
    MANAGE,
    ROOT,
    USER,
    AdminError,
    api,
    failed,
    limits,
    ok,
    page,
    paged,
    record,
)
from .schema import SETUPS, USERS

if TYPE_CHECKING:
    from .app import App

SET_UP_QUOTA = 100_000_000
ENABLED, DISABLED = 1, 2
WRONG = "Username or password is incorrect, or user has been banned"
ALIVE = "deleted_at IS NULL"
_LENGTHS = (
    ("Username", "username", 0, 20),
    ("Password", "password", 8, 20),
    ("DisplayName", "display_name", 0, 20),
    ("Email", "email", 0, 50),
    ("Remark", "remark", 0, 255),
)
_NOT_IN_SELF = ("password", "access_token", "DeletedAt", "remark", "created_at", "last_login_at")


@api()
def get_setup(app: App, request: Request) -> Response:
    """Not quite in the envelope: there is no message."""
    done = app.is_set_up
    data = {"status": done, "root_init": not done and app.has_root(), "database_type": "" if done else "sqlite"}
    return json_response({"data": data, "success": True})


@api()
def post_setup(app: App, request: Request) -> Response:
    """Whoever comes first gets root, with 200 dollars; where there is a root already, only the modes are set."""
    if app.is_set_up:
        return failed("系统已经初始化完成")
    try:
        given = read_object(request.body)
    except AdminError:
        return failed("请求参数有误")
    if not app.has_root():
        _make_root(app, given)
    for name in ("SelfUseModeEnabled", "DemoSiteEnabled"):
        app.options.put(name, str(bool(given.get(name))).lower())
    app.database.insert(SETUPS, {"version": REAL_VERSION, "initialized_at": app.now()})
    app.is_set_up = True
    return ok(message="系统初始化成功")


def _make_root(app: App, given: Row) -> None:
    username, password = (str(given.get(name) or "") for name in ("username", "password"))
    if len(username.encode()) > 12:
        raise AdminError("用户名长度不能超过12个字符")
    if password != given.get("confirmPassword"):
        raise AdminError("两次输入的密码不一致")
    if len(password.encode()) < 8:
        raise AdminError("密码长度至少为8个字符")
    root = {
        "username": username,
        "password": hash_password(password),
        "display_name": "Root User",
        "role": ROOT,
        "quota": SET_UP_QUOTA,
        "created_at": app.now(),
    }
    app.database.insert(USERS, root)


@api(0, CRITICAL)
def login(app: App, request: Request) -> Response:
    if not app.options.on("PasswordLoginEnabled"):
        raise AdminError("Password login has been disabled by administrator")
    given = _body(request)
    username, password = (str(given.get(name) or "") for name in ("username", "password"))
    if not username or not password:
        raise AdminError(INVALID)
    where = f"WHERE (username = ? OR email = ?) AND {ALIVE} ORDER BY id LIMIT 1"
    found = app.database.rows(USERS, where, (username.strip(),) * 2)
    if not found or not check_password(password, found[0]["password"]) or found[0]["status"] != ENABLED:
        raise AdminError(WRONG)
    user = found[0]
    app.database.update(USERS, user["id"], {"last_login_at": app.now()})
    request.user_id, request.username = user["id"], user["username"]
    record(app, request, LOGIN, "Logged in successfully via password")
    shown = {name: user[name] for name in ("display_name", "group", "id", "role", "status", "username")}
    response = ok(data=shown)
    kept = {name: user[name] for name in ("id", "username", "role", "status", "group")}
    response.headers["Set-Cookie"] = app.sessions.cookie(kept)
    return response


@api()
def logout(app: App, request: Request) -> Response:
    response = ok()
    response.headers["Set-Cookie"] = app.sessions.cookie({})
    return response


@api(0, CRITICAL)
def register(app: App, request: Request) -> Response:
    """Open until the option is shut, before the set-up, too."""
    if not app.options.on("RegisterEnabled"):
        raise AdminError("New user registration has been disabled by administrator")
    given = _body(request)
    _validate(given)
    _insert(app, given)
    return ok()


@api(USER)
def get_self(app: App, request: Request) -> Response:
    user = _by_id(app, request.user_id)
    shown = {name: value for name, value in user.items() if name not in _NOT_IN_SELF}
    permissions: dict[str, Any] = {"sidebar_modules": {}, "sidebar_settings": False}
    return ok(data=dict(sorted({**shown, "permissions": permissions, "sidebar_modules": ""}.items())))


@api(USER)
def put_self(app: App, request: Request) -> Response:
    """Asks for the password of before; what is left out stays."""
    given = _body(request)
    if _broken({**given, "password": given.get("password") or "x" * 8}):
        raise AdminError("Invalid input")
    user = _by_id(app, request.user_id)
    if not check_password(str(given.get("original_password") or ""), user["password"]):
        raise AdminError("原密码错误")
    values = {name: given[name] for name in ("username", "display_name") if given.get(name)}
    if given.get("password"):
        values["password"] = hash_password(given["password"])
    app.database.update(USERS, user["id"], values)
    return ok()


@api(USER)
def new_access_token(app: App, request: Request) -> Response:
    """Every call replaces the old one, by 28 or 32 characters of base64."""
    token = base64.b64encode(os.urandom((29 + secrets.randbelow(4)) * 3 // 4)).decode()
    app.database.update(USERS, request.user_id, {"access_token": token})
    return ok(data=token)


@api(USER)
def own_models(app: App, request: Request) -> Response:
    return ok(data=app.channels.group_models(_by_id(app, request.user_id)["group"]))


@api(ADMIN)
def list_users(app: App, request: Request) -> Response:
    return _listed(app, request, ALIVE, ())


@api(ADMIN)
def search_users(app: App, request: Request) -> Response:
    keyword = request.query("keyword")
    where = f"{ALIVE} AND (id = ? OR username LIKE ? OR email LIKE ? OR display_name LIKE ?)"
    number = int(keyword) if keyword.isdecimal() else 0
    return _listed(app, request, where, (number, *([f"%{keyword}%"] * 3)))


def _listed(app: App, request: Request, where: str, params: tuple[object, ...]) -> Response:
    number, size = page(request)
    total = app.database.query(f"SELECT count(*) AS n FROM users WHERE {where}", params)[0]["n"]  # noqa: S608
    found = app.database.rows(USERS, f"WHERE {where} ORDER BY id DESC {limits(number, size)}", params)
    return paged(number, size, total, [_shown(user) for user in found])


@api(ADMIN)
def get_user(app: App, request: Request) -> Response:
    return ok(data=_shown(_by_id(app, int(request.params["id"]))))


@api(ADMIN)
def create_user(app: App, request: Request) -> Response:
    given = _body(request)
    if not given.get("username") or not given.get("password"):
        raise AdminError(INVALID)
    _validate(given)
    if int(given.get("role") or 0) >= request.role:
        raise AdminError("Cannot create users with permission level equal to or higher than yourself")
    _insert(app, given)
    return ok()


@api(ADMIN)
def put_user(app: App, request: Request) -> Response:
    """Writes name, display name, group and remark, empty where they are left out; and a password that is given."""
    given = _body(request)
    if not given.get("id"):
        raise AdminError(INVALID)
    _validate({**given, "password": given.get("password") or "x" * 8})
    user = _by_id(app, given["id"])
    if request.role != ROOT and request.role <= user["role"]:
        raise AdminError("No permission to update users of same or higher permission level")
    values = {name: given.get(name) or "" for name in ("username", "display_name", "group", "remark")}
    if given.get("password"):
        values["password"] = hash_password(given["password"])
    app.database.update(USERS, user["id"], values)
    record(app, request, MANAGE, f"Updated user {user['username']} (ID: {user['id']})")
    return ok()


@api(ADMIN)
def remove_user(app: App, request: Request) -> Response:
    user = _by_id(app, int(request.params["id"]))
    if request.role <= user["role"]:
        raise AdminError("No permission to update users of same or higher permission level")
    app.database.execute("DELETE FROM users WHERE id = ?", (user["id"],))
    return ok()


@api(ADMIN)
def manage_user(app: App, request: Request) -> Response:
    """Of the actions, those on the wallet, on the status and on the role."""
    given = _body(request)
    if not given.get("id"):
        raise AdminError("User does not exist")
    action = given.get("action")
    if action == "add_quota":
        _change_quota(app, given)
        record(app, request, MANAGE, f"Changed user quota ({given.get('mode')})")
        return ok()
    user = _by_id(app, given["id"])
    if request.role != ROOT and request.role <= user["role"]:
        raise AdminError("No permission to update users of same or higher permission level")
    if user["role"] == ROOT and action in ("disable", "delete", "demote"):
        words = {"disable": "disable super administrator user", "delete": "delete super administrator account"}
        raise AdminError(f"Cannot {words.get(action, 'demote super administrator user')}")
    changed: dict[str, Row] = {
        "disable": {"status": DISABLED},
        "enable": {"status": ENABLED},
        "promote": {"role": ADMIN},
        "demote": {"role": USER},
        "delete": {"deleted_at": app.timestamp()},
    }
    values = changed.get(str(action), {})
    app.database.update(USERS, user["id"], values)
    blank = {column.field: column.zero for column in USERS.columns}
    return ok(data=_shown({**blank, "role": user["role"], "status": user["status"], **values}))


def _change_quota(app: App, given: Row) -> None:
    value, mode = given.get("value") or 0, given.get("mode")
    if mode not in ("add", "subtract", "override") or not isinstance(value, int):
        raise AdminError(INVALID)
    if mode != "override" and value <= 0:
        raise AdminError("Quota change amount cannot be zero")
    sets = {"add": "quota + ?", "subtract": "quota - ?", "override": "?"}[mode]
    app.database.execute(f"UPDATE users SET quota = {sets} WHERE id = ?", (value, given["id"]))  # noqa: S608


def _body(request: Request) -> Row:
    try:
        return read_object(request.body)
    except AdminError:
        raise AdminError(INVALID) from None


def _by_id(app: App, user_id: int) -> Row:
    return app.database.first(USERS, f"id = ? AND {ALIVE}", (user_id,))


def _shown(user: Row) -> Row:
    """A user as the answer has it: without password and access token, with fields that no row has."""
    shown: Row = {}
    for name, value in user.items():
        if name == "access_token":
            shown["verification_code"] = ""
        elif name == "password":
            shown.update({"password": "", "original_password": ""})
        elif name != "remark" or value:
            shown[name] = value
    return shown


def _broken(user: Row) -> str:
    problems = []
    for name, field, least, most in _LENGTHS:
        length = len(str(user.get(field) or ""))
        if not least <= length <= most:
            tag = "min" if length < least else "max"
            problems.append(f"Key: 'User.{name}' Error:Field validation for '{name}' failed on the '{tag}' tag")
    return "\n".join(problems)


def _validate(user: Row) -> None:
    if problem := _broken(user):
        raise AdminError(f"Invalid input {problem}")


def _insert(app: App, given: Row) -> None:
    user = {
        "username": given["username"],
        "password": hash_password(given["password"]),
        "display_name": given.get("display_name") or given["username"],
        "quota": app.options.number("QuotaForNewUser"),
        "aff_code": random_text(4),
        "created_at": app.now(),
    }
    try:
        app.database.insert(USERS, user)
    except sqlite3.IntegrityError:
        raise AdminError("Username already exists or has been deleted") from None


def user_of(app: App, user_id: int) -> Row | None:
    """The owner of a token; none where he was deleted."""
    try:
        return _by_id(app, user_id)
    except NotFoundError:
        return None
