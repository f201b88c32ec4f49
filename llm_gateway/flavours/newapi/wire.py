"""new-api's paths, field names and numbers, true of v1.0.0-rc.15, beside One API's names for the same.

Channels keep One API's numbers of their kinds here, and get new-api's on the way; so do those that new-api has no kind
for and serves as OpenAI at a base URL that is written out (`held`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm_gateway.flavours import listed, values
from llm_gateway.flavours.channel_types import FOREIGN, channel_type, type_name
from llm_gateway.flavours.errors import Invalid
from llm_gateway.flavours.rows import Fields, Row, flag, mapping, names, text, whole
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec

SET_UP = "/api/setup"
USERS = "/api/user/"
MANAGE = "/api/user/manage"
KEYS = "/api/token/batch/keys"
PAGE = 100
"""Rows, the most that a list gives at once; the first page is 1."""
USER_HEADER = "New-Api-User"
NOT_ALLOWED = "Unauthorized, "
"""How its middleware begins each refusal of a role or an access token, in English, mostly in HTTP 200."""
PASSWORD_LOGIN_OFF = "password login has been disabled"  # noqa: S105 (a message)
MOST_QUOTA = 500_000_000_000_000
"""Of a limited token (controller/token.go)."""
WALLET = 500_000_000_000_000
"""What One API gives root. new-api gives a fiftieth of a millionth, and refuses every token once that is used up."""
LOG_IN_MINUTES = 20
"""In which new-api counts log-ins and requests for the keys of tokens, of one address together."""
MASK = "*"
"""Stands in keys that are not shown whole."""

_OPENAI = 1
NUMBERS = {
    **{same: same for same in (1, 3, *range(6, 8), *range(9, 21), *range(22, 26), 31, 33)},
    **{27: 35, 28: 42, 30: 4, 35: 34, 36: 43, 37: 39, 40: 45, 42: 41, 44: 40, 45: 48, 47: 46},
}
"""One API's number of a kind of channel, and new-api's (constant/channel.go).

Not of those that new-api has and answers no chat by: aiproxy-library (21: "invalid api type"), replicate (46: images
alone), and coze (34), whose bot One API finds by the model's name.
"""
AS_OPENAI = frozenset({2, 4, 5, 8, 26, 29, 32, 39, 41, 48, 50, 51})
"""One API's numbers of kinds that new-api has not, and serves as OpenAI."""
ALI_BAILIAN = 49
ONE_API = {number: known for known, number in NUMBERS.items()}
"""The other way round."""
IN_OTHER = {3: "api_version", 17: "plugin", 18: "api_version", 24: "api_version", 37: "user_id"}
"""By One API's number, the field of a config that stands in new-api's column `other`."""
ALI, AWS, VERTEX, BAIDU_V2 = 17, 33, 42, 47
AWS_KEY = ("ak", "sk", "region")
"""The fields of One API's config that are the key of such a channel here, with | between them."""
SETTING = "CASE WHEN coalesce(setting, '') <> '' AND json_valid(setting) THEN setting ELSE '{}' END"
"""A channel's column of that name in SQL; an empty object where it is no JSON."""
SWITCH_OFF = "status = 2"
"""The status, of channels and tokens alike, of what a person has switched off."""
_V1 = "/v1"
_PASS_THROUGH = "pass_through_body_enabled"  # noqa: S105 (a name)
_OURS = frozenset({"system_prompt", "system_prompt_override", _PASS_THROUGH})
"""What we set in a channel's `setting`."""


def held(spec: ChannelSpec) -> ChannelSpec:
    """A declared channel as new-api holds it, and lists it again. Raises Invalid where it has nothing like it."""
    kind = channel_type(spec.type)
    where = f"channel {spec.name!r}"
    if spec.pass_through and (spec.system_prompt or any(name != to for name, to in (spec.model_mapping or {}).items())):
        # relay/compatible_handler.go: the bytes are sent on before either is looked at.
        raise Invalid(f"{where}: with pass_through, model_mapping and system_prompt have no effect: leave one out")
    if spec.type in AS_OPENAI:
        return replace(_without_config(spec), type=_OPENAI, base_url=_openai_url(spec, kind.base_url))
    if spec.type == ALI_BAILIAN:
        return replace(_without_config(spec), type=ALI)
    if spec.type not in NUMBERS:
        raise Invalid(f"{where}: new-api has no channels of type {kind.name}: leave it out, or stay with One API")
    config = values.filled(spec.config)
    if spec.type == AWS:
        if missing := [name for name in AWS_KEY if name not in config]:
            raise Invalid(f"{where}: config needs {', '.join(missing)} for new-api")
        # The three are its key there, and listed blank.
        key = "|".join(config[name] for name in AWS_KEY)
        return replace(spec, config={}, key=key if spec.key else "")
    if spec.type == VERTEX:
        key = config.get("vertex_ai_adc", "")
        return replace(spec, config={name: config[name] for name in ("region",) if name in config}, key=key)
    return _without_config(spec, IN_OTHER.get(spec.type))


