"""/api/token: a user's own relay tokens, masked but where their keys are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..admin_user import random_text
from ..database import NotFoundError, Row
from ..envelope import bind, path_id, read_object
from ..web import Request, Response, json_response
from .config import CRITICAL, SEARCH
from .envelope import INVALID, USER, AdminError, api, limits, ok, page, paged
from .schema import TOKENS

if TYPE_CHECKING:
    from .app import App

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
NAME_BYTES = 50
DOLLARS = 1_000_000_000
BATCH = 100
ALIVE = "deleted_at IS NULL"
CHOSEN = (
    "name",
    "expired_time",
    "remain_quota",
    "unlimited_quota",
    "model_limits_enabled",
    "model_limits",
    "allow_ips",
    "group",
    "cross_group_retry",
)


def masked(key: str) -> str:
    """A key as lists show it."""
    if len(key) <= 4:
        return "*" * len(key)
    if len(key) <= 8:
        return f"{key[:2]}****{key[-2:]}"
    return f"{key[:4]}**********{key[-4:]}"


@api(USER)
def list_tokens(app: App, request: Request) -> Response:
    return _listed(app, request, "", ())


@api(USER, SEARCH)
def search_tokens(app: App, request: Request) -> Response:
    """By the whole name, unless the caller writes `%`; by the whole key likewise."""
    where, params = "", []
    most = app.options.number("token_setting.max_user_tokens")
    if "%" in request.query("keyword") + request.query("token") and _count(app, request) > most:
        raise AdminError("令牌数量超过上限，仅允许精确搜索，请勿使用 % 通配符")
    for column, text in (("name", request.query("keyword")), ("key", request.query("token").removeprefix("sk-"))):
        if text:
            where += f" AND {column} LIKE ? ESCAPE '!'"
            params.append(_pattern(text))
    return _listed(app, request, where, tuple(params))


def _pattern(text: str) -> str:
    if "%%" in text:
        raise AdminError("搜索模式中不允许包含连续的 % 通配符")
    if text.count("%") > 2:
        raise AdminError("搜索模式中最多允许包含 2 个 % 通配符")
    if "%" in text and len(text.replace("%", "").encode()) < 2:
        raise AdminError("使用模糊搜索时，关键词长度至少为 2 个字符")
    return text.replace("!", "!!").replace("_", "!_")


def _listed(app: App, request: Request, more: str, params: tuple[str, ...]) -> Response:
    number, size = page(request)
    where, given = f"WHERE user_id = ? AND {ALIVE}{more}", (request.user_id, *params)
    total = app.database.query(f"SELECT count(*) AS n FROM tokens {where}", given)[0]["n"]  # noqa: S608
    rows = app.database.rows(TOKENS, f"{where} ORDER BY id DESC {limits(number, size)}", given)
    return paged(number, size, total, [_shown(row) for row in rows])


@api(USER)
def get_token(app: App, request: Request) -> Response:
    return ok(data=_shown(_own(app, request, path_id(request))))


@api(USER, CRITICAL, secret=True)
def get_key(app: App, request: Request) -> Response:
    return ok(data={"key": _own(app, request, path_id(request))["key"]})


@api(USER, CRITICAL, secret=True)
def get_keys(app: App, request: Request) -> Response:
    """The keys of up to 100 tokens; of those that are not there, or somebody else's, nothing is said."""
    try:
        ids = read_object(request.body).get("ids")
    except AdminError:
        ids = None
    if not ids or not isinstance(ids, list) or not all(isinstance(number, int) for number in ids):
        raise AdminError(INVALID)
    if len(ids) > BATCH:
        raise AdminError(f"Too many items in batch request, maximum is {BATCH}")
    marks = ", ".join("?" * len(ids))
    where = f"WHERE user_id = ? AND {ALIVE} AND id IN ({marks}) ORDER BY id"
    rows = app.database.rows(TOKENS, where, (request.user_id, *ids))
    return ok(data={"keys": {str(row["id"]): row["key"] for row in rows}})


