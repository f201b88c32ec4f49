"""What is there against what should be, and how that is said in words; no secret is ever among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from llm_gateway.flavours import options, values
from llm_gateway.flavours.channel_types import type_name
from llm_gateway.flavours.errors import Ambiguous
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec

KEY_CHANGED = "key changed"
KEY_AGAIN = "key sent again"
SET_AGAIN = "set again, as the database is not known to hold it"
_SHOWN_CONFIG = frozenset({"region", "api_version", "library_id", "plugin", "vertex_ai_project_id"})
_TEXT_LIMIT = 60
_CHANNEL_STATUS = {1: "enabled", 2: "disabled", 3: "disabled by itself"}
_TOKEN_STATUS = {1: "enabled", 2: "disabled", 3: "expired", 4: "exhausted"}


class _Named(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def only(items: Iterable[_Item], name: str) -> _Item | None:
    """Return the item named exactly `name`, or None.

    Raises:
        Ambiguous: several have that name, which One API allows.
    """
    found = [item for item in items if item.name == name]
    if len(found) > 1:
        ids = ", ".join(str(item.id) for item in found)
        raise Ambiguous(f"{len(found)} entries are named {name!r} (ids {ids}): keep one of them")
    return found[0] if found else None


def channel_differences(channel: Channel, spec: ChannelSpec) -> tuple[str, ...]:
    """Say in words in what `channel` differs from `spec`; empty when in nothing.

    The key is not compared: One API lists it blank. Models and groups are compared as sets, as their
    order means nothing to its routing; JSON is compared by its content.
    """
    return (
        *_set("models", channel.models, spec.models),
        *_set("groups", channel.groups, spec.groups),
        *_plain("type", type_name(channel.type), type_name(spec.type)),
        *_plain("base_url", _url(channel.base_url), _url(spec.base_url)),
        *_secretly("base_url", channel.base_url, spec.base_url),
        *_mapping("model_mapping", channel.model_mapping or {}, spec.model_mapping or {}, None),
        *_plain("priority", channel.priority, spec.priority),
        *_plain("weight", channel.weight, spec.weight),
        *_plain("status", _word(_CHANNEL_STATUS, channel.status), _word(_CHANNEL_STATUS, spec.status)),
        *_mapping("config", channel.config, values.filled(spec.config), _SHOWN_CONFIG),
        *(() if channel.system_prompt == spec.system_prompt else ("system_prompt changed",)),
        *_plain("pass_through", _yes(channel.pass_through), _yes(spec.pass_through)),
    )


def token_differences(token: Token, spec: TokenSpec) -> tuple[str, ...]:
    """Say in words in what `token` differs from `spec`, its status excepted; empty when in nothing."""
    return (
        *_set("models", token.models, spec.models, none="all"),
        *_set("subnets", token.subnets, spec.subnets, none="all"),
        *_plain("quota", _quota(token.total_quota), _quota(spec.quota)),
        *_plain("expires", _time(token.expired_time), _time(spec.expired_time)),
    )


def token_status_wanted(token: Token, spec: TokenSpec, now: float) -> int | None:
    """Return the status that a token needs to be given, or None when it is to be left as it is.

    One API marks a token as expired or exhausted when somebody calls with it, if it was enabled then, and
    does not take that back when it gets more time or quota. It refuses to enable a token that is over even so:
    that one is as declared. It never marks a token without a quota, which a budget does.

    Args:
        token: as listed.
        spec: what it should be.
        now: seconds since 1970.
    """
    if spec.status == values.DISABLED:
        return None if token.status == values.DISABLED else values.DISABLED
    if token.status == values.ENABLED or (token.status == values.DISABLED and spec.status is None):
        return None
    if spec.has_budget and token.status == values.EXHAUSTED and token.unlimited_quota:
        return None
    is_over = values.NEVER_EXPIRES != spec.expired_time <= now
    is_used_up = spec.quota is not None and token.used_quota >= spec.quota
    ended = (token.status == values.EXPIRED and is_over) or (token.status == values.EXHAUSTED and is_used_up)
    return None if ended else values.ENABLED


def token_status_difference(token: Token, wanted: int) -> str:
    """Say in words that a token's status is to become `wanted`."""
    return f"status {_word(_TOKEN_STATUS, token.status)} → {_TOKEN_STATUS[wanted]}"


def option_differences(name: str, declared: str, actual: str | None) -> tuple[str, ...]:
    """Say in words in what an option's text differs from the declared one; empty when in effect in nothing."""
    if options.is_same(name, declared, actual):
        return ()
    if options.is_secret(name):
        return ("changed",)
    if options.KINDS[name] is not options.Kind.RATIOS:
        return (f"{_option(actual)} → {_option(declared)}",)
    there = options.ratios(actual or "")
    return tuple(
        f"{key} {there.get(key, '(none)')} → {number}"
        for key, number in options.ratios(declared).items()
        if not options.same_number(there.get(key), number)
    )


def _set(what: str, old: tuple[str, ...], new: tuple[str, ...], none: str = "") -> tuple[str, ...]:
    """`none` says what an empty set means where that is not "none"."""
    if none and bool(old) != bool(new):
        return (f"{what} {_names(old) or none} → {_names(new) or none}",)
    signed = [f"+{_name(name)}" for name in new if name not in old]
    signed += [f"-{_name(name)}" for name in dict.fromkeys(old) if name not in new]
    return (f"{what} {' '.join(signed)}",) if signed else ()


def _plain(what: str, old: object, new: object) -> tuple[str, ...]:
    return () if old == new else (f"{what} {old} → {new}",)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _secretly(what: str, old: str, new: str) -> tuple[str, ...]:
    """A change in nothing but the name and password in a URL."""
    is_seen = _url(old) != _url(new)
    return () if old == new or is_seen else (f"{what} changed",)


def _mapping(
    what: str, old: Mapping[str, str], new: Mapping[str, str], shown: frozenset[str] | None
) -> tuple[str, ...]:
    """`shown`: the names whose values are no secret; None for all."""
    said = []
    for name in (*new, *(name for name in old if name not in new)):
        if old.get(name) == new.get(name):
            continue
        if shown is None or name in shown:
            said.append(f"{_name(name)}: {_or_none(old.get(name))} → {_or_none(new.get(name))}")
        else:
            verb = "added" if name not in old else "changed" if name in new else "removed"
            said.append(f"{_name(name)} {verb}")
    return (f"{what} {' '.join(said)}",) if said else ()


def _url(url: str) -> str:
    """Without the name, password or key that may be in it."""
    shown = re.sub(r"[?#].*", "?[hidden]", url, flags=re.DOTALL)
    return _or_none(re.sub(r"//.*@", "//[hidden]@", shown, flags=re.DOTALL))


def _word(words: Mapping[int, str], number: int) -> str:
    return words.get(number, str(number))


def _quota(total: int | None) -> str:
    return "unlimited" if total is None else str(total)


def _time(seconds: int) -> str:
    """In UTC; a time that no calendar has stays a number."""
    if seconds == values.NEVER_EXPIRES:
        return "never"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _option(text: str | None) -> str:
    if text is None:
        return "(none)"
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{line[:_TEXT_LIMIT]}…" if len(line) > _TEXT_LIMIT else line or "(empty)"


def _or_none(text: str | None) -> str:
    return _name(str(text)) if text else "(none)"


def _name(name: str) -> str:
    """In quotes where it would be misread without."""
    return name if name.isprintable() and name == name.strip() and name and " " not in name else repr(name)


def _names(names: tuple[str, ...]) -> str:
    return " ".join(map(_name, names))
