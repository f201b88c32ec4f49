"""/api/status, options, logs, groups and lists of models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..envelope import read_object
from ..models import known_models, models_by_channel_type
from ..web import Request, Response, json_response
from . import NAME, VERSION
from .envelope import ADMIN, MANAGE, ROOT, USER, AdminError, api, failed, limits, ok, page, paged, record
from .schema import CHANNELS, LOGS

if TYPE_CHECKING:
    from .app import App

CONSUMED = 2
FILTERS = {
    "type = ?": "type",
    "model_name = ?": "model_name",
    "username = ?": "username",
    "token_name = ?": "token_name",
    "created_at >= ?": "start_timestamp",
    "created_at <= ?": "end_timestamp",
    "channel_id = ?": "channel",
    "`group` = ?": "group",
    "request_id = ?": "request_id",
}
NUMBERS = {"type", "start_timestamp", "end_timestamp", "channel"}
NEEDED_FIRST = {
    "GitHubOAuthEnabled": (
        "GitHubClientId",
        "无法启用 GitHub OAuth，请先填入 GitHub Client Id 以及 GitHub Client Secret！",
    ),
    "oidc.enabled": ("oidc.client_id", "无法启用 OIDC 登录，请先填入 OIDC Client Id 以及 OIDC Client Secret！"),
    "WeChatAuthEnabled": ("WeChatServerAddress", "无法启用微信登录，请先填入微信登录相关配置信息！"),
    "TurnstileCheckEnabled": (
        "TurnstileSiteKey",
        "无法启用 Turnstile 校验，请先填入 Turnstile 校验相关配置信息！",
    ),
    "EmailDomainRestrictionEnabled": (
        "EmailDomainWhitelist",
        "无法启用邮箱域名限制，请先填入限制的邮箱域名！",
    ),
}
"""The switches that cannot be put on while another option is empty, and what new-api says then."""
COMPLIANCE = (
    "Payment, redemption, subscription, and invitation reward features are disabled."
    " The administrator must confirm compliance terms before enabling them."
)
THEMES = ("default", "classic")


@api()
def status(app: App, request: Request) -> Response:
    """Of the real one's 67 fields, those that tell it from One API or that somebody may read."""
    option, on = app.options.values, app.options.on
    system_name = option["SystemName"]
    address = option["ServerAddress"] or "http://localhost:3000"
    data = {
        "HeaderNavModules": "",
        "SidebarModulesAdmin": "",
        "announcements": [],
        "announcements_enabled": True,
        "chats": [],
        "checkin_enabled": on("checkin_setting.enabled"),
        "custom_currency_exchange_rate": app.options.decimal("general_setting.custom_currency_exchange_rate"),
        "custom_currency_symbol": option["general_setting.custom_currency_symbol"],
        "data_export_default_time": option["DataExportDefaultTime"],
        "default_collapse_sidebar": on("DefaultCollapseSidebar"),
        "default_use_auto_group": on("DefaultUseAutoGroup"),
        "demo_site_enabled": on("DemoSiteEnabled"),
        "discord_client_id": option["discord.client_id"],
        "discord_oauth": on("discord.enabled"),
        "display_in_currency": on("DisplayInCurrencyEnabled"),
        "docs_link": option["general_setting.docs_link"],
        "email_verification": on("EmailVerificationEnabled"),
        "enable_data_export": on("DataExportEnabled"),
        "enable_drawing": on("DrawingEnabled"),
        "enable_task": on("TaskEnabled"),
        "footer_html": option["Footer"],
        "github_client_id": option["GitHubClientId"],
        "github_oauth": on("GitHubOAuthEnabled"),
        "linuxdo_oauth": on("LinuxDOOAuthEnabled"),
        "logo": option["Logo"],
        "oidc_authorization_endpoint": option["oidc.authorization_endpoint"],
        "oidc_client_id": option["oidc.client_id"],
        "oidc_enabled": on("oidc.enabled"),
        "passkey_login": on("passkey.enabled"),
        "password_login_enabled": on("PasswordLoginEnabled"),
        "password_register_enabled": on("PasswordRegisterEnabled"),
        "price": app.options.decimal("Price"),
        "quota_display_type": option["general_setting.quota_display_type"],
        "quota_per_unit": app.options.decimal("QuotaPerUnit"),
        "register_enabled": on("RegisterEnabled"),
        "self_use_mode_enabled": on("SelfUseModeEnabled"),
        "server_address": address,
        "setup": app.is_set_up,
        "start_time": app.start_time,
        "system_name": system_name if NAME in system_name else f"{system_name} · {NAME}",
        "telegram_oauth": on("TelegramOAuthEnabled"),
        "theme": option["theme.frontend"],
        "turnstile_check": on("TurnstileCheckEnabled"),
        "turnstile_site_key": option.get("TurnstileSiteKey", ""),
        "usd_exchange_rate": app.options.decimal("USDExchangeRate"),
        "version": VERSION,
        "wechat_login": on("WeChatAuthEnabled"),
        "wechat_qrcode": option["WeChatAccountQRCodeImageURL"],
    }
    return ok(data=data)


