"""Every path of v0.6.10 and what answers it."""

from __future__ import annotations

from . import admin_channel, admin_misc, admin_token, admin_user, admin_users, dashboard, relay
from .web import Router

API = (
    ("GET", "/api/status", admin_misc.status),
    ("GET", "/api/notice", admin_misc.notice),
    ("GET", "/api/about", admin_misc.notice),
    ("GET", "/api/home_page_content", admin_misc.notice),
    ("GET", "/api/models", admin_misc.list_models),
    ("GET", "/api/group/", admin_misc.list_groups),
    ("POST", "/api/topup", admin_users.top_up),
    ("POST", "/api/user/register", admin_user.register),
    ("POST", "/api/user/login", admin_user.login),
    ("GET", "/api/user/logout", admin_user.logout),
    ("GET", "/api/user/self", admin_user.get_self),
    ("PUT", "/api/user/self", admin_user.put_self),
    ("DELETE", "/api/user/self", admin_user.delete_self),
    ("GET", "/api/user/token", admin_user.new_access_token),
    ("GET", "/api/user/aff", admin_user.aff_code),
    ("GET", "/api/user/available_models", admin_user.available_models),
    ("GET", "/api/user/", admin_users.list_users),
    ("GET", "/api/user/search", admin_users.search_users),
    ("GET", "/api/user/:id", admin_users.get_user),
    ("POST", "/api/user/", admin_users.create_user),
    ("POST", "/api/user/manage", admin_users.manage_user),
    ("PUT", "/api/user/", admin_users.put_user),
    ("DELETE", "/api/user/:id", admin_users.remove_user),
    ("GET", "/api/option/", admin_misc.list_options),
    ("PUT", "/api/option/", admin_misc.put_option),
    ("GET", "/api/channel/", admin_channel.list_channels),
    ("GET", "/api/channel/search", admin_channel.search_channels),
    ("GET", "/api/channel/models", admin_channel.list_models),
    ("GET", "/api/channel/:id", admin_channel.get_channel),
    ("GET", "/api/channel/test", admin_channel.probe_all),
    ("GET", "/api/channel/test/:id", admin_channel.probe_one),
    ("POST", "/api/channel/", admin_channel.add_channel),
    ("PUT", "/api/channel/", admin_channel.put_channel),
    ("DELETE", "/api/channel/disabled", admin_channel.delete_disabled),
    ("DELETE", "/api/channel/:id", admin_channel.delete_channel),
    ("GET", "/api/token/", admin_token.list_tokens),
    ("GET", "/api/token/search", admin_token.search_tokens),
    ("GET", "/api/token/:id", admin_token.get_token),
    ("POST", "/api/token/", admin_token.add_token),
    ("PUT", "/api/token/", admin_token.put_token),
    ("DELETE", "/api/token/:id", admin_token.delete_token),
    ("GET", "/api/log/", admin_misc.list_logs),
    ("DELETE", "/api/log/", admin_misc.delete_logs),
    ("GET", "/api/log/stat", admin_misc.log_stat),
    ("GET", "/api/log/self/stat", admin_misc.own_log_stat),
    ("GET", "/api/log/search", admin_misc.search_logs),
    ("GET", "/api/log/self", admin_misc.list_own_logs),
    ("GET", "/api/log/self/search", admin_misc.search_own_logs),
)

API_NOT_BUILT = (
    ("GET", "verification reset_password oauth/github oauth/oidc oauth/lark oauth/state oauth/wechat"),
    ("GET", "oauth/wechat/bind oauth/email/bind user/dashboard channel/update_balance"),
    ("GET", "channel/update_balance/:id redemption/ redemption/search redemption/:id"),
    ("POST", "user/reset user/topup redemption/"),
    ("PUT", "redemption/"),
    ("DELETE", "redemption/:id"),
)

RELAY = (
    ("GET", "/v1/models", relay.list_models),
    ("GET", "/v1/models/:model", relay.get_model),
    ("GET", "/dashboard/billing/subscription", dashboard.subscription),
    ("GET", "/dashboard/billing/usage", dashboard.usage),
    ("GET", "/v1/dashboard/billing/subscription", dashboard.subscription),
    ("GET", "/v1/dashboard/billing/usage", dashboard.usage),
)

RELAYED = (
    "chat/completions completions embeddings engines/:model/embeddings moderations edits images/generations"
    " audio/speech audio/transcriptions audio/translations"
)

RELAY_NOT_IMPLEMENTED = (
    ("POST", "images/edits images/variations"),
    ("GET POST", "files"),
    ("GET DELETE", "files/:id"),
    ("GET", "files/:id/content"),
    ("GET POST", "fine_tuning/jobs"),
    ("GET", "fine_tuning/jobs/:id fine_tuning/jobs/:id/events"),
    ("POST", "fine_tuning/jobs/:id/cancel"),
    ("DELETE", "models/:model"),
    ("GET POST", "assistants"),
    ("GET POST DELETE", "assistants/:id"),
    ("GET POST", "assistants/:id/files"),
    ("GET DELETE", "assistants/:id/files/:file"),
    ("POST", "threads"),
    ("GET POST DELETE", "threads/:id"),
    ("POST", "threads/:id/messages"),
    ("GET POST", "threads/:id/messages/:message"),
    ("GET", "threads/:id/messages/:message/files threads/:id/messages/:message/files/:file"),
    ("GET POST", "threads/:id/runs threads/:id/runs/:run"),
    ("POST", "threads/:id/runs/:run/submit_tool_outputs threads/:id/runs/:run/cancel"),
    ("GET", "threads/:id/runs/:run/steps threads/:id/runs/:run/steps/:step"),
)


def make_router() -> Router:
    """The routes of v0.6.10."""
    router = Router()
    for methods, pattern, handler in (*API, *RELAY):
        router.add(methods, pattern, handler)
    for methods, names in API_NOT_BUILT:
        for name in names.split():
            router.add(methods, f"/api/{name}", admin_misc.not_built)
    for name in RELAYED.split():
        router.add("POST", f"/v1/{name}", relay.relay)
    for methods, names in RELAY_NOT_IMPLEMENTED:
        for name in names.split():
            router.add(methods, f"/v1/{name}", relay.not_implemented)
    return router
