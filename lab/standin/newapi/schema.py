"""The tables of new-api v1.0.0-rc.15 that the stand-in uses; on a database of One API's it adds what is missing.

The other tables of new-api (tasks, subscriptions, passkeys, …) are not made.
"""

from __future__ import annotations

from ..schema import Column, Table

ID = Column("id", "int", "integer PRIMARY KEY")
CHANNEL_INFO = (
    '{"is_multi_key":false,"multi_key_size":0,"multi_key_status_list":null,'
    '"multi_key_polling_index":0,"multi_key_mode":""}'
)

CHANNELS = Table(
    "channels",
    "Channel",
    (
        ID,
        Column("type", "int", default=0),
        Column("key", sql="text NOT NULL"),
        Column("open_ai_organization", pointer=True, json_name="openai_organization"),
        Column("test_model", pointer=True),
        Column("status", "int", default=1),
        Column("name"),
        Column("weight", "uint", default=0, pointer=True),
        Column("created_time", "int"),
        Column("test_time", "int"),
        Column("response_time", "int"),
        Column("base_url", default="", pointer=True),
        Column("other"),
        Column("balance", "float"),
        Column("balance_updated_time", "int"),
        Column("models"),
        Column("group", sql="varchar(64)", default="default"),
        Column("used_quota", "int", default=0),
        Column("model_mapping", pointer=True),
        Column("status_code_mapping", sql="varchar(1024)", default="", pointer=True),
        Column("priority", "int", default=0, pointer=True),
        Column("auto_ban", "int", default=1, pointer=True),
        Column("other_info"),
        Column("tag", pointer=True),
        Column("setting", pointer=True),
        Column("param_override", pointer=True),
        Column("header_override", pointer=True),
        Column("remark", sql="varchar(255)", pointer=True),
        Column("channel_info", sql="json"),
        Column("settings"),
    ),
    index=("name", "tag"),
)

TOKENS = Table(
    "tokens",
    "Token",
    (
        ID,
        Column("user_id", "int"),
        Column("key", sql="varchar(128)"),
        Column("status", "int", default=1),
        Column("name"),
        Column("created_time", "int"),
        Column("accessed_time", "int"),
        Column("expired_time", "int", default=-1),
        Column("remain_quota", "int", default=0),
        Column("unlimited_quota", "bool"),
        Column("model_limits_enabled", "bool"),
        Column("model_limits"),
        Column("allow_ips", default="", pointer=True),
        Column("used_quota", "int", default=0),
        Column("group", default=""),
        Column("cross_group_retry", "bool"),
        Column("deleted_at", sql="datetime", pointer=True, json_name="DeletedAt"),
    ),
    unique=("key",),
    index=("name", "user_id", "deleted_at"),
)

USERS = Table(
    "users",
    "User",
    (
        ID,
        Column("username"),
        Column("password", sql="text NOT NULL"),
        Column("display_name"),
        Column("role", "int", default=1),
        Column("status", "int", default=1),
        Column("email"),
        Column("github_id"),
        Column("discord_id"),
        Column("oidc_id"),
        Column("wechat_id"),
        Column("telegram_id"),
        Column("access_token", sql="char(32)", pointer=True),
        Column("quota", "int", default=0),
        Column("used_quota", "int", default=0),
        Column("request_count", "int", default=0),
        Column("group", sql="varchar(64)", default="default"),
        Column("aff_code", sql="varchar(32)"),
        Column("aff_count", "int", default=0),
        Column("aff_quota", "int", default=0),
        Column("aff_history", "int", default=0, json_name="aff_history_quota"),
        Column("inviter_id", "int"),
        Column("deleted_at", sql="datetime", pointer=True, json_name="DeletedAt"),
        Column("linux_do_id"),
        Column("setting"),
        Column("remark", sql="varchar(255)"),
        Column("stripe_customer", sql="varchar(64)"),
        Column("created_at", "int"),
        Column("last_login_at", "int", default=0),
    ),
    unique=("username", "access_token", "aff_code"),
    index=("display_name", "email", "deleted_at", "inviter_id", "oidc_id", "telegram_id", "discord_id", "linux_do_id"),
)

OPTIONS = Table("options", "Option", (Column("key"), Column("value")), primary=("key",))

REDEMPTIONS = Table(
    "redemptions",
    "Redemption",
    (
        ID,
        Column("user_id", "int"),
        Column("key", sql="char(32)"),
        Column("status", "int", default=1),
        Column("name"),
        Column("quota", "int", default=100),
        Column("created_time", "int"),
        Column("redeemed_time", "int"),
        Column("used_user_id", "int"),
        Column("deleted_at", sql="datetime", pointer=True),
        Column("expired_time", "int"),
    ),
    unique=("key",),
    index=("name", "deleted_at"),
)

ABILITIES = Table(
    "abilities",
    "Ability",
    (
        Column("group", sql="varchar(64)"),
        Column("model", sql="varchar(255)"),
        Column("channel_id", "int"),
        Column("enabled", "bool"),
        Column("priority", "int", default=0, pointer=True),
        Column("weight", "uint", default=0),
        Column("tag", pointer=True),
    ),
    index=("channel_id", "priority", "weight", "tag"),
    primary=("group", "model", "channel_id"),
)

LOGS = Table(
    "logs",
    "Log",
    (
        ID,
        Column("user_id", "int"),
        Column("created_at", "int"),
        Column("type", "int"),
        Column("content"),
        Column("username", default=""),
        Column("token_name", default=""),
        Column("model_name", default=""),
        Column("quota", "int", default=0),
        Column("prompt_tokens", "int", default=0),
        Column("completion_tokens", "int", default=0),
        Column("use_time", "int", default=0),
        Column("is_stream", "bool"),
        Column("channel_id", "int", json_name="channel"),
        Column("channel_name"),
        Column("token_id", "int", default=0),
        Column("group"),
        Column("ip", default=""),
        Column("request_id", sql="varchar(64)", default=""),
        Column("upstream_request_id", sql="varchar(128)", default=""),
        Column("other"),
    ),
    index=("user_id", "token_name", "model_name", "channel_id", "token_id", "username", "group", "ip", "request_id"),
    indexes=(
        ("idx_created_at_type", "created_at, type"),
        ("index_username_model_name", "model_name, username"),
        ("idx_created_at_id", "created_at, id"),
        ("idx_user_id_id", "user_id, id"),
    ),
)

SETUPS = Table(
    "setups",
    "Setup",
    (ID, Column("version", sql="varchar(50) NOT NULL"), Column("initialized_at", "int", "bigint NOT NULL")),
)

TWO_FAS = Table(
    "two_fas",
    "TwoFA",
    (
        ID,
        Column("user_id", "int", "integer NOT NULL"),
        Column("secret", sql="varchar(255) NOT NULL"),
        Column("is_enabled", "bool"),
        Column("deleted_at", sql="datetime", pointer=True),
    ),
    unique=("user_id",),
    index=("deleted_at",),
)

TABLES = (CHANNELS, TOKENS, USERS, OPTIONS, REDEMPTIONS, ABILITIES, LOGS, SETUPS, TWO_FAS)
