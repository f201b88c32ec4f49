"""The options of new-api v1.0.0-rc.15, less those of its shop and its long lists of other people's models."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from ..database import Database
from ..options import Options as BaseOptions
from ..options import check_ratios
from ..schema import OPTIONS
from . import NAME

SELF_USE_RATIO = 37.5
"""What a token of a model without a price costs in self-use mode."""
_BY_VALUE = {
    "": (
        "About CustomCallbackAddress Footer GitHubClientId HomePageContent Logo Notice SMTPAccount SMTPFrom SMTPServer"
        " ServerAddress TelegramBotName TopUpLink WeChatAccountQRCodeImageURL WeChatServerAddress WorkerUrl"
        " console_setting.announcements console_setting.api_info console_setting.faq discord.client_id"
        " legal.privacy_policy legal.user_agreement oidc.authorization_endpoint oidc.client_id oidc.token_endpoint"
        " oidc.user_info_endpoint oidc.well_known passkey.origins passkey.rp_id performance_setting.disk_cache_path"
    ),
    "false": (
        "AutomaticDisableChannelEnabled AutomaticEnableChannelEnabled DefaultCollapseSidebar DefaultUseAutoGroup"
        " DemoSiteEnabled EmailAliasRestrictionEnabled EmailDomainRestrictionEnabled EmailVerificationEnabled"
        " ExposeRatioEnabled GitHubOAuthEnabled LinuxDOOAuthEnabled ModelRequestRateLimitEnabled SMTPForceAuthLogin"
        " SMTPInsecureSkipVerify SMTPSSLEnabled SMTPStartTLSEnabled SelfUseModeEnabled TelegramOAuthEnabled"
        " TurnstileCheckEnabled WeChatAuthEnabled WorkerAllowHttpImageRequestEnabled checkin_setting.enabled"
        " discord.enabled fetch_setting.allow_private_ip fetch_setting.domain_filter_mode fetch_setting.ip_filter_mode"
        " gemini.thinking_adapter_enabled general_setting.ping_interval_enabled global.pass_through_request_enabled"
        " monitor_setting.auto_test_channel_enabled oidc.enabled passkey.allow_insecure_origin passkey.enabled"
        " payment_setting.compliance_confirmed performance_setting.disk_cache_enabled"
    ),
    "true": (
        "CheckSensitiveEnabled CheckSensitiveOnPromptEnabled DataExportEnabled DisplayInCurrencyEnabled"
        " DisplayTokenStatEnabled DrawingEnabled LogConsumeEnabled PasswordLoginEnabled PasswordRegisterEnabled"
        " RegisterEnabled StopOnSensitiveEnabled TaskEnabled channel_affinity_setting.enabled"
        " claude.thinking_adapter_enabled fetch_setting.apply_ip_filter_for_domain fetch_setting.enable_ssrf_protection"
        " grok.violation_deduction_enabled perf_metrics_setting.enabled performance_setting.monitor_enabled"
        " quota_setting.enable_free_model_pre_consume"
    ),
    "0": (
        "ModelRequestRateLimitCount QuotaForInvitee QuotaForInviter QuotaForNewUser RetryTimes StreamCacheQueueLength"
        " perf_metrics_setting.retention_days"
    ),
    "1": "ModelRequestRateLimitDurationMinutes general_setting.custom_currency_exchange_rate",
    "5": "ChannelDisableThreshold DataExportInterval perf_metrics_setting.flush_interval",
    "90": "performance_setting.monitor_cpu_threshold performance_setting.monitor_memory_threshold",
    "1000": (
        "ModelRequestRateLimitSuccessCount QuotaRemindThreshold checkin_setting.min_quota token_setting.max_user_tokens"
    ),
    "7.3": "Price USDExchangeRate",
    "hour": "DataExportDefaultTime perf_metrics_setting.bucket_time",
    "{}": "ModelRequestRateLimitGroup billing_setting.billing_expr billing_setting.billing_mode",
    '{"default":1,"svip":1,"vip":1}': "GroupRatio TopupGroupRatio group_ratio_setting.group_ratio",
    '{"vip":{"edit_this":0.9}}': "GroupGroupRatio group_ratio_setting.group_group_ratio",
    "[]": "fetch_setting.domain_list fetch_setting.ip_list",
}
_RATIOS = {
    "deepseek-chat": 0.135,
    "glm-4": 7.143,
    "gpt-3.5-turbo": 0.25,
    "gpt-4": 15,
    "gpt-4o": 1.25,
    "gpt-4o-mini": 0.075,
    "qwen-plus": 10,
    "qwen-turbo": 0.8572,
    "text-embedding-3-small": 0.01,
    "text-embedding-ada-002": 0.05,
    "text-embedding-v1": 0.05,
}
DEFAULTS: Mapping[str, str] = {
    **{name: value for value, names in _BY_VALUE.items() for name in names.split()},
    "AutoGroups": '["default"]',
    "AutomaticDisableKeywords": "Your credit balance is too low\nYou exceeded your current quota\nPermission denied",
    "AutomaticDisableStatusCodes": "401",
    "AutomaticRetryStatusCodes": "100-199,300-399,401-407,409-499,500-503,505-523,525-599",
    "CacheRatio": '{"gpt-4o":0.5,"gpt-4o-mini":0.5}',
    "CompletionRatio": "{}",
    "CreateCacheRatio": "{}",
    "EmailDomainWhitelist": "gmail.com,163.com,126.com,qq.com,outlook.com,hotmail.com,icloud.com,yahoo.com,foxmail.com",
    "ModelPrice": '{"dall-e-3":0.04,"gpt-4o-mini-tts":0.3}',
    "ModelRatio": json.dumps(_RATIOS, separators=(",", ":")),
    "PreConsumedQuota": "500",
    "QuotaPerUnit": "500000",
    "SMTPPort": "587",
    "SensitiveWords": "test_sensitive",
    "SystemName": NAME,
    "UserUsableGroups": '{"default":"默认分组","vip":"vip分组"}',
    "fetch_setting.allowed_ports": '["80","443","8080","8443"]',
    "general_setting.custom_currency_symbol": "¤",
    "general_setting.docs_link": "https://docs.newapi.pro",
    "general_setting.ping_interval_seconds": "60",
    "general_setting.quota_display_type": "USD",
    "monitor_setting.auto_test_channel_minutes": "10",
    "passkey.rp_display_name": "New API",
    "performance_setting.disk_cache_max_size_mb": "1024",
    "performance_setting.monitor_disk_threshold": "95",
    "theme.frontend": "classic",
}
_HIDDEN = ("Token", "Secret", "Key", "secret", "api_key")
_RATIO_TABLES = frozenset(("ModelRatio", "ModelPrice", "CompletionRatio", "CacheRatio", "GroupRatio"))
_STATUS_CODES = ("AutomaticDisableStatusCodes", "AutomaticRetryStatusCodes")


class Options(BaseOptions):
    """The option map, read anew from the database every so many seconds, as new-api does."""

    def __init__(self, database: Database, sync_seconds: int) -> None:
        super().__init__(database, DEFAULTS)
        self._sync_seconds = sync_seconds
        self._read_at = time.monotonic()

    def refresh(self) -> None:
        """Take over what somebody else has written, once it is due."""
        if time.monotonic() - self._read_at < self._sync_seconds:
            return
        self._read_at = time.monotonic()
        for row in self._database.rows(OPTIONS):
            self.values[row["key"]] = row["value"]

    def put(self, key: str, value: str) -> None:
        """Store an option, an unknown one too.

        Raises ValueError for ratios or status codes that are none; of the first, those of groups alone are not stored.
        """
        if key == "GroupRatio":
            check_ratios(value)
            for group, ratio in json.loads(value).items():
                if ratio < 0:
                    raise ValueError(f"group ratio must be not less than 0: {group}")
        if key in _STATUS_CODES:
            _ranges(value)
        super().put(key, value)
        if key in _RATIO_TABLES:
            check_ratios(value)

    def listed(self) -> list[dict[str, str]]:
        """Every option but the secret ones."""
        return [{"key": key, "value": value} for key, value in self.values.items() if not key.endswith(_HIDDEN)]

    def table(self, option: str) -> dict[str, Any]:
        """One of the JSON options; empty where it cannot be read."""
        try:
            found = json.loads(self.values.get(option) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def price(self, model: str) -> tuple[float, float] | None:
        """What a call costs in dollars (or -1) and what a token costs; None for a model without a price."""
        if model in (prices := self.table("ModelPrice")):
            return float(prices[model]), 0
        ratios = self.table("ModelRatio")
        if model in ratios:
            return -1, float(ratios[model])
        return (-1, SELF_USE_RATIO) if self.on("SelfUseModeEnabled") else None

    def covers(self, option: str, status: int) -> bool:
        """Whether an option's codes and ranges of codes hold a status."""
        return any(first <= status <= last for first, last in _ranges(self.values[option]))


def _ranges(text: str) -> list[tuple[int, int]]:
    """Raises ValueError, in new-api's words, for what are no codes and ranges of codes."""
    parts = [re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", part.strip()) for part in text.split(",") if part.strip()]
    found = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if len(found) < len(parts) or any(first > last for first, last in found):
        raise ValueError(f"invalid http status code rules: {text}")
    return found
