"""What makes a database of One API mean the same to new-api, which opens it and reads less of it than One API does.

Seen with v1.0.0-rc.15 on a database of One API v0.6.10: it adds its columns and leaves them empty, so tokens that were
limited to models or networks are limited no more, channels of fourteen kinds are another kind, and no model without a
price is served. So this runs once new-api has added its columns, before anybody reaches it.
"""

# ruff: noqa: S608 (statements of ours)

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llm_gateway.flavours import option_defaults
from llm_gateway.flavours.carrying import Reason, set_options
from llm_gateway.flavours.channel_types import TYPES
from llm_gateway.flavours.newapi import wire
from llm_gateway.flavours.options import OF_ONE_API


def _field(name: str) -> str:
    """A field of a channel's config in SQL; null where it has none, or is no JSON."""
    return f"nullif(CASE WHEN json_valid(config) THEN json_extract(config, '$.{name}') END, '')"


_KNOWN = ", ".join(map(str, sorted({*wire.NUMBERS, *wire.AS_OPENAI, wire.ALI_BAILIAN})))
_WITH_CONFIG = ", ".join(map(str, sorted({*wire.IN_OTHER, wire.AWS, wire.VERTEX})))
_HAS_CONFIG = "CASE WHEN json_valid(config) THEN EXISTS (SELECT 1 FROM json_each(config) WHERE value <> '') END"
_NO_EFFECT = " OR ".join(
    f"(key = '{name}' AND value NOT IN ('', '{option_defaults.ONE_API.get(name, '')}'))"
    for name in sorted(OF_ONE_API - {"ApproximateTokenEnabled"})  # which it needs not: it has no files to count by
)
_SWITCHED_OFF = "is switched off there"
REASONS = (
    Reason(
        "channels", f"type NOT IN ({_KNOWN})", "new-api has no channels of its type", _SWITCHED_OFF, wire.SWITCH_OFF
    ),
    Reason(
        "channels",
        f"type NOT IN ({_WITH_CONFIG}) AND {_HAS_CONFIG}",
        "new-api has no place for what is in its config",
        _SWITCHED_OFF,
        wire.SWITCH_OFF,
    ),
    Reason(
        "channels",
        f"type = {wire.AWS} AND ({' OR '.join(f'{_field(each)} IS NULL' for each in wire.AWS_KEY)})",
        "its config has no ak, sk and region",
        _SWITCHED_OFF,
        wire.SWITCH_OFF,
    ),
    Reason(
        "channels",
        "type IN (50, 51) AND coalesce(base_url, '') NOT LIKE '%/v1'",
        "new-api appends /v1 to its base URL, which does not end so now",
        _SWITCHED_OFF,
        wire.SWITCH_OFF,
    ),
    Reason(
        "tokens",
        f"unlimited_quota = 0 AND remain_quota > {wire.MOST_QUOTA}",
        f"its quota is above {wire.MOST_QUOTA}, the most that new-api takes",
        "has that much left there",
        f"remain_quota = {wire.MOST_QUOTA}",
    ),
    Reason("options", _NO_EFFECT, "new-api has no such option, or does not heed it", "has no effect there", name="key"),
    Reason(
        "users",
        "id = (SELECT min(id) FROM users WHERE role = 100) AND id <> 1",
        "its number is not 1, by which this deployment asks new-api: stay with One API",
        "",
        name="username",
    ),
)
"""What cannot be carried, by One API's schema."""


def statements(options: Mapping[str, str]) -> str:
    """What to do in one transaction, in a database to which new-api has added its columns.

    Args:
        options: the texts of options that it needs where nobody has set them, by name.
    """
    return "\n".join((*_tokens(), *_channels(), *_users(), *set_options(options), ""))


def _tokens() -> Iterator[str]:
    """Set for all, and not only for limited ones: a database may have been new-api's before."""
    yield (
        "UPDATE tokens SET model_limits = coalesce(models, ''), model_limits_enabled = coalesce(models, '') <> '',"
        # With commas it lets nobody in.
        " allow_ips = replace(replace(coalesce(subnet, ''), ' ', ''), ',', char(10));"
    )


def _users() -> Iterator[str]:
    """All tokens end with root's quota."""
    yield f"UPDATE users SET quota = {wire.WALLET} WHERE id = 1;"


def _channels() -> Iterator[str]:
    """The numbers of their kinds come last, since all else goes by One API's."""
    defaults = {each.number: each.base_url.rstrip("/") for each in TYPES if each.number in wire.AS_OPENAI}
    cases = " ".join(f"WHEN {number} THEN '{url}'" for number, url in defaults.items() if url)
    filled = ", ".join(str(number) for number, url in defaults.items() if url)
    yield (
        f"UPDATE channels SET base_url = CASE type {cases} END"
        f" WHERE type IN ({filled}) AND coalesce(base_url, '') = '';"
    )
    yield "UPDATE channels SET base_url = substr(base_url, 1, length(base_url) - 3) WHERE type IN (50, 51);"
    for number, name in wire.IN_OTHER.items():
        yield f"UPDATE channels SET other = {_field(name)} WHERE type = {number} AND {_field(name)} IS NOT NULL;"
    aws = " || '|' || ".join(map(_field, wire.AWS_KEY))
    yield f'UPDATE channels SET "key" = {aws} WHERE type = {wire.AWS} AND {aws} IS NOT NULL;'
    yield (
        f'UPDATE channels SET "key" = coalesce({_field("vertex_ai_adc")}, "key"),'
        f" other = json_object('default', coalesce({_field('region')}, '')) WHERE type = {wire.VERTEX};"
    )
    yield (
        "UPDATE channels SET setting = CASE coalesce(system_prompt, '')"
        f" WHEN '' THEN json_remove({wire.SETTING}, '$.system_prompt', '$.system_prompt_override')"
        f" ELSE json_set({wire.SETTING}, '$.system_prompt', system_prompt, '$.system_prompt_override', json('true'))"
        " END"
        " WHERE coalesce(system_prompt, '') <> '' OR coalesce(setting, '') <> '';"
    )
    numbers = {**dict.fromkeys(wire.AS_OPENAI, 1), wire.ALI_BAILIAN: wire.ALI, **wire.NUMBERS}
    moved = {number: new for number, new in numbers.items() if number != new}
    cases = " ".join(f"WHEN {number} THEN {new}" for number, new in sorted(moved.items()))
    yield f"UPDATE channels SET type = CASE type {cases} ELSE type END;"


TOKENS = (
    "SELECT hex(name), hex(\"key\"), hex(replace(coalesce(subnet, ''), ',', ' ')) FROM tokens"
    " ORDER BY coalesce(models, '') || coalesce(subnet, '') = '', id"
)
TOLD = "limits of tokens, kinds of channels, their configs and system prompts, and options that it needs"
"""What is carried over."""
