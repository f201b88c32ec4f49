"""Who calls the relay with which token, for which model, through which channel."""

from __future__ import annotations

import ipaddress
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .admin_token import ENABLED, EXHAUSTED, EXPIRED
from .channels import BrokenAbilitiesError
from .database import NotFoundError, Row
from .envelope import ADMIN, kind_of
from .errors import RefusedError
from .go_words import read_json
from .openai_body import IMAGE, MODERATION, TRANSCRIPTION, TRANSLATION, is_json, mode_of
from .schema import TOKENS, USERS
from .web import Request

if TYPE_CHECKING:
    from .app import App

DEFAULT_MODELS = {
    MODERATION: "text-moderation-stable",
    IMAGE: "dall-e-2",
    TRANSCRIPTION: "whisper-1",
    TRANSLATION: "whisper-1",
}
"""What a request without a model is for."""
# Only for these does a body that cannot be read end the request here.
STRICT_PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/images", "/v1/audio")


@dataclass
class Caller:
    """The token and user of a request, the model it asks for, and the channel it insists on."""

    token: Row
    user: Row
    model: str
    channel_text: str | None


def identify(app: App, request: Request) -> Caller:
    """Check the token of the Authorization header.

    Raises RefusedError (401, 403, 400) as One API's middleware does.
    """
    text = request.header("Authorization").removeprefix("Bearer ").removeprefix("sk-")
    key, dash, rest = text.partition("-")
    try:
        token = _valid_token(app, key)
    except sqlite3.Error as error:
        app.log.system_error(f"CacheGetTokenByKey failed: {error}")
        raise RefusedError(401, "令牌验证失败") from None
    if token["subnet"] and not _in_subnets(request.client_ip, token["subnet"]):
        message = f"该令牌只能在指定网段使用：{token['subnet']}，当前 ip：{request.client_ip}"
        raise RefusedError(403, message)
    try:
        users = app.database.rows(USERS, "WHERE id = ?", (token["user_id"],))
    except sqlite3.Error as error:
        raise RefusedError(500, str(error)) from None
    if not users or users[0]["status"] != ENABLED or users[0]["id"] in app.banned_users:
        raise RefusedError(403, "用户已被封禁")
    model = requested_model(request)
    if token["models"] and model and model not in token["models"].split(","):
        raise RefusedError(403, f"该令牌无权使用模型：{model}")
    if dash and users[0]["role"] < ADMIN:
        raise RefusedError(403, "普通用户不支持指定渠道")
    return Caller(token, users[0], model, rest.partition("-")[0] if dash else None)


def _valid_token(app: App, key: str) -> Row:
    if not key:
        raise RefusedError(401, "未提供令牌")
    found = app.database.rows(TOKENS, "WHERE key = ?", (key,))
    if not found:
        raise RefusedError(401, "无效的令牌")
    token = found[0]
    if token["status"] == EXHAUSTED:
        raise RefusedError(401, f"令牌 {token['name']}（#{token['id']}）额度已用尽")
    if token["status"] == EXPIRED:
        raise RefusedError(401, "该令牌已过期")
    if token["status"] != ENABLED:
        raise RefusedError(401, "该令牌状态不可用")
    if token["expired_time"] != -1 and token["expired_time"] < time.time():
        _mark(app, token, EXPIRED)
        raise RefusedError(401, "该令牌已过期")
    if not token["unlimited_quota"] and token["remain_quota"] <= 0:
        _mark(app, token, EXHAUSTED)
        raise RefusedError(401, "该令牌额度已用尽")
    return token


def _mark(app: App, token: Row, status: int) -> None:
    try:
        app.database.update(TOKENS, token["id"], {"status": status})
    except sqlite3.Error as error:
        app.log.system_error(f"failed to update token status{error}")


def _in_subnets(address: str, subnets: str) -> bool:
    ip = ipaddress.ip_address(address)
    return any(ip in ipaddress.ip_network(part.strip(), strict=False) for part in subnets.split(","))


def requested_model(request: Request) -> str:
    """The model that the body names; none for a body that is not declared as JSON.

    Raises RefusedError (400) for a body of a chat or completion that cannot be read.
    """
    try:
        given: Any = read_json(request.body) if is_json(request) else {}
        model = _model_in({} if given is None else given)
    except ValueError as error:
        if request.path.startswith(STRICT_PATHS):
            message = f"common.UnmarshalBodyReusable failed: {error}"
            raise RefusedError(400, message) from None
        return ""
    return model or DEFAULT_MODELS.get(mode_of(request.path), request.params.get("model", ""))


def _model_in(body: object) -> str:
    """The `model` of a body; raises ValueError in Go's words where there can be none."""
    if not isinstance(body, dict):
        raise ValueError(f"json: cannot unmarshal {kind_of(body)} into Go value of type middleware.ModelRequest")
    model = body.get("model") or ""
    if not isinstance(model, str):
        raise ValueError(
            f"json: cannot unmarshal {kind_of(model)} into Go struct field ModelRequest.model of type string"
        )
    return model


def choose_channel(app: App, caller: Caller) -> Row:
    """The channel for a request.

    Raises RefusedError: 400 and 403 for a bad or disabled channel suffix, 503 where no channel serves
    the model (an empty model too).
    """
    if caller.channel_text is not None:
        return _named_channel(app, caller.channel_text)
    group = caller.user["group"]
    try:
        return app.channels.pick(group, caller.model)
    except (NotFoundError, sqlite3.Error):
        raise RefusedError(503, f"当前分组 {group} 下对于模型 {caller.model} 无可用渠道") from None
    except BrokenAbilitiesError as error:
        app.log.system_error(str(error))
        raise RefusedError(503, "数据库一致性已被破坏，请联系管理员") from None


def _named_channel(app: App, text: str) -> Row:
    try:
        channel = app.channels.by_id(int(text))
    except (ValueError, NotFoundError, sqlite3.Error):
        raise RefusedError(400, "无效的渠道 Id") from None
    if channel["status"] != ENABLED:
        raise RefusedError(403, "该渠道已被禁用")
    return channel