@api()
def notice(app: App, request: Request) -> Response:
    names = {"notice": "Notice", "about": "About", "home_page_content": "HomePageContent"}
    return ok(data=app.options.values[names[request.path.rsplit("/", 1)[-1]]])


@api(ROOT)
def list_options(app: App, request: Request) -> Response:
    return ok(data=app.options.listed())


@api(ROOT)
def put_option(app: App, request: Request) -> Response:
    """The value is any JSON scalar; a body that cannot be read is answered with 400."""
    try:
        given = read_object(request.body)
    except AdminError:
        return failed("无效的参数", 400)
    key, value = str(given.get("key") or ""), _text(given.get("value"))
    if key in ("QuotaForInviter", "QuotaForInvitee") and value.isdecimal() and int(value) > 0:
        raise AdminError(COMPLIANCE)
    if key.startswith("payment_setting.compliance_"):
        raise AdminError("合规确认字段不允许通过通用设置接口修改")
    needed, problem = NEEDED_FIRST.get(key, ("", ""))
    if problem and value == "true" and not app.options.values.get(needed):
        raise AdminError(problem)
    if key == "theme.frontend" and value not in THEMES:
        raise AdminError("无效的主题值，可选值：default（新版前端）、classic（经典前端）")
    try:
        app.options.put(key, value)
    except ValueError as error:
        raise AdminError(str(error)) from None
    record(app, request, MANAGE, f"Updated system setting {key}")
    return ok()


def _text(value: Any) -> str:
    if value is None:
        return "<nil>"
    return value if isinstance(value, str) else json.dumps(value)


def _filtered(request: Request) -> tuple[str, list[object]]:
    """The WHERE clause of the filters that the query sets."""
    clauses = ["1 = 1"]
    params: list[object] = []
    for clause, name in FILTERS.items():
        value = request.query_number(name) if name in NUMBERS else request.query(name)
        if value:
            clauses.append(clause)
            params.append(value)
    return " AND ".join(clauses), params


@api(ADMIN)
def list_logs(app: App, request: Request) -> Response:
    where, params = _filtered(request)
    return _listed(app, request, where, params)


@api(USER)
def list_own_logs(app: App, request: Request) -> Response:
    where, params = _filtered(request)
    return _listed(app, request, f"{where} AND user_id = ?", [*params, request.user_id])


def _listed(app: App, request: Request, where: str, params: list[object]) -> Response:
    number, size = page(request)
    total = app.database.query(f"SELECT count(*) AS n FROM logs WHERE {where}", params)[0]["n"]  # noqa: S608
    tail = f"WHERE {where} ORDER BY created_at DESC, id DESC {limits(number, size)}"
    rows = app.database.rows(LOGS, tail, params)
    names = {row["id"]: row["name"] for row in app.database.query("SELECT id, name FROM channels")} if rows else {}
    left_out = ("upstream_request_id",)
    items = [
        {name: value for name, value in row.items() if name not in left_out or value}
        | {"channel_name": names.get(row["channel"], "")}
        for row in rows
    ]
    return paged(number, size, total, items)


@api(ADMIN)
def log_stat(app: App, request: Request) -> Response:
    """The quota of what the filters leave; requests and tokens of the last minute."""
    where, params = _filtered(request)
    summed = "SELECT ifnull(sum(quota), 0) AS quota FROM logs WHERE"
    quota = app.database.query(f"{summed} {where} AND type = {CONSUMED}", params)[0]["quota"]
    recent = app.database.query(
        "SELECT count(*) AS rpm, ifnull(sum(prompt_tokens), 0) + ifnull(sum(completion_tokens), 0) AS tpm"
        " FROM logs WHERE created_at >= ? AND type = ?",
        (app.now() - 60, CONSUMED),
    )[0]
    return ok(data={"quota": int(quota), "rpm": recent["rpm"], "tpm": recent["tpm"]})


@api(ROOT)
def delete_logs(app: App, request: Request) -> Response:
    before = request.query_number("target_timestamp")
    if not before:
        raise AdminError("target timestamp is required")
    return ok(data=app.database.execute("DELETE FROM logs WHERE created_at < ?", (before,)))


@api(ADMIN)
def list_groups(app: App, request: Request) -> Response:
    return ok(data=list(app.options.table("GroupRatio")))


@api(USER)
def list_models(app: App, request: Request) -> Response:
    return ok(data=models_by_channel_type())


@api(ADMIN)
def list_known_models(app: App, request: Request) -> Response:
    shown = ("id", "object", "created", "owned_by")
    return ok(data=[{name: model[name] for name in shown} for model in known_models()])


@api(ADMIN)
def list_served_models(app: App, request: Request) -> Response:
    rows = app.database.rows(CHANNELS, "WHERE status = 1", omit="key")
    return ok(data=sorted({model for row in rows for model in row["models"].split(",") if model}))


@api()
def not_built(app: App, request: Request) -> Response:
    """A path that new-api has and the stand-in has not."""
    return json_response({"message": f"{NAME} does not build {request.method} {request.path}", "success": False}, 501)
