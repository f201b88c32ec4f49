"""The paths of v1.0.0-rc.15 that a deployment or its clients use, and what answers them."""

from __future__ import annotations

from ..web import Router
from . import admin_channel, admin_misc, admin_token, admin_user, relay

API = (
    ("GET", "/api/setup", admin_user.get_setup),
    ("POST", "/api/setup", admin_user.post_setup),
    ("GET", "/api/status", admin_misc.status),
    ("GET", "/api/notice", admin_misc.notice),
    ("GET", "/api/about", admin_misc.notice),
    ("GET", "/api/home_page_content", admin_misc.notice),
    ("GET", "/api/models", admin_misc.list_models),
    ("GET", "/api/group/", admin_misc.list_groups),
    ("POST", "/api/user/register", admin_user.register),
    ("POST", "/api/user/login", admin_user.login),
    ("GET", "/api/user/logout", admin_user.logout),
    ("GET", "/api/user/self", admin_user.get_self),
    ("PUT", "/api/user/self", admin_user.put_self),
    ("GET", "/api/user/token", admin_user.new_access_token),
    ("GET", "/api/user/models", admin_user.own_models),
    ("GET", "/api/user/", admin_user.list_users),
    ("GET", "/api/user/search", admin_user.search_users),
    ("GET", "/api/user/:id", admin_user.get_user),
    ("POST", "/api/user/", admin_user.create_user),
    ("POST", "/api/user/manage", admin_user.manage_user),
    ("PUT", "/api/user/", admin_user.put_user),
    ("DELETE", "/api/user/:id", admin_user.remove_user),
    ("GET", "/api/option/", admin_misc.list_options),
    ("PUT", "/api/option/", admin_misc.put_option),
    ("GET", "/api/channel/", admin_channel.list_channels),
    ("GET", "/api/channel/search", admin_channel.search_channels),
    ("GET", "/api/channel/models", admin_misc.list_known_models),
    ("GET", "/api/channel/models_enabled", admin_misc.list_served_models),
    ("GET", "/api/channel/:id", admin_channel.get_channel),
    ("POST", "/api/channel/:id/key", admin_channel.get_key),
    ("GET", "/api/channel/test/:id", admin_channel.probe_one),
    ("POST", "/api/channel/", admin_channel.add_channel),
    ("PUT", "/api/channel/", admin_channel.put_channel),
    ("DELETE", "/api/channel/disabled", admin_channel.delete_disabled),
    ("DELETE", "/api/channel/:id", admin_channel.delete_channel),
    ("GET", "/api/token/", admin_token.list_tokens),
    ("GET", "/api/token/search", admin_token.search_tokens),
    ("GET", "/api/token/:id", admin_token.get_token),
    ("POST", "/api/token/:id/key", admin_token.get_key),
    ("POST", "/api/token/batch/keys", admin_token.get_keys),
    ("POST", "/api/token/", admin_token.add_token),
    ("PUT", "/api/token/", admin_token.put_token),
    ("DELETE", "/api/token/:id", admin_token.delete_token),
    ("GET", "/api/usage/token/", admin_token.usage),
    ("GET", "/api/log/", admin_misc.list_logs),
    ("DELETE", "/api/log/", admin_misc.delete_logs),
    ("GET", "/api/log/stat", admin_misc.log_stat),
    ("GET", "/api/log/self", admin_misc.list_own_logs),
)
API_NOT_BUILT = (
    ("GET", "pricing data/ data/flow redemption/ channel/test channel/ops log/search log/self/stat user/2fa/status"),
    ("POST", "token/batch channel/batch channel/copy/:id channel/fetch_models user/topup redemption/"),
)
RELAY = (
    ("GET", "/v1/models", relay.list_models),
    ("GET", "/v1/models/:model", relay.get_model),
    ("POST", "/v1/chat/completions", relay.relay),
    ("POST", "/v1/completions", relay.relay),
    ("POST", "/v1/embeddings", relay.relay),
    ("POST", "/v1/responses", relay.relay),
    ("POST", "/v1/messages", relay.relay),
)
RELAY_NOT_BUILT = "rerank moderations images/generations images/edits audio/speech audio/transcriptions edits"


def make_router() -> Router:
    """The routes of v1.0.0-rc.15."""
    router = Router()
    for methods, pattern, handler in (*API, *RELAY):
        router.add(methods, pattern, handler)
    for methods, names in API_NOT_BUILT:
        for name in names.split():
            router.add(methods, f"/api/{name}", admin_misc.not_built)
    for name in RELAY_NOT_BUILT.split():
        router.add("POST", f"/v1/{name}", admin_misc.not_built)
    return router
