"""The tables of One API v0.6.10, column by column: one description for SQL, JSON and request binding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

ZERO: dict[str, Any] = {"int": 0, "uint": 0, "str": "", "bool": False, "float": 0}
GO_TYPES = {"int": "int", "uint": "uint", "str": "string", "bool": "bool", "float": "float64"}


@dataclass(frozen=True)
class Column:
    """One column: `kind` is its JSON type, `default` what an insert puts in place of a zero value.

    `pointer` marks the fields that One API holds as a Go pointer: null is told from zero, so
    such a field can be set to zero by an update, and the others cannot.
    """

    name: str
    kind: str = "str"
    sql: str = ""
    default: Any = None
    pointer: bool = False
    json_name: str = ""

    @property
    def field(self) -> str:
        return self.json_name or self.name

    @property
    def zero(self) -> Any:
        return None if self.pointer else ZERO[self.kind]

    def ddl(self) -> str:
        kinds = {"int": "integer", "uint": "integer", "str": "text", "bool": "numeric", "float": "real"}
        text = f"`{self.name}` {self.sql or kinds[self.kind]}"
        if self.default is None:
            return text
        literal = f'"{self.default}"' if isinstance(self.default, str) else str(int(self.default))
        return f"{text} DEFAULT {literal}"

    def out(self, value: Any) -> Any:
        """The JSON value of what SQLite holds; an old row's NULL reads as the zero value."""
        if value is None:
            return self.zero
        return bool(value) if self.kind == "bool" else value


@dataclass(frozen=True)
class Table:
    """A table: its Go struct's name, its columns in JSON order, and its extra SQL."""

    name: str
    struct: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()
    """Of several columns, each with its name."""
    primary: tuple[str, ...] = ("id",)
    lacking: tuple[str, ...] = ()
    """Columns of newer versions: null in every row that is read."""

    def stored(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a row that is inserted, by column: defaults in place of zero values."""
        values = {}
        for column in self.columns:
            value = row.get(column.field, column.zero)
            is_zero = value is None or (not column.pointer and value == column.zero)
            if is_zero and column.default is not None:
                value = column.default
            if column.name == "id" and not value:
                continue
            values[column.name] = value
        return values

    def column_names(self, *omit: str) -> str:
        return ", ".join(f"`{c.name}`" for c in self.columns if c.name not in omit)


ID = Column("id", "int", "integer PRIMARY KEY AUTOINCREMENT")

CHANNELS = Table(
    "channels",
    "Channel",
    (
        ID,
        Column("type", "int", default=0),
        Column("key"),
        Column("status", "int", default=1),
        Column("name"),
        Column("weight", "uint", default=0, pointer=True),
        Column("created_time", "int"),
        Column("test_time", "int"),
        Column("response_time", "int"),
        Column("base_url", default="", pointer=True),
        Column("other", pointer=True),
        Column("balance", "float"),
        Column("balance_updated_time", "int"),
        Column("models"),
        Column("group", sql="varchar(32)", default="default"),
        Column("used_quota", "int", default=0),
        Column("model_mapping", sql="varchar(1024)", default="", pointer=True),
        Column("priority", "int", default=0, pointer=True),
        Column("config"),
        Column("system_prompt", pointer=True),
    ),
    index=("name",),
)

TOKENS = Table(
    "tokens",
    "Token",
    (
        ID,
        Column("user_id", "int"),
        Column("key", sql="char(48)"),
        Column("status", "int", default=1),
        Column("name"),
        Column("created_time", "int"),
        Column("accessed_time", "int"),
        Column("expired_time", "int", default=-1),
        Column("remain_quota", "int", default=0),
        Column("unlimited_quota", "bool", default=0),
        Column("used_quota", "int", default=0),
        Column("models", pointer=True),
        Column("subnet", default="", pointer=True),
    ),
    unique=("key",),
    index=("name",),
)

USERS = Table(
    "users",
    "User",
    (
        ID,
        Column("username"),
        Column("password", sql="text NOT NULL"),
        Column("display_name"),
        Column("role", "int", "int", default=1),
        Column("status", "int", "int", default=1),
        Column("email"),
        Column("github_id"),
        Column("wechat_id"),
        Column("lark_id"),
        Column("oidc_id"),
        Column("access_token", sql="char(32)"),
        Column("quota", "int", default=0),
        Column("used_quota", "int", default=0),
        Column("request_count", "int", "int", default=0),
        Column("group", sql="varchar(32)", default="default"),
        Column("aff_code", sql="varchar(32)"),
        Column("inviter_id", "int", "int"),
    ),
    unique=("username", "access_token", "aff_code"),
    index=("display_name", "email", "github_id", "wechat_id", "lark_id", "oidc_id", "inviter_id"),
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
    ),
    unique=("key",),
    index=("name",),
)

ABILITIES = Table(
    "abilities",
    "Ability",
    (
        Column("group", sql="varchar(32)"),
        Column("model"),
        Column("channel_id", "int"),
        Column("enabled", "bool"),
        Column("priority", "int", default=0, pointer=True),
    ),
    index=("channel_id", "priority"),
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
        Column("channel_id", "int", json_name="channel"),
    ),
    index=("user_id", "token_name", "model_name", "channel_id"),
    indexes=(("idx_created_at_type", "created_at, type"), ("index_username_model_name", "model_name, username")),
)

_BEFORE_V069 = {"channels": ("system_prompt",)}
_V060 = {"channels": ("system_prompt",), "tokens": ("models", "subnet"), "users": ("lark_id", "oidc_id")}
MISSING: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "v0.5.10": {**_V060, "channels": ("config", "system_prompt")},  # as a database that v0.5.10 itself has made
    "v0.6.0": _V060,
    "v0.6.8": _BEFORE_V069,
}
"""The columns that older versions have not, by table."""


def as_of(table: Table, version: str) -> Table:
    """A table as a version has it, one of MISSING, or "" for the newest."""
    left = MISSING[version].get(table.name, ()) if version else ()
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name not in left),
        index=tuple(name for name in table.index if name not in left),
        lacking=left,
    )


# An image of the lab's can be one of an older version, which makes and reads what that one does.
CHANNELS, TOKENS, USERS = (as_of(table, os.environ.get("STANDIN_SCHEMA", "")) for table in (CHANNELS, TOKENS, USERS))
TABLES = (CHANNELS, TOKENS, USERS, OPTIONS, REDEMPTIONS, ABILITIES, LOGS)
