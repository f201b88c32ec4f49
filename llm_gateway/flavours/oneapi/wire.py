"""One API's paths, field names and peculiar answers: all that another flavour would change.

True of v0.6.10 and v0.6.11-preview.7. Paths end in ``/`` where the server's do: without it gin
answers with a redirect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATUS = "/api/status"
LOG_IN = "/api/user/login"
OWN_USER = "/api/user/self"
ACCESS_TOKEN = "/api/user/token"  # noqa: S105 (a path)
CHANNELS = "/api/channel/"
ALL_CHANNELS = "/api/channel/search?keyword="
TOKENS = "/api/token/"
ALL_TOKENS = "/api/token/search?keyword="
TOKEN_STATUS = "/api/token/?status_only=1"  # noqa: S105 (a path)
OPTIONS = "/api/option/"
LOG = "/api/log/"
CONSUMED = 2
"""The kind of log row that a billed request leaves."""

ENABLED = 1
DISABLED = 2
AUTO_DISABLED = 3
"""A channel's; a token's 3 is another thing."""
EXPIRED = 3
EXHAUSTED = 4
NEVER_EXPIRES = -1
PASSWORD_CHARACTERS = range(8, 21)
CONFIG_FIELDS = frozenset(
    ("region", "sk", "ak", "user_id", "api_version", "library_id", "plugin", "vertex_ai_project_id", "vertex_ai_adc")
)
"""What a channel's config may hold; One API passes over anything else."""
_IN_OTHER = {3: "api_version", 17: "plugin", 18: "api_version", 21: "library_id", 24: "api_version"}
"""By channel type, the field of the config that One API takes from the column `other` where the config has none: older
versions kept it there (v0.6.10, middleware/distributor.go)."""
INT64 = range(-(1 << 63), 1 << 63)
TOKEN_NAME_BYTES = 30
MODEL_MAPPING_CHARACTERS = 1024

NOT_ALLOWED = "无权进行此操作"
"""How the middleware begins each refusal of a role or an access token, in HTTP 200; it is not
translated, and no code comes with it."""
NOT_FOUND = "record not found"
"""How One API's database library says that there is no such row; no code comes with it either."""
PASSWORD_LOGIN_OFF = "管理员关闭了密码登录"  # noqa: S105 (a message)
"""The one refusal of a login that says nothing about the password."""

Fields = dict[str, Any]


def channel_fields(
    *,
    name: str,
    type_: int,
    base_url: str,
    models: tuple[str, ...],
    model_mapping: str,
    groups: tuple[str, ...],
    priority: int,
    weight: int,
    status: int,
    config: str,
    system_prompt: str,
) -> Fields:
    """The fields of a channel in a request, the key excepted.

    On an update an absent or empty `key` keeps the old one, and so does an empty `config`: to clear
    that, it has to be ``{}``.
    """
    return {
        "name": name,
        "type": type_,
        "base_url": base_url,
        "models": ",".join(models),
        "model_mapping": model_mapping,
        "group": ",".join(groups),
        "priority": priority,
        "weight": weight,
        "status": status,
        "config": config,
        "other": "",  # what the config does not have must not be found here (`config_in_effect`)
        "system_prompt": system_prompt,
    }


def token_fields(
    *,
    name: str,
    expired_time: int,
    remain_quota: int,
    unlimited_quota: bool,
    models: tuple[str, ...],
    subnets: tuple[str, ...],
) -> Fields:
    """All fields of a token: an update sets those that are not sent to zero, `expired_time` too."""
    return {
        "name": name,
        "expired_time": expired_time,
        "remain_quota": remain_quota,
        "unlimited_quota": unlimited_quota,
        "models": ",".join(models),
        "subnet": ",".join(subnets),
    }


def names(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """A comma list of One API's; null and the empty text are the empty list."""
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, str):
        raise TypeError(f"{field} is not a string")
    return tuple(name for name in value.split(",") if name)


def config_in_effect(type_: int, config: Mapping[str, Any], other: str) -> dict[str, Any]:
    """A channel's config with what One API takes from its column `other`, without empty values."""
    old = {_IN_OTHER[type_]: other} if type_ in _IN_OTHER else {}
    return filled({**old, **filled(config)})


def filled(config: Mapping[str, Any]) -> dict[str, Any]:
    """A channel's config without empty values, which One API's web page writes and which mean nothing."""
    return {name: value for name, value in config.items() if value not in ("", None)}