@api(USER)
def add_token(app: App, request: Request) -> Response:
    """The key cannot be chosen, and the answer tells neither it nor the id; an expired_time of 0 is stored as -1."""
    given = bind(TOKENS, request.body)
    _validate(app, given)
    most = app.options.number("token_setting.max_user_tokens")
    if _count(app, request) >= most:
        raise AdminError(f"已达到最大令牌数量限制 ({most})")
    token = {
        **{name: given[name] for name in CHOSEN},
        "user_id": request.user_id,
        "key": random_text(48),
        "created_time": app.now(),
        "accessed_time": app.now(),
    }
    app.database.insert(TOKENS, token)
    return ok()


@api(USER)
def put_token(app: App, request: Request) -> Response:
    """Overwrites every field that can be chosen, absent ones with zero; or only the status."""
    given = bind(TOKENS, request.body)
    _validate(app, given)
    token = _own(app, request, given["id"])
    if given["status"] == ENABLED:
        _refuse_useless_enabling(app, token)
    if request.query("status_only"):
        changed: Row = {"status": given["status"]}
    else:
        changed = {name: given[name] for name in CHOSEN}
    app.database.update(TOKENS, token["id"], changed)
    return ok(data=_shown({**token, **changed}))


@api(USER)
def delete_token(app: App, request: Request) -> Response:
    """The row stays, with the time of its end."""
    text = request.params["id"]
    token = _own(app, request, int(text) if text.isdecimal() else 0)
    app.database.update(TOKENS, token["id"], {"deleted_at": app.timestamp()})
    return ok()


def usage(app: App, request: Request) -> Response:
    """GET /api/usage/token/, by the token itself; one that cannot be used any more is told, too."""
    key = request.header("Authorization").removeprefix("Bearer ").removeprefix("sk-").partition("-")[0]
    try:
        token = app.database.first(TOKENS, f"key = ? AND {ALIVE}", (key,))
    except NotFoundError:
        return json_response({"message": "Invalid token", "success": False}, 401)
    data = {
        "expires_at": max(token["expired_time"], 0),
        "model_limits": dict.fromkeys(filter(None, token["model_limits"].split(",")), True),
        "model_limits_enabled": token["model_limits_enabled"],
        "name": token["name"],
        "object": "token_usage",
        "total_available": token["remain_quota"],
        "total_granted": token["remain_quota"] + token["used_quota"],
        "total_used": token["used_quota"],
        "unlimited_quota": token["unlimited_quota"],
    }
    return json_response({"code": True, "data": data, "message": "ok"})


def _count(app: App, request: Request) -> int:
    return len(app.database.rows(TOKENS, f"WHERE user_id = ? AND {ALIVE}", (request.user_id,)))


def _shown(token: Row) -> Row:
    return {**token, "key": masked(token["key"])}


def _own(app: App, request: Request, token_id: int) -> Row:
    if not token_id:
        raise AdminError("id 或 userId 为空！")
    return app.database.first(TOKENS, f"id = ? AND user_id = ? AND {ALIVE}", (token_id, request.user_id))


def _validate(app: App, token: Row) -> None:
    if len(token["name"].encode()) > NAME_BYTES:
        raise AdminError("Token name is too long")
    if token["unlimited_quota"]:
        return
    if token["remain_quota"] < 0:
        raise AdminError("Quota value cannot be negative")
    most = DOLLARS * app.options.number("QuotaPerUnit")
    if token["remain_quota"] > most:
        raise AdminError(f"Quota value exceeds valid range, maximum is {most}")


def _refuse_useless_enabling(app: App, token: Row) -> None:
    """By the row of before: whoever mends an expired token mends its time first and enables it in a second call."""
    if token["status"] == EXPIRED and token["expired_time"] != -1 and token["expired_time"] <= app.now():
        raise AdminError(
            "Token has expired and cannot be enabled. Please modify the expiration time or set it to never expire"
        )
    if token["status"] == EXHAUSTED and token["remain_quota"] <= 0 and not token["unlimited_quota"]:
        raise AdminError(
            "Token quota is exhausted and cannot be enabled. Please modify the remaining quota or set it to unlimited"
        )