def _without_config(spec: ChannelSpec, kept: str | None = None) -> ChannelSpec:
    """Raises Invalid where a channel's config holds more than the one field that new-api keeps for its type."""
    config = values.filled(spec.config)
    if lost := sorted(config.keys() - {kept}):
        raise Invalid(f"channel {spec.name!r}: new-api has no place for {', '.join(lost)} of its config")
    return replace(spec, config=config)


def _openai_url(spec: ChannelSpec, default: str) -> str:
    """The base URL behind which /v1/… has to follow, as new-api's type 1 appends it."""
    url = spec.base_url or default.rstrip("/")
    if spec.type in (50, 51):  # which take their /v1 with them
        if not url.endswith(_V1):
            name = type_name(spec.type)
            raise Invalid(f"channel {spec.name!r}: new-api appends /v1 to the base URL of a channel like {name}")
        return url.removesuffix(_V1)
    return url


def channel_fields(spec: ChannelSpec, setting: Mapping[str, Any], *, with_key: bool) -> Fields:
    """The fields of a channel in a request. On an update what is absent stays, and so does an empty key.

    Args:
        spec: as `held` gives it.
        setting: what the channel has in `setting` now; what is not ours there stays.
        with_key: whether the key is sent.
    """
    kept = {name: value for name, value in setting.items() if name not in _OURS}
    if spec.system_prompt:
        kept |= {"system_prompt": spec.system_prompt, "system_prompt_override": True}
    if spec.pass_through:
        kept |= {_PASS_THROUGH: True}
    fields: Fields = {
        "name": spec.name,
        "type": NUMBERS[spec.type],
        "base_url": spec.base_url,
        "models": ",".join(spec.models),
        "model_mapping": spec.mapping_text,
        "group": ",".join(spec.groups),
        "priority": spec.priority,
        "weight": spec.weight,
        "status": spec.status,
        "other": _other(spec),
        "setting": json.dumps(kept, ensure_ascii=False, separators=(",", ":")),
    }
    return {**fields, "key": spec.key} if with_key else fields


def _other(spec: ChannelSpec) -> str:
    if spec.type == VERTEX:
        return json.dumps({"default": spec.config["region"]}) if "region" in spec.config else ""
    return spec.config.get(IN_OTHER.get(spec.type, ""), "")


def token_fields(spec: TokenSpec, used_quota: int = 0) -> Fields:
    """The fields of a token that has used this much of its quota: an update sets to zero what is not sent.

    Raises:
        Invalid: a quota that new-api refuses, or below what was used already.
    """
    left = 0 if spec.quota is None else spec.quota - used_quota
    if left < 0:
        raise Invalid(
            f"token {spec.name!r}: {used_quota} of its quota are used, and new-api takes none below that: raise its"
            " quota, or delete it in the admin page"
        )
    if left > MOST_QUOTA:
        raise Invalid(f"token {spec.name!r}: new-api takes a quota of {MOST_QUOTA} at most, or None for unlimited")
    return {
        "name": spec.name,
        "expired_time": spec.expired_time,
        "remain_quota": left,
        "unlimited_quota": spec.quota is None,
        "model_limits_enabled": bool(spec.models),
        "model_limits": ",".join(spec.models),
        "allow_ips": "\n".join(spec.subnets),  # with commas it lets nobody in
        "group": "",
    }


def setting_of(row: Row) -> dict[str, Any]:
    """What new-api keeps of a channel besides its columns."""
    return dict(mapping(text(row, "setting", null="")) or {})


def read_channel(row: Row) -> Channel:
    """A channel as listed. Raises TypeError or KeyError when `row` is something else."""
    number = whole(row, "type")
    known = ONE_API.get(number, FOREIGN + number)
    setting = setting_of(row)
    return listed.channel(
        row,
        type_=known,
        config=_config_in(known, text(row, "other", null="")),
        system_prompt=str(setting.get("system_prompt", "")),
        pass_through=setting.get(_PASS_THROUGH) is True,
    )


def _config_in(known: int, other: str) -> dict[str, str]:
    if known == VERTEX:
        region = (mapping(other) or {}).get("default")
        return {"region": region} if isinstance(region, str) and region else {}
    return values.filled({IN_OTHER[known]: other}) if known in IN_OTHER else {}


def read_token(row: Row) -> Token:
    """A token as listed; its key is masked, and has no place here. Raises TypeError or KeyError, as above."""
    return listed.token(row, models=_limits(row), subnets=tuple(text(row, "allow_ips", null="").split()), key="")


def _limits(row: Row) -> tuple[str, ...]:
    """The models that a token may use. Limits without a model allow none, which is another thing than all."""
    return (names(row, "model_limits") or ("",)) if flag(row, "model_limits_enabled") else ()
