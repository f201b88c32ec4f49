"""One API's paths, field names and peculiar answers: all that another flavour would change.

True of v0.6.10 and v0.6.11-preview.7. Paths end in ``/`` where the server's do: without it gin
answers with a redirect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_gateway.flavours import listed
from llm_gateway.flavours.rows import Fields, Row, mapping, names, text, whole
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec
from llm_gateway.flavours.values import filled

ALL_CHANNELS = "/api/channel/search?keyword="
ALL_TOKENS = "/api/token/search?keyword="

_IN_OTHER = {3: "api_version", 17: "plugin", 18: "api_version", 21: "library_id", 24: "api_version"}
"""By channel type, the field of the config that One API takes from the column `other` where the config has none: older
versions kept it there (v0.6.10, middleware/distributor.go)."""
NOT_ALLOWED = "无权进行此操作"
"""How the middleware begins each refusal of a role or an access token, in HTTP 200; it is not
translated, and no code comes with it."""
PASSWORD_LOGIN_OFF = "管理员关闭了密码登录"  # noqa: S105 (a message)
"""The one refusal of a login that says nothing about the password."""


def channel_fields(spec: ChannelSpec, *, with_key: bool) -> Fields:
    """The body of a request for a channel.

    On an update an absent or empty `key` keeps the old one, and so does an empty `config`: to clear
    that, it has to be ``{}``.
    """
    fields: Fields = {
        "name": spec.name,
        "type": spec.type,
        "base_url": spec.base_url,
        "models": ",".join(spec.models),
        "model_mapping": spec.mapping_text,
        "group": ",".join(spec.groups),
        "priority": spec.priority,
        "weight": spec.weight,
        "status": spec.status,
        "config": json.dumps(filled(spec.config), ensure_ascii=False, separators=(",", ":")),
        "other": "",  # what the config does not have must not be found here (`_config_in_effect`)
        "system_prompt": spec.system_prompt,
    }
    return {**fields, "key": spec.key} if with_key else fields


def token_fields(spec: TokenSpec, used_quota: int = 0) -> Fields:
    """The body of a request for a token that has used this much of its quota: an update sets to zero what is not sent.

    What remains may be below zero, which is how a token is left that has used more than it now may.
    """
    return {
        "name": spec.name,
        "expired_time": spec.expired_time,
        "remain_quota": 0 if spec.quota is None else spec.quota - used_quota,
        "unlimited_quota": spec.quota is None,
        "models": ",".join(spec.models),
        "subnet": ",".join(spec.subnets),
    }


def read_channel(row: Row) -> Channel:
    """A channel as listed. Raises TypeError or KeyError when `row` is something else."""
    kind = whole(row, "type")
    config = mapping(text(row, "config", null="")) or {}
    in_effect = _config_in_effect(kind, config, text(row, "other", null=""))
    return listed.channel(row, type_=kind, config=in_effect, system_prompt=text(row, "system_prompt", null=""))


def read_token(row: Row) -> Token:
    """A token as listed, with its key. Raises TypeError or KeyError when `row` is something else."""
    subnets = tuple(each.strip() for each in names(row, "subnet"))
    return listed.token(row, models=names(row, "models"), subnets=subnets, key=text(row, "key").removeprefix("sk-"))


def _config_in_effect(type_: int, config: Mapping[str, Any], other: str) -> dict[str, Any]:
    """A channel's config with what One API takes from its column `other`, without empty values."""
    old = {_IN_OTHER[type_]: other} if type_ in _IN_OTHER else {}
    return filled({**old, **filled(config)})
