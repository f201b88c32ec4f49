"""What One API's options are before anybody sets them (`common/config/config.go`, `model/option.go`).

The same in v0.6.10 and v0.6.11-preview. Of ratios only the groups': those of models are a price list that
grows with every version.
"""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.flavours.options import KINDS, Kind, is_same

_ON = (
    "PasswordLoginEnabled",
    "PasswordRegisterEnabled",
    "RegisterEnabled",
    "LogConsumeEnabled",
    "DisplayInCurrencyEnabled",
    "DisplayTokenStatEnabled",
)
_OTHERS = {
    "SystemName": "One API",
    "EmailDomainWhitelist": (
        "gmail.com,163.com,126.com,qq.com,outlook.com,hotmail.com,icloud.com,yahoo.com,foxmail.com"
    ),
    "RetryTimes": "0",
    "QuotaForNewUser": "0",
    "QuotaForInviter": "0",
    "QuotaForInvitee": "0",
    "QuotaRemindThreshold": "1000",
    "PreConsumedQuota": "500",
    "SMTPPort": "587",
    "QuotaPerUnit": "500000",
    "ChannelDisableThreshold": "5",
    "Theme": "default",
}
_BY_KIND = {Kind.SWITCH: "false", Kind.TEXT: ""}
DEFAULTS: Mapping[str, str] = {
    **{name: "true" if name in _ON else _BY_KIND[kind] for name, kind in KINDS.items() if kind in _BY_KIND},
    **_OTHERS,
}
GROUP_RATIOS: Mapping[str, float] = {"default": 1, "vip": 1, "svip": 1}


def is_default(name: str, text: str) -> bool:
    """Whether the text of an option is in effect its default; False for ratios, whose default is not known."""
    return name in DEFAULTS and is_same(name, DEFAULTS[name], text)
