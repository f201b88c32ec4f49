"""Checks of the fields of a declared channel or token: each returns the value as it is used, or raises InvalidError.

No problem repeats the value, as a key may have been pasted into any of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from llm_gateway.flavours import Invalid, channel_types, values
from llm_gateway.model.checks import InvalidError, flag, http_url, integer, names, one_of, text
from llm_gateway.model.suggestion import suggest

DEFAULT_GROUP = "default"
"""The user group that root is in, and so the one whose channels serve the tokens made here."""
STATUSES = {"enabled": values.ENABLED, "disabled": values.DISABLED}

CONFIG_SECRETS = ("ak", "sk", "vertex_ai_adc")
"""Fields of a channel's config that are credentials: what is declared for them is the NAME of a secret."""

_MODEL = re.compile(r"[^\s,\x00-\x1f'\"\\$`]+")
_TRIMMED = re.compile(r"\S(.*\S)?")
_LONGEST_TYPE = 30
_SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DAY.pattern + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")
# As Go reads it: the length of a prefix and no netmask, and no zone in an address.
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+/[0-9]{1,3}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Check = Callable[[Any], Any]

model_name = text(_MODEL, "a model name without spaces, commas or quotes", "模型名，不含空格、逗号或引号")
secret_name = text(_SECRET_NAME, 'the NAME of a secret, such as "DASHSCOPE_API_KEY"')
name = text(_TRIMMED, "a name without blanks around it")
_group = text(re.compile(r"[^\s,]+"), "the name of a group, without spaces or commas")


def _none_or(check_value: Check) -> Check:
    return lambda value: None if value is None else check_value(value)


def _at_least_one(check_list: Check) -> Check:
    def check(value: Any) -> Any:
        if not (found := check_list(value)):
            raise InvalidError("must name at least one")
        return found

    return check


def channel_type(value: Any) -> int:
    """One API's number for the name of a type, or the number itself."""
    if not isinstance(value, str):
        value = integer(1, 999)(value)
    elif len(value) > _LONGEST_TYPE or not value.isprintable():
        raise InvalidError('must be the name of a channel type, such as "openai"')
    try:
        return channel_types.channel_type(value).number
    except Invalid as problem:
        raise InvalidError(f"cannot be used: {problem}") from None


def base_url(value: Any) -> str:
    """A URL; nothing, None and the empty text alike are the type's own."""
    if value is None or (isinstance(value, str) and not value):
        return ""
    return http_url(value)


def status(value: Any) -> int:
    """One API's number for "enabled" or "disabled"."""
    return STATUSES[one_of(*STATUSES)(value)]


def model_mapping(value: Any) -> dict[str, str]:
    """Names that are asked for, with the provider's names for them."""
    if not isinstance(value, Mapping):
        raise InvalidError('must be a dict, such as {"name that is asked for": "the provider\'s name"}')
    model = text(_TRIMMED, "a dict of model names")
    return {model(asked): model(upstream) for asked, upstream in value.items()}


def config(value: Any) -> dict[str, str]:
    """What some types need besides the key."""
    if not isinstance(value, Mapping):
        raise InvalidError('must be a dict, such as {"api_version": "2024-10-21"}')
    return dict(_config_field(field, found) for field, found in value.items())


def _config_field(field: Any, value: Any) -> tuple[str, str]:
    if not isinstance(field, str) or field not in values.CONFIG_FIELDS:
        raise InvalidError(f"may hold {', '.join(sorted(values.CONFIG_FIELDS))}, and nothing else")
    check = secret_name if field in CONFIG_SECRETS else text(_TRIMMED, "a string without blanks around it")
    try:
        return field, check(value)
    except InvalidError as problem:
        raise InvalidError(f"{field} {problem}") from None


def prompt(value: Any) -> str:
    """Text of any number of lines."""
    try:
        is_text = isinstance(value, str) and "\0" not in value and bool(value.encode() or True)
    except UnicodeEncodeError:  # half of a surrogate pair, which no JSON can carry
        is_text = False
    if not is_text:
        raise InvalidError("must be a string")
    return str(value)


def expiry(value: Any) -> int:
    """The last second of a day in UTC, or a moment, as seconds since 1970; -1 for None."""
    if value is None:
        return values.NEVER_EXPIRES
    wanted = 'must be a day such as "2027-01-31" (UTC), a moment such as "2027-01-31T18:00:00+08:00", or None (never)'
    is_text = isinstance(value, str)
    is_day = is_text and _DAY.fullmatch(value)
    if not is_day and not (is_text and _MOMENT.fullmatch(value)):
        raise InvalidError(wanted)
    try:
        moment = datetime.fromisoformat(f"{value}T23:59:59Z" if is_day else value)
    except ValueError:  # such as the 30th of February
        raise InvalidError(wanted) from None
    if moment <= _EPOCH:
        raise InvalidError("must be after 1970-01-01")
    return int((moment - _EPOCH).total_seconds())


def subnet(value: Any) -> str:
    """A network as Go reads it, kept as it was written."""
    wanted = 'a network such as "100.64.0.0/10", or one address such as "100.64.0.5/32"'
    found = text(_NETWORK, wanted)(value)
    try:
        ipaddress.ip_network(found, strict=False)
    except ValueError:
        raise InvalidError(f"must be {wanted}") from None
    return found


CHANNEL: Mapping[str, Check] = {
    "name": name,
    "type": channel_type,
    "base_url": base_url,
    "key": secret_name,
    "models": _at_least_one(names(model_name, "model names")),
    "model_mapping": model_mapping,
    "groups": _at_least_one(names(_group, "names of groups")),
    "priority": integer(-(2**31), 2**31 - 1),
    "weight": integer(0, 2**31 - 1),
    "status": status,
    "config": config,
    "system_prompt": prompt,
    "pass_through": flag,
}
TOKEN: Mapping[str, Check] = {
    "name": name,
    "models": names(model_name, "model names"),
    "quota": _none_or(integer(0, 2**63 - 1)),
    "expires": expiry,
    "subnets": names(subnet, "networks"),
    "status": _none_or(status),
}


def fields_of(value: Any, checks: Mapping[str, Check], needed: tuple[str, ...]) -> dict[str, Any]:
    """The fields of one item, checked. Raises InvalidError with all that is wrong with them."""
    if not isinstance(value, Mapping):
        raise InvalidError("must be a dict")
    problems = [f"{name} is missing" for name in needed if name not in value]
    checked = {}
    for name, found in value.items():
        if not isinstance(name, str) or name not in checks:
            problems.append(_no_field(name, checks))
            continue
        try:
            checked[name] = checks[name](found)
        except InvalidError as problem:
            problems.append(f"{name} {problem}")
    if problems:
        raise InvalidError(*problems)
    return checked


def _no_field(name: Any, known: Iterable[str]) -> str:
    if not isinstance(name, str) or not name.isprintable():
        return f"the names of its fields must be of {', '.join(known)}"
    return f"there is no field {name}" + (suggest(name, known) or f": there are {', '.join(known)}")
