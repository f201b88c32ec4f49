"""What makes a database that new-api has used mean the same to One API, which opens it and reads less of it.

Seen with One API v0.6.10 on a database of v1.0.0-rc.15: it starts, on one that new-api has made only at the second
time; tokens that were deleted in new-api answer again, those that were limited there may use all, and channels whose
kind has another number there break. So this runs once One API has added its columns, before anybody reaches it.

The tables of new-api's own stay, but for the one by which it knows that it was set up, and so do its columns of
channels: where the gateway is moved there again, what One API has no counterpart for is as it was.
"""

# ruff: noqa: S608 (statements of ours)

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llm_gateway.flavours.carrying import Reason, set_options
from llm_gateway.flavours.newapi import wire
from llm_gateway.flavours.options import OF_NEW_API

_KNOWN = ", ".join(map(str, sorted(wire.ONE_API)))
_BAIDU_V2, _VERTEX = wire.NUMBERS[wire.BAIDU_V2], wire.NUMBERS[wire.VERTEX]
_REGION = (
    "CASE WHEN json_valid(other) THEN coalesce(json_extract(other, '$.default'), 'global') ELSE coalesce(other, '') END"
)
_REGIONS = "CASE WHEN json_valid(other) THEN EXISTS (SELECT 1 FROM json_each(other) WHERE key <> 'default') END"
_HAS = "coalesce({0}, '') NOT IN ('', '{{}}', 'null')"
_OVERRIDES = ("param_override", "header_override", "status_code_mapping", "open_ai_organization")
_SWITCHED_OFF = "is switched off there"
_OWN_OPTIONS = ("SelfUseModeEnabled", "performance_setting.monitor_enabled")
"""Those that this deployment sets for it."""
_EFFECTIVE = ", ".join(f"'{name}'" for name in sorted(OF_NEW_API.difference(_OWN_OPTIONS)))


def _setting(name: str) -> str:
    """What a channel's `setting` has under a name, in SQL."""
    return f"json_extract({wire.SETTING}, '$.{name}')"


def _off(table: str, where: str, why: str) -> Reason:
    return Reason(table, where, why, _SWITCHED_OFF, wire.SWITCH_OFF)


REASONS = (
    _off("channels", f"type NOT IN ({_KNOWN})", "One API has no channels of its type"),
    _off("channels", f"type = {_BAIDU_V2}", "One API v0.6.10 has no channels of its type, v0.6.11-preview has"),
    _off(
        "channels",
        "CASE WHEN json_valid(channel_info) THEN json_extract(channel_info, '$.is_multi_key') END",
        "it has several keys, and One API takes one",
    ),
    _off(
        "channels",
        f"type = {wire.AWS} AND \"key\" NOT LIKE '%_|_%|_%'",
        "its key is not ak|sk|region",
    ),
    _off(
        "channels",
        f'type = {_VERTEX} AND (NOT json_valid("key") OR {_REGIONS})',
        "its key is no JSON, or it has several regions, and One API takes one",
    ),
    _off(
        "channels",
        f"coalesce({_setting('proxy')}, '') <> ''",
        "it has a proxy, which One API would pass by",
    ),
    _off(
        "channels",
        " OR ".join(map(_HAS.format, _OVERRIDES)),
        f"One API has nothing like {', '.join(_OVERRIDES)}, and it has one of them",
    ),
    _off(
        "tokens",
        "deleted_at IS NULL AND coalesce(\"group\", '') <> ''"
        ' AND "group" <> (SELECT users."group" FROM users WHERE users.id = tokens.user_id)',
        "it is of another group than its user's, and One API has none of tokens",
    ),
    _off(
        "tokens",
        "deleted_at IS NULL AND model_limits_enabled AND coalesce(model_limits, '') = ''",
        "it may use no model, and One API takes an empty list for all",
    ),
    _off(
        "redemptions",
        "deleted_at IS NULL AND status = 1 AND coalesce(expired_time, 0) <> 0",
        "it expires, and One API's codes do not",
    ),
    Reason(
        "users",
        "deleted_at IS NULL AND id IN (SELECT user_id FROM two_fas WHERE is_enabled AND deleted_at IS NULL)",
        "it logs in by a second factor besides, and One API asks for none",
        "logs in by its password alone there",
        name="username",
    ),
    Reason(
        "options",
        f"key IN ({_EFFECTIVE}) AND value <> ''",
        "One API has no such option",
        "has no effect there",
        name="key",
    ),
)
"""What cannot be carried, by new-api's schema."""


