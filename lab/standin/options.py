"""The options: defaults of v0.6.10, overlaid by the `options` table."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from . import NAME
from .database import Database
from .envelope import is_kind, kind_of
from .go_words import read_json
from .schema import OPTIONS

UNKNOWN_MODEL_RATIO = 30.0

_RATIOS = {
    "gpt-3.5-turbo": 0.25,
    "gpt-4": 15,
    "gpt-4o": 1.25,
    "gpt-4o-mini": 0.075,
    "text-embedding-3-small": 0.01,
    "text-embedding-ada-002": 0.05,
}
_OFF = (
    "EmailVerificationEnabled GitHubOAuthEnabled OidcEnabled WeChatAuthEnabled TurnstileCheckEnabled"
    " AutomaticDisableChannelEnabled AutomaticEnableChannelEnabled ApproximateTokenEnabled"
    " EmailDomainRestrictionEnabled"
)
_ON = (
    "PasswordLoginEnabled PasswordRegisterEnabled RegisterEnabled LogConsumeEnabled"
    " DisplayInCurrencyEnabled DisplayTokenStatEnabled"
)
_EMPTY = (
    "SMTPServer SMTPFrom SMTPAccount SMTPToken Notice About HomePageContent Footer Logo ServerAddress"
    " GitHubClientId GitHubClientSecret WeChatServerAddress WeChatServerToken"
    " WeChatAccountQRCodeImageURL MessagePusherAddress MessagePusherToken TurnstileSiteKey"
    " TurnstileSecretKey TopUpLink ChatLink"
)
_OTHERS = {
    "SystemName": NAME,
    "SMTPPort": "587",
    "EmailDomainWhitelist": (
        "gmail.com,163.com,126.com,qq.com,outlook.com,hotmail.com,icloud.com,yahoo.com,foxmail.com"
    ),
    "ChannelDisableThreshold": "5",
    "QuotaForNewUser": "0",
    "QuotaForInviter": "0",
    "QuotaForInvitee": "0",
    "QuotaRemindThreshold": "1000",
    "PreConsumedQuota": "500",
    "ModelRatio": json.dumps(_RATIOS),
    "GroupRatio": '{"default":1,"svip":1,"vip":1}',
    "CompletionRatio": "{}",
    "QuotaPerUnit": "500000",
    "RetryTimes": "0",
}

DEFAULTS: Mapping[str, str] = {
    **dict.fromkeys(_OFF.split(), "false"),
    **dict.fromkeys(_ON.split(), "true"),
    **dict.fromkeys(_EMPTY.split(), ""),
    **_OTHERS,
}


_SET = "INSERT INTO options (`key`, `value`) VALUES (?, ?) ON CONFLICT (`key`) DO UPDATE SET `value` = excluded.`value`"


class Options:
    """The option map: every value is a string, kept in memory and in the database."""

    def __init__(self, database: Database, defaults: Mapping[str, str]) -> None:
        self._database = database
        self.values = dict(defaults)
        for row in database.rows(OPTIONS):
            self.values[row["key"]] = row["value"]

    def put(self, key: str, value: str) -> None:
        """Store an option, an unknown one too. Where the database refuses it, it is in memory alone, without a word.

        Raises ValueError where ratios are no JSON object of numbers; they are stored even so, as in One API.
        """
        # model/option.go, UpdateOption looks at no error of the database.
        with contextlib.suppress(sqlite3.Error):
            self._database.execute(_SET, (key, value))
        self.values[key] = value
        if key.endswith("Ratio"):
            check_ratios(value)

    def on(self, key: str) -> bool:
        return self.values.get(key) == "true"

    def number(self, key: str) -> int:
        """A whole number; 0 where the stored text is none."""
        try:
            return int(self.values.get(key, ""))
        except ValueError:
            return 0

    def decimal(self, key: str) -> float:
        """A number; 0 where the stored text is none. A whole one is given as such, as Go's JSON writes it."""
        try:
            number = float(self.values.get(key, ""))
        except ValueError:
            return 0
        return int(number) if number.is_integer() else number

    def listed(self) -> list[dict[str, str]]:
        """Every option but the secret ones."""
        return [
            {"key": key, "value": value} for key, value in self.values.items() if not key.endswith(("Token", "Secret"))
        ]

    def ratio(self, option: str, name: str, default: float) -> float:
        """The factor for `name` in one of the JSON options."""
        try:
            table: Any = json.loads(self.values.get(option) or "{}")
            return float(table.get(name, default))
        except (ValueError, AttributeError, TypeError):
            return default


def check_ratios(text: str) -> None:
    """Raises ValueError in Go's words; null is no number to Go, and no failure either."""
    table = read_json(text)
    if not isinstance(table, dict | None):
        raise ValueError(f"json: cannot unmarshal {kind_of(table)} into Go value of type map[string]float64")
    for value in (table or {}).values():
        if value is not None and not is_kind(value, "float"):
            raise ValueError(f"json: cannot unmarshal {kind_of(value)} into Go value of type float64")
