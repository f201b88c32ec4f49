"""What options are before anybody sets them, by the software that has them.

One API's in `common/config/config.go` and `model/option.go`, the same in v0.6.10 and v0.6.11-preview; new-api's as an
empty v1.0.0-rc.15 lists them. Of ratios only the groups': those of models are a price list that grows with every
version.
"""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.flavours.options import KINDS, OF_NEW_API, OF_ONE_API, Kind

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
_ALL: Mapping[str, str] = {
    **{name: "true" if name in _ON else _BY_KIND[kind] for name, kind in KINDS.items() if kind in _BY_KIND},
    **_OTHERS,
}
ONE_API: Mapping[str, str] = {name: text for name, text in _ALL.items() if name not in OF_NEW_API}
NEW_API: Mapping[str, str] = {
    **{name: text for name, text in _ALL.items() if name not in OF_ONE_API},
    "SystemName": "New API",
    "performance_setting.monitor_enabled": "true",
    "token_setting.max_user_tokens": "1000",
    "AutomaticDisableStatusCodes": "401",
    "AutomaticRetryStatusCodes": "100-199,300-399,401-407,409-499,500-503,505-523,525-599",
}
GROUP_RATIOS: Mapping[str, float] = {"default": 1, "vip": 1, "svip": 1}
