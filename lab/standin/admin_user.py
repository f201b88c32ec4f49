"""/api/user for a user's own account: login, self, access token, registration."""

from __future__ import annotations

import secrets
import sqlite3
import string
import time
import uuid
from typing import TYPE_CHECKING

from .database import Row
from .envelope import INVALID, ROOT, USER, AdminError, api, is_kind, ok, read_object, set_fields
from .passwords import check_password, hash_password
from .schema import TOKENS, USERS
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

# Twenty in twenty minutes for each address, shared by login and registration.
CRITICAL = ("CT", 20, 20 * 60)
ENABLED, DISABLED, DELETED = 1, 2, 3
WRONG = "用户名或密码错误，或用户已被封禁"
ALPHABET = string.digits + string.ascii_letters
LENGTHS = (("Username", 0, 12), ("Password", 8, 20), ("DisplayName", 0, 20), ("Email", 0, 50))
FIELDS = {
    "Username": "username",
    "Password": "password",
    "DisplayName": "display_name",
    "Email": "email",
}


def user_from(body: bytes) -> Row:
    """A request body as a user; anything unreadable is one and the same message.

    Raises AdminError.
    """
    try:
        given = read_object(body)
    except AdminError:
        raise AdminError(INVALID) from None
    for column in USERS.columns:
        value = given.get(column.field)
        if value is not None and not is_kind(value, column.kind):
            raise AdminError(INVALID)
    return {c.field: c.zero if given.get(c.field) is None else given[c.field] for c in USERS.columns}


def validate(user: Row, password_optional: bool = False) -> None:
    """Hold the lengths (in characters) that One API demands.

    Raises AdminError with its text for each field that breaks them.
    """
    broken = []
    for name, least, most in LENGTHS:
        value = user[FIELDS[name]]
        if name == "Password" and password_optional and not value:
            continue
        if not least <= len(value) <= most:
            tag = "min" if len(value) < least else "max"
            broken.append(f"Key: 'User.{name}' Error:Field validation for '{name}' failed on the '{tag}' tag")
    if broken:
        raise AdminError("输入不合法 " + "\n".join(broken))


def update_user(app: App, user: Row) -> None:
    """Write what is set in `user`; a new password is hashed, a status bans or unbans."""
    values = set_fields(USERS, user)
    if "password" in values:
        values["password"] = hash_password(values["password"])
    if user["status"] == DISABLED:
        app.banned_users.add(user["id"])
    elif user["status"] == ENABLED:
        app.banned_users.discard(user["id"])
    app.database.update(USERS, user["id"], values)


def insert_user(app: App, username: str, password: str, display_name: str) -> None:
    """Make a common user with no quota (unless QuotaForNewUser) and a token named default."""
    user = {
        "username": username,
        "password": hash_password(password),
        "display_name": display_name,
        "quota": app.options.number("QuotaForNewUser"),
        "access_token": uuid.uuid4().hex,
        "aff_code": random_text(4),
    }
    (user_id,) = app.database.insert(USERS, user)
    now = int(time.time())
    token = {
        "user_id": user_id,
        "name": "default",
        "key": random_text(48),
        "created_time": now,
        "accessed_time": now,
        "remain_quota": -1,
        "unlimited_quota": True,
    }
    app.database.insert(TOKENS, token)


def random_text(length: int) -> str:
    """Letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


@api(limit=CRITICAL)
def login(app: App, request: Request) -> Response:
    if not app.options.on("PasswordLoginEnabled"):
        raise AdminError("管理员关闭了密码登录")
    given = user_from(request.body)
    if not given["username"] or not given["password"]:
        raise AdminError(INVALID)
    for column in ("username", "email"):
        try:
            found = app.database.rows(USERS, f"WHERE {column} = ? ORDER BY id LIMIT 1", (given["username"],))
        except sqlite3.Error as error:  # to One API, a user that it cannot read is not there
            app.log.system_error(str(error))
            continue
        if found:
            break
    else:
        raise AdminError(WRONG)
    user = found[0]
    if not check_password(given["password"], user["password"]) or user["status"] != ENABLED:
        raise AdminError(WRONG)
    shown = {name: user[name] for name in ("id", "username", "display_name", "role", "status")}
    response = ok(data={**blank_user(), **shown})
    del shown["display_name"]
    response.headers["Set-Cookie"] = app.sessions.cookie(shown)
    return response


def blank_user() -> Row:
    """A user of zero values, in the shape that One API answers with."""
    return shaped({column.field: column.zero for column in USERS.columns})


def shaped(user: Row) -> Row:
    """A user row with the field that the answer has and the table has not, at its place."""
    shown: Row = {}
    for name, value in user.items():
        if name == "access_token":
            shown["verification_code"] = ""
        shown[name] = value
    return shown


@api()
def logout(app: App, request: Request) -> Response:
    response = ok()
    response.headers["Set-Cookie"] = app.sessions.cookie({})
    return response


@api(limit=CRITICAL)
def register(app: App, request: Request) -> Response:
    if not app.options.on("RegisterEnabled"):
        raise AdminError("管理员关闭了新用户注册")
    if not app.options.on("PasswordRegisterEnabled"):
        raise AdminError("管理员关闭了通过密码进行注册，请使用第三方账户验证的形式进行注册")
    user = user_from(request.body)
    validate(user)
    insert_user(app, user["username"], user["password"], user["username"])
    return ok()


@api(USER)
def get_self(app: App, request: Request) -> Response:
    """v0.6.10 gives the access token in clear here."""
    return ok(data=shaped(app.database.first(USERS, "id = ?", (request.user_id,), omit="password")))


@api(USER)
def put_self(app: App, request: Request) -> Response:
    given = user_from(request.body)
    validate(given, password_optional=True)
    user = {
        **blank_user(),
        "id": request.user_id,
        **{name: given[name] for name in ("username", "password", "display_name")},
    }
    update_user(app, user)
    return ok()


@api(USER)
def delete_self(app: App, request: Request) -> Response:
    user = app.database.first(USERS, "id = ?", (request.user_id,))
    if user["role"] == ROOT:
        raise AdminError("不能删除超级管理员账户")
    delete_user(app, user["id"])
    return ok()


def delete_user(app: App, user_id: int) -> None:
    """Mark a user deleted and free the name; the row stays."""
    app.banned_users.add(user_id)
    app.database.update(USERS, user_id, {"username": f"deleted_{uuid.uuid4().hex}", "status": DELETED})


@api(USER)
def new_access_token(app: App, request: Request) -> Response:
    """Every call replaces the old one."""
    token = uuid.uuid4().hex
    app.database.update(USERS, request.user_id, {"access_token": token})
    return ok(data=token)


@api(USER)
def aff_code(app: App, request: Request) -> Response:
    user = app.database.first(USERS, "id = ?", (request.user_id,))
    code = user["aff_code"] or random_text(4)
    app.database.update(USERS, request.user_id, {"aff_code": code})
    return ok(data=code)


@api(USER)
def available_models(app: App, request: Request) -> Response:
    group = app.database.first(USERS, "id = ?", (request.user_id,))["group"]
    return ok(data=app.channels.group_models(group))
