"""The options that may be declared, what each one's value is, and the text that One API keeps of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from llm_gateway.flavours import values
from llm_gateway.flavours.errors import Invalid
from llm_gateway.model.suggestion import suggest


class Kind(Enum):
    """What the value of an option is; the value says it in words."""

    SWITCH = "True or False"
    WHOLE = "a whole number from 0"
    NUMBER = "a number above 0"
    TEXT = "a string"
    THEME = "'default', 'berry' or 'air'"
    RATIOS = "a mapping of names to numbers from 0"


_NAMES = {
    Kind.SWITCH: """
        SelfUseModeEnabled performance_setting.monitor_enabled global.pass_through_request_enabled
        PasswordLoginEnabled PasswordRegisterEnabled RegisterEnabled EmailVerificationEnabled GitHubOAuthEnabled
        OidcEnabled WeChatAuthEnabled TurnstileCheckEnabled EmailDomainRestrictionEnabled
        AutomaticDisableChannelEnabled AutomaticEnableChannelEnabled ApproximateTokenEnabled LogConsumeEnabled
        DisplayInCurrencyEnabled DisplayTokenStatEnabled
    """,
    Kind.WHOLE: """
        RetryTimes QuotaForNewUser QuotaForInviter QuotaForInvitee QuotaRemindThreshold PreConsumedQuota SMTPPort
        token_setting.max_user_tokens
    """,
    Kind.NUMBER: "QuotaPerUnit ChannelDisableThreshold",
    Kind.RATIOS: "ModelRatio CompletionRatio GroupRatio ModelPrice CacheRatio",
    Kind.THEME: "Theme",
    Kind.TEXT: """
        SystemName ServerAddress Footer Notice About HomePageContent Logo TopUpLink ChatLink EmailDomainWhitelist
        SMTPServer SMTPFrom SMTPAccount GitHubClientId LarkClientId OidcClientId OidcWellKnown
        OidcAuthorizationEndpoint OidcTokenEndpoint OidcUserinfoEndpoint WeChatServerAddress
        WeChatAccountQRCodeImageURL MessagePusherAddress TurnstileSiteKey AutomaticDisableStatusCodes
        AutomaticRetryStatusCodes
    """,
}
KINDS: Mapping[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""All options of One API v0.6.10 and v0.6.11-preview that it shows again (`model/option.go`), and so can be compared;
and those of new-api that a private gateway has a use for."""
OF_NEW_API = frozenset(
    {
        "SelfUseModeEnabled",
        "performance_setting.monitor_enabled",
        "global.pass_through_request_enabled",
        "token_setting.max_user_tokens",
        "ModelPrice",
        "CacheRatio",
        "AutomaticDisableStatusCodes",
        "AutomaticRetryStatusCodes",
    }
)
"""What One API has not."""
OF_ONE_API = frozenset(
    {
        "ApproximateTokenEnabled",
        "Theme",
        "ChatLink",
        "LarkClientId",
        "MessagePusherAddress",
        "TurnstileSiteKey",
        "OidcEnabled",
        "OidcClientId",
        "OidcWellKnown",
        "OidcAuthorizationEndpoint",
        "OidcTokenEndpoint",
        "OidcUserinfoEndpoint",
    }
)
"""What new-api has not, or does not heed."""

CLOSING = frozenset({"RegisterEnabled", "PasswordRegisterEnabled"})
"""Options that close the gateway to strangers when they are false."""
_THEMES = ("default", "berry", "air")
_LOCKED_OUT = "option PasswordLoginEnabled must not be False: nobody could log in to the admin page any more"


def is_secret(name: str) -> bool:
    """Whether an option's value must never be shown. One API hides those that end so, but not TurnstileSecretKey."""
    return name.endswith(("Token", "Secret", "SecretKey"))


def option_text(name: str, value: object) -> str:
    """Return the text that One API is to keep of an option.

    Args:
        name: such as ``RetryTimes``.
        value: of the kind that `KINDS` gives it. Ratios are those that are declared: `merged` adds the rest.

    Raises:
        Invalid: no such option (it names the nearest one), or a value that it cannot have.
    """
    kind = _kind(name)
    if kind is Kind.SWITCH:
        value = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    text = _WRITERS[kind](value)
    if text is None:
        raise Invalid(f"option {name} must be {kind.value}, not {value!r}")
    if name == "PasswordLoginEnabled" and text != "true":
        raise Invalid(_LOCKED_OUT)
    return text


def option_value(name: str, text: str) -> object:
    """Return what a person would declare to get this text of One API's; the inverse of `option_text`.

    Raises:
        Invalid: no such option, or a text that One API itself would misread.
    """
    kind = _kind(name)
    readers: Mapping[Kind, Any] = {
        Kind.SWITCH: {"true": True, "false": False}.get,
        Kind.WHOLE: int,
        Kind.NUMBER: _plain_number,
        Kind.RATIOS: json.loads,
    }
    try:
        value: object = readers.get(kind, str)(text)
    except (ValueError, RecursionError):
        value = None
    option_text(name, value)
    return value


def ratios(text: str) -> dict[str, float]:
    """Return the numbers in an option of ratios; none where the text is broken, as One API then has none."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: number for name, number in pairs if same_number(number, number)}


def merged(name: str, declared: str, actual: str) -> str:
    """Return the text to write: declared ratios among the ones that are there, all else as declared."""
    if _kind(name) is not Kind.RATIOS:
        return declared
    return _dumped({**ratios(actual), **ratios(declared)})


def is_same(name: str, declared: str, actual: str | None) -> bool:
    """Whether what One API has is in effect what is declared: ``0.50`` is ``0.5``, other ratios are let be."""
    kind = _kind(name)
    if actual is None:
        return False
    if kind is Kind.RATIOS:
        there = ratios(actual)
        return all(same_number(there.get(key), value) for key, value in ratios(declared).items())
    if kind in (Kind.WHOLE, Kind.NUMBER):
        return same_number(_number_in(actual), _number_in(declared))
    return actual == declared


def same_number(one: object, other: object) -> bool:
    """Whether both are numbers, and the same one."""
    numbers = (int, float)
    is_bool = isinstance(one, bool) or isinstance(other, bool)
    return isinstance(one, numbers) and isinstance(other, numbers) and not is_bool and one == other


def _kind(name: str) -> Kind:
    if name in KINDS:
        return KINDS[name]
    if is_secret(name):
        raise Invalid(f"option {name} cannot be declared, as it is a secret: set it in the admin page")
    raise Invalid(f"there is no option {name!r}{suggest(name, KINDS)}")


def _switch(value: object) -> str | None:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else None


def _whole(value: object) -> str | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value in values.INT64
    return str(value) if is_whole else None


def _number(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        return None
    return _plain(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _theme(value: object) -> str | None:
    return value if isinstance(value, str) and value in _THEMES else None


def _ratios(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    for name, number in value.items():
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not isinstance(name, str) or not name.strip() or not is_number or not 0 <= number < math.inf:
            return None
    return _dumped(value)


def _dumped(value: Mapping[str, float]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: float) -> str:
    """Without an exponent and without zeros behind the point, as Go writes it."""
    text = format(Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain_number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _number_in(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_WRITERS = {
    Kind.SWITCH: _switch,
    Kind.WHOLE: _whole,
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.THEME: _theme,
    Kind.RATIOS: _ratios,
}
