"""What a gateway holds, as plain typed values; keys never appear in a repr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Status:
    """What anyone may know about a running gateway. `start_time` is in seconds since 1970."""

    version: str
    start_time: int
    is_new_api: bool = False


@dataclass(frozen=True)
class User:
    """An account. `role`: 1 common, 10 admin, 100 root."""

    id: int
    username: str
    role: int


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
    pass_through: bool = False


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


@dataclass(frozen=True)
class LogRow:
    """A billed request, as the log has it; `quota` is in the unit of a token's."""

    id: int
    token_name: str
    model_name: str
    channel: int
    prompt_tokens: int
    completion_tokens: int
    quota: int
