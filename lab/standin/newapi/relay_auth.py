"""Who calls the relay with which token, for which model, through which channel."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..channels import ENABLED as CHANNEL_ENABLED
from ..database import NotFoundError, Row
from ..envelope import ADMIN
from ..web import Request
from .admin_token import ALIVE, ENABLED, EXHAUSTED, EXPIRED
from .admin_user import user_of
from .errors import RefusedError
from .schema import TOKENS

if TYPE_CHECKING:
    from .app import App


@dataclass
class Caller:
    """The token and user of a request, the group it is served in, and the channel it insists on."""

    token: Row
    user: Row
    group: str
    channel_text: str | None


def identify(app: App, request: Request) -> Caller:
    """Check the token of the Authorization header, or of x-api-key where Anthropic's clients call.

    Raises RefusedError (401, 403) as new-api's middleware does: of every unusable token it says the same.
    """
    if request.path.startswith(("/v1/messages", "/v1/models")) and (key := request.header("x-api-key")):
        text = key
    else:
        text = request.header("Authorization")
    text = text[7:].strip() if text[:7] in ("Bearer ", "bearer ") else text
    key, *rest = text.removeprefix("sk-").split("-")
    token = _valid_token(app, key)
    if not _may_come_from(token, request.client_ip):
        raise RefusedError(403, "您的 IP 不在令牌允许访问的列表中", "access_denied")
    user = user_of(app, token["user_id"])
    if user is None or user["status"] != ENABLED:
        raise RefusedError(403, "User has been banned")
    group = token["group"] or user["group"]
    if token["group"] and token["group"] not in {*app.options.table("UserUsableGroups"), user["group"]}:
        raise RefusedError(403, f"无权访问 {group} 分组")
    if rest and user["role"] < ADMIN:
        raise RefusedError(403, "普通用户不支持指定渠道")
    return Caller(token, user, group, rest[0] if rest else None)


def _valid_token(app: App, key: str) -> Row:
    found = app.database.rows(TOKENS, f"WHERE key = ? AND {ALIVE}", (key,)) if key else []
    if not found or found[0]["status"] != ENABLED:
        raise RefusedError(401, "Invalid token")
    token = found[0]
    is_expired = token["expired_time"] != -1 and token["expired_time"] < app.now()
    if is_expired or (not token["unlimited_quota"] and token["remain_quota"] <= 0):
        app.database.update(TOKENS, token["id"], {"status": EXPIRED if is_expired else EXHAUSTED})
        raise RefusedError(401, "Invalid token")
    return token


def _may_come_from(token: Row, address: str) -> bool:
    """Networks and addresses stand one a line; a list with commas in one line is none, and lets nobody in."""
    lines = (token["allow_ips"] or "").replace(" ", "").split("\n")
    limits = [line.strip().replace(",", "") for line in lines if line.strip().replace(",", "")]
    return not limits or any(_holds(limit, address) for limit in limits)


def _holds(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def requested_model(request: Request) -> str:
    """The model that the body names.

    Raises RefusedError (400) for a body that cannot be read.
    """
    if not request.header("Content-Type").startswith("application/json"):
        return ""
    try:
        given = json.loads(request.body)
    except ValueError:
        raise _unreadable("invalid JSON request body") from None
    model = given.get("model") if isinstance(given, dict) else None
    if model is not None and not isinstance(model, str):
        raise _unreadable("field model must be a string")
    return model or ""


def _unreadable(why: str) -> RefusedError:
    return RefusedError(400, f"Invalid request: Invalid request: {why}")


def allowed_models(token: Row) -> set[str] | None:
    """The models that a token is limited to; None where it is not."""
    return set(token["model_limits"].split(",")) - {""} if token["model_limits_enabled"] else None


def choose_channel(app: App, caller: Caller, model: str) -> Row:
    """The channel for a request. One that is named is not held to the token's models, as in new-api.

    Raises RefusedError: 400 and 403 for a bad or disabled channel suffix or a model that the token may not use, 503
    where no channel serves the model.
    """
    if caller.channel_text is not None:
        return _named_channel(app, caller.channel_text)
    allowed = allowed_models(caller.token)
    if allowed is not None and model not in allowed:
        raise RefusedError(403, f"This token has no access to model {model}")
    if not model:
        raise RefusedError(400, "Model name not specified, model name cannot be empty")
    where = f"for model {model} under group {caller.group} (distributor)"
    try:
        channel = app.channels.pick(caller.group, model)
    except NotFoundError as error:
        raise RefusedError(503, f"Failed to get available channel {where}: {error}", "model_not_found") from None
    if channel is None:
        raise RefusedError(503, f"No available channel {where}", "model_not_found")
    return channel


def _named_channel(app: App, text: str) -> Row:
    try:
        channel = app.channels.by_id(int(text))
    except (ValueError, NotFoundError):
        raise RefusedError(400, "Invalid channel ID") from None
    if channel["status"] != CHANNEL_ENABLED:
        raise RefusedError(403, "This channel has been disabled")
    return channel