def statements(options: Mapping[str, str]) -> str:
    """What to do in one transaction, in a database to which One API has added its columns.

    Args:
        options: the texts of options that it needs where nobody has set them, by name.
    """
    return "\n".join((*_deleted(), *_tokens(), *_channels(), *set_options(options), *_forgotten(), ""))


def _deleted() -> Iterator[str]:
    """What new-api keeps as deleted, and One API would serve. An account is left as One API leaves one (status 3)."""
    yield "DELETE FROM tokens WHERE deleted_at IS NOT NULL;"
    yield "DELETE FROM redemptions WHERE deleted_at IS NOT NULL;"
    yield (
        "UPDATE users SET status = 3, username = 'deleted_' || lower(hex(randomblob(16))), access_token = NULL"
        " WHERE deleted_at IS NOT NULL;"
    )


def _tokens() -> Iterator[str]:
    # One that is limited by blanks alone is not (model/token.go, GetIpLimits); One API takes networks alone.
    lines = "json_each('[' || replace(json_quote(replace(allow_ips, '\\', 'x')), '\\n', '\",\"') || ']')"
    line = "replace(replace(replace(replace(value, ' ', ''), char(13), ''), char(9), ''), ',', '')"
    network = f"{line} || CASE WHEN instr({line}, '/') THEN '' WHEN instr({line}, ':') THEN '/128' ELSE '/32' END"
    networks = f"(SELECT group_concat({network}, ',') FROM {lines} WHERE {line} <> '')"
    yield (
        "UPDATE tokens SET models = CASE WHEN model_limits_enabled THEN coalesce(model_limits, '') ELSE '' END,"
        f" subnet = CASE coalesce(allow_ips, '') WHEN '' THEN '' ELSE coalesce({networks}, '') END;"
    )


def _channels() -> Iterator[str]:
    """The numbers of their kinds come last, since all else goes by new-api's."""
    config = "CASE WHEN coalesce(config, '') <> '' AND json_valid(config) THEN config ELSE '{}' END"
    yield f"UPDATE channels SET system_prompt = coalesce({_setting('system_prompt')}, '');"
    for number, name in wire.IN_OTHER.items():
        yield (
            f"UPDATE channels SET config = json_set({config}, '$.{name}', other)"
            f" WHERE type = {wire.NUMBERS[number]} AND coalesce(other, '') <> '';"
        )
    # Its three parts, as texts of a list.
    part = "json_extract('[' || replace(json_quote(\"key\"), '|', '\",\"') || ']', '$[{}]')"
    parts = ", ".join(f"'$.{name}', {part.format(place)}" for place, name in enumerate(wire.AWS_KEY))
    yield (
        f"UPDATE channels SET config = json_set({config}, {parts})"
        f" WHERE type = {wire.AWS} AND \"key\" LIKE '%_|_%|_%' AND status <> 2;"
    )
    yield (
        f"UPDATE channels SET config = json_set({config}, '$.region', {_REGION}, '$.vertex_ai_adc', \"key\","
        " '$.vertex_ai_project_id', coalesce(json_extract(\"key\", '$.project_id'),"
        f" json_extract({config}, '$.vertex_ai_project_id'), ''))"
        f' WHERE type = {_VERTEX} AND json_valid("key");'
    )
    moved = {number: known for number, known in wire.ONE_API.items() if number != known}
    cases = " ".join(f"WHEN {number} THEN {known}" for number, known in sorted(moved.items()))
    yield f"UPDATE channels SET type = CASE type {cases} ELSE type END WHERE type IN ({_KNOWN});"


def _forgotten() -> Iterator[str]:
    """Columns of tokens that would mean something again after another move, and what the database is known by."""
    yield "DROP INDEX IF EXISTS idx_tokens_deleted_at;"
    for name in ("model_limits_enabled", "model_limits", "allow_ips", "group", "cross_group_retry", "deleted_at"):
        yield f'ALTER TABLE tokens DROP COLUMN "{name}";'
    yield "DROP TABLE setups;"


TOKENS = (
    "SELECT hex(name), hex(\"key\"), hex(replace(replace(coalesce(allow_ips, ''), ' ', ''), char(10), ' ')) FROM tokens"
    " ORDER BY deleted_at IS NULL AND NOT coalesce(model_limits_enabled, 0) AND coalesce(allow_ips, '') = '', id"
)
TOLD = "deleted and limited tokens, kinds of channels, their configs and system prompts"
"""What is carried over."""
LOSES = (
    "in place: what was written since the move stays, and what One API has nothing like is named if there is any;"
    " new-api's sessions, tasks and subscriptions are not read. deploys/rollback.py, in its place, brings back the data"
    " from before the move, and loses to the gateway what was written since"
)
"""Which of both ways back loses what."""
