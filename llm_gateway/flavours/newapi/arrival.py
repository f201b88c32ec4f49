"""What makes a database of One API mean the same to new-api, which opens it and reads less of it than One API does.

Seen with v1.0.0-rc.15 on a database of One API v0.6.10: it adds its columns and leaves them empty, so tokens that were
limited to models or networks are limited no more, channels of fourteen kinds are another kind, and no model without a
price is served. So this runs once new-api has added its columns, before anybody reaches it.
"""

# ruff: noqa: S608 (statements of ours)

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llm_gateway.flavours.channel_types import TYPES
from llm_gateway.flavours.newapi import wire

_REASONS = {
    "type": "new-api has no channels of its type",
    "config": "new-api has no place for what is in its config",
    "aws": "its config has no ak, sk and region",
    "url": "new-api appends /v1 to its base URL, which does not end so now",
    "quota": f"its quota is above {wire.MOST_QUOTA}, the most that new-api takes",
    "root": "its number is not 1, by which this deployment asks new-api",
}
_FIX = {"root": "stay with One API"}
_CHANGE = "change or delete it in the admin page, or stay with One API"


def _field(name: str) -> str:
    """A field of a channel's config in SQL; null where it has none, or is no JSON."""
    return f"nullif(CASE WHEN json_valid(config) THEN json_extract(config, '$.{name}') END, '')"


_KNOWN = ", ".join(map(str, sorted({*wire.NUMBERS, *wire.AS_OPENAI, wire.ALI_BAILIAN})))
_WITH_CONFIG = ", ".join(map(str, sorted({*wire.IN_OTHER, wire.AWS, wire.VERTEX})))
_HAS_CONFIG = "CASE WHEN json_valid(config) THEN EXISTS (SELECT 1 FROM json_each(config) WHERE value <> '') END"
_FOUND = {
    "type": f"channels WHERE type NOT IN ({_KNOWN})",
    "config": f"channels WHERE type NOT IN ({_WITH_CONFIG}) AND {_HAS_CONFIG}",
    "aws": f"channels WHERE type = {wire.AWS} AND ({' OR '.join(f'{_field(each)} IS NULL' for each in wire.AWS_KEY)})",
    "url": "channels WHERE type IN (50, 51) AND coalesce(base_url, '') NOT LIKE '%/v1'",
    "quota": f"tokens WHERE unlimited_quota = 0 AND remain_quota > {wire.MOST_QUOTA}",
    "root": "users WHERE id = (SELECT min(id) FROM users WHERE role = 100) AND id <> 1",
}
FINDS = "".join(
    f"SELECT '{table.split()[0]}', hex({'username' if reason == 'root' else 'name'}), '{reason}' FROM {table};\n"
    for reason, table in _FOUND.items()
)
"""What cannot be carried, a line each for `refusals`. For One API's schema; changes nothing."""


def refusals(lines: list[str]) -> Iterator[str]:
    """What `FINDS` found, in words, and what fixes it."""
    for line in lines:
        table, name, reason = line.split("|")
        what = f"{table.removesuffix('s')} {bytes.fromhex(name).decode(errors='replace')!r}: {_REASONS[reason]}"
        yield f"{what}: {_FIX.get(reason, _CHANGE)}"


def statements(options: Mapping[str, str]) -> str:
    """What to do in one transaction, in a database to which new-api has added its columns.

    Args:
        options: the texts of options that it needs where nobody has set them, by name.
    """
    return "\n".join((*_tokens(), *_channels(), *_options(options), ""))


def _tokens() -> Iterator[str]:
    yield "UPDATE tokens SET model_limits = models, model_limits_enabled = 1 WHERE coalesce(models, '') <> '';"
    # With commas it lets nobody in.
    yield (
        "UPDATE tokens SET allow_ips = replace(replace(subnet, ' ', ''), ',', char(10))"
        " WHERE coalesce(subnet, '') <> '';"
    )


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
    yield f'UPDATE channels SET "key" = {aws} WHERE type = {wire.AWS};'
    yield (
        f'UPDATE channels SET "key" = coalesce({_field("vertex_ai_adc")}, "key"),'
        f" other = json_object('default', coalesce({_field('region')}, '')) WHERE type = {wire.VERTEX};"
    )
    yield (
        "UPDATE channels SET setting ="
        " json_object('system_prompt', system_prompt, 'system_prompt_override', json('true'))"
        " WHERE coalesce(system_prompt, '') <> '';"
    )
    numbers = {**dict.fromkeys(wire.AS_OPENAI, 1), wire.ALI_BAILIAN: wire.ALI, **wire.NUMBERS}
    moved = {number: new for number, new in numbers.items() if number != new}
    cases = " ".join(f"WHEN {number} THEN {new}" for number, new in sorted(moved.items()))
    yield f"UPDATE channels SET type = CASE type {cases} ELSE type END;"


def _options(options: Mapping[str, str]) -> Iterator[str]:
    for name, text in options.items():
        yield f"INSERT INTO options (key, value) VALUES ('{name}', '{text}') ON CONFLICT DO NOTHING;"


TOLD = "limits of tokens, kinds of channels, their configs and system prompts, and options that it needs"
"""What is carried over."""
