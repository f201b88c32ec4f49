"""/api/status, options, logs, groups and model lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import NAME, VERSION
from .envelope import ADMIN, ROOT, USER, AdminError, api, bind, failed, ok, page
from .models import models_by_channel_type
from .schema import LOGS, OPTIONS
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

FILTERS = {
    "type = ?": "type",
    "model_name = ?": "model_name",
    "username = ?": "username",
    "token_name = ?": "token_name",
    "created_at >= ?": "start_timestamp",
    "created_at <= ?": "end_timestamp",
    "channel_id = ?": "channel",
}
NUMBERS = {"type", "start_timestamp", "end_timestamp", "channel"}
NEEDED_FIRST = {
    "GitHubOAuthEnabled": (
        "GitHubClientId",
        "无法启用 GitHub OAuth，请先填入 GitHub Client Id 以及 GitHub Client Secret！",
    ),
    "WeChatAuthEnabled": ("WeChatServerAddress", "无法启用微信登录，请先填入微信登录相关配置信息！"),
    "TurnstileCheckEnabled": (
        "TurnstileSiteKey",
        "无法启用 Turnstile 校验，请先填入 Turnstile 校验相关配置信息！",
    ),
}
"""The switches that cannot be put on while another option is empty, and what One API says then."""
THEMES = {"default", "berry", "air"}
RECENT = 100
CONSUMED = 2


@api()
def status(app: App, request: Request) -> Response:
    """From memory alone; the system name says what this is, whatever the option says."""
    option = app.options.values
    system_name = option["SystemName"]
    data = {
        "chat_link": option["ChatLink"],
        "display_in_currency": app.options.on("DisplayInCurrencyEnabled"),
        "email_verification": app.options.on("EmailVerificationEnabled"),
        "footer_html": option["Footer"],
        "github_client_id": option["GitHubClientId"],
        "github_oauth": app.options.on("GitHubOAuthEnabled"),
        "lark_client_id": option.get("LarkClientId", ""),
        "logo": option["Logo"],
        "oidc": app.options.on("OidcEnabled"),
        "oidc_authorization_endpoint": option.get("OidcAuthorizationEndpoint", ""),
        "oidc_client_id": option.get("OidcClientId", ""),
        "oidc_token_endpoint": option.get("OidcTokenEndpoint", ""),
        "oidc_userinfo_endpoint": option.get("OidcUserinfoEndpoint", ""),
        "oidc_well_known": option.get("OidcWellKnown", ""),
        "quota_per_unit": app.options.decimal("QuotaPerUnit"),
        "server_address": option["ServerAddress"] or "http://localhost:3000",
        "start_time": app.start_time,
        "system_name": system_name if NAME in system_name else f"{system_name} · {NAME}",
        "top_up_link": option["TopUpLink"],
        "turnstile_check": app.options.on("TurnstileCheckEnabled"),
        "turnstile_site_key": option["TurnstileSiteKey"],
        "version": VERSION,
        "wechat_login": app.options.on("WeChatAuthEnabled"),
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
    """The one endpoint that answers 400 to a body that it cannot read."""
    try:
        option = bind(OPTIONS, request.body)
    except AdminError:
        return failed("无效的参数", 400)
    if option["key"] == "Theme" and option["value"] not in THEMES:
        raise AdminError("无效的主题")
    needed, problem = NEEDED_FIRST.get(option["key"], ("", ""))
    if problem and option["value"] == "true" and not app.options.values[needed]:
        raise AdminError(problem)
    try:
        app.options.put(option["key"], option["value"])
    except ValueError as error:
        raise AdminError(str(error)) from None
    return ok()


def _filtered(request: Request, *leave_out: str) -> tuple[str, list[object]]:
    """The WHERE clause of the filters that the query sets."""
    clauses = ["1 = 1"]
    params: list[object] = []
    for clause, name in FILTERS.items():
        value = request.query_number(name) if name in NUMBERS else request.query(name)
        if value and name not in leave_out:
            clauses.append(clause)
            params.append(value)
    return " AND ".join(clauses), params


@api(ADMIN)
def list_logs(app: App, request: Request) -> Response:
    where, params = _filtered(request)
    return ok(data=app.database.rows(LOGS, f"WHERE {where} ORDER BY id DESC {page(request)}", params))


@api(USER)
def list_own_logs(app: App, request: Request) -> Response:
    """A user's rows, without their ids."""
    where, params = _filtered(request, "username", "channel")
    tail = f"WHERE {where} AND user_id = ? ORDER BY id DESC {page(request)}"
    return ok(data=app.database.rows(LOGS, tail, [*params, request.user_id], omit="id"))


@api(ADMIN)
def search_logs(app: App, request: Request) -> Response:
    keyword = request.query("keyword")
    tail = f"WHERE type = ? OR content LIKE ? ORDER BY id DESC LIMIT {RECENT}"
    return ok(data=app.database.rows(LOGS, tail, (keyword, keyword + "%")))


@api(USER)
def search_own_logs(app: App, request: Request) -> Response:
    tail = f"WHERE user_id = ? AND type = ? ORDER BY id DESC LIMIT {RECENT}"
    params = (request.user_id, request.query("keyword"))
    return ok(data=app.database.rows(LOGS, tail, params, omit="id"))


@api(ADMIN)
def log_stat(app: App, request: Request) -> Response:
    where, params = _filtered(request, "type")
    return ok(data={"quota": _sum_quota(app, where, params)})


@api(USER)
def own_log_stat(app: App, request: Request) -> Response:
    where, params = _filtered(request, "type", "username")
    return ok(data={"quota": _sum_quota(app, f"{where} AND username = ?", [*params, request.username])})


def _sum_quota(app: App, where: str, params: list[object]) -> int:
    sql = f"SELECT ifnull(sum(quota), 0) AS quota FROM logs WHERE {where} AND type = {CONSUMED}"  # noqa: S608
    return int(app.database.query(sql, params)[0]["quota"])


@api(ADMIN)
def delete_logs(app: App, request: Request) -> Response:
    before = request.query_number("target_timestamp")
    if not before:
        raise AdminError("target timestamp is required")
    return ok(data=app.database.execute("DELETE FROM logs WHERE created_at < ?", (before,)))


@api(ADMIN)
def list_groups(app: App, request: Request) -> Response:
    return ok(data=list(json.loads(app.options.values["GroupRatio"])))


@api(USER)
def list_models(app: App, request: Request) -> Response:
    return ok(data=models_by_channel_type())


@api()
def not_built(app: App, request: Request) -> Response:
    """A path that One API has and the stand-in has not."""
    return failed(f"{NAME} does not build {request.method} {request.path}", 501)
