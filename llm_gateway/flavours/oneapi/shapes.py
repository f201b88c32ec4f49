"""What One API answers with, as plain typed values; keys never appear in a repr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_gateway.flavours.oneapi import wire

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Status:
    """What anyone may know about a running One API. `start_time` is in seconds since 1970."""

    version: str
    system_name: str
    start_time: int

    @classmethod
    def read(cls, row: Row) -> Status:
        """Raises TypeError or KeyError when `row` is something else."""
        return cls(
            _text(row, "version"),
            _text(row, "system_name"),
            _whole(row, "start_time"),
        )


@dataclass(frozen=True)
class User:
    """An account. `role`: 1 common, 10 admin, 100 root."""

    id: int
    username: str
    role: int

    @classmethod
    def read(cls, row: Row) -> User:
        """Raises TypeError or KeyError when `row` is something else."""
        return cls(_whole(row, "id"), _text(row, "username"), _whole(row, "role"))


@dataclass(frozen=True)
class Channel:
    """A channel as listed: One API blanks its key. `status`: 1 enabled, 2 disabled, 3 by itself.

    `config` is what is in effect, without empty values; it may hold secrets, such as `sk`.
    """

    id: int
    name: str
    type: int
    base_url: str
    models: tuple[str, ...]
    model_mapping: Mapping[str, str] | None
    groups: tuple[str, ...]
    priority: int
    weight: int
    status: int
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    system_prompt: str = field(default="", repr=False)

    @classmethod
    def read(cls, row: Row) -> Channel:
        """Raises TypeError or KeyError when `row` is something else."""
        return cls(
            id=_whole(row, "id"),
            name=_text(row, "name"),
            type=_whole(row, "type"),
            base_url=_text(row, "base_url", null=""),
            models=wire.names(row, "models"),
            model_mapping=_mapping(_text(row, "model_mapping", null="")),
            groups=wire.names(row, "group"),
            priority=_whole(row, "priority", null=0),
            weight=_whole(row, "weight", null=0),
            status=_whole(row, "status"),
            config=wire.config_in_effect(
                _whole(row, "type"), _mapping(_text(row, "config", null="")) or {}, _text(row, "other", null="")
            ),
            system_prompt=_text(row, "system_prompt", null=""),
        )


@dataclass(frozen=True)
class Token:
    """A token of the relay. `status`: 1 enabled, 2 disabled, 3 expired, 4 exhausted.

    `expired_time` is in seconds since 1970, or -1 for never; quotas are in One API's own unit
    (500,000 to the dollar by default). An unlimited token's use is not counted on it.
    """

    id: int
    name: str
    status: int
    expired_time: int
    remain_quota: int
    unlimited_quota: bool
    models: tuple[str, ...]
    subnets: tuple[str, ...]
    key: str = field(repr=False)
    used_quota: int = 0

    @property
    def total_quota(self) -> int | None:
        """All that it may ever use, what it has used included; None for unlimited.

        One API moves quota between the two parts in one statement, so use does not change the total.
        """
        return None if self.unlimited_quota else self.remain_quota + self.used_quota

    @property
    def api_key(self) -> str:
        """The key as clients send it; One API stores and lists it without ``sk-``."""
        return f"sk-{self.key}"

    @classmethod
    def read(cls, row: Row) -> Token:
        """Raises TypeError or KeyError when `row` is something else."""
        unlimited = row["unlimited_quota"]
        if not isinstance(unlimited, bool):
            raise TypeError("unlimited_quota is not a boolean")
        return cls(
            id=_whole(row, "id"),
            name=_text(row, "name"),
            status=_whole(row, "status"),
            expired_time=_whole(row, "expired_time"),
            remain_quota=_whole(row, "remain_quota"),
            unlimited_quota=unlimited,
            models=wire.names(row, "models"),
            subnets=tuple(each.strip() for each in wire.names(row, "subnet")),
            key=_text(row, "key").removeprefix("sk-"),
            used_quota=_whole(row, "used_quota", null=0),
        )


@dataclass(frozen=True)
class LogRow:
    """A billed request, as One API's log has it: times in seconds since 1970, quota in its own unit."""

    id: int
    created_at: int
    token_name: str
    model_name: str
    channel: int
    prompt_tokens: int
    completion_tokens: int
    quota: int

    @classmethod
    def read(cls, row: Row) -> LogRow:
        """Raises TypeError or KeyError when `row` is something else."""
        return cls(
            id=_whole(row, "id"),
            created_at=_whole(row, "created_at"),
            token_name=_text(row, "token_name"),
            model_name=_text(row, "model_name"),
            channel=_whole(row, "channel", null=0),
            prompt_tokens=_whole(row, "prompt_tokens", null=0),
            completion_tokens=_whole(row, "completion_tokens", null=0),
            quota=_whole(row, "quota", null=0),
        )


def _mapping(text: str) -> dict[str, str] | None:
    """A JSON object in a text; None for none, and for broken JSON, which One API itself passes over."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


def _text(row: Row, name: str, *, null: str | None = None) -> str:
    value = row.get(name, null) if null is not None else row[name]
    if value is None and null is not None:
        return null
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def _whole(row: Row, name: str, *, null: int | None = None) -> int:
    value = row.get(name, null) if null is not None else row[name]
    if value is None and null is not None:
        return null
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is not an integer")
    return value
