"""Quota: what is taken before a request, what after, and the log row of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..database import Row
from ..go_structs import through_map
from ..web import Request
from .errors import RelayError
from .relay_auth import Caller
from .schema import LOGS, USERS

if TYPE_CHECKING:
    from .app import App

CONSUME = 2
TRUSTED_DOLLARS = 10
"""Whoever has more than this pays afterwards."""
CONVERSIONS = {
    "/v1/embeddings": ["embedding"],
    "/v1/responses": ["OpenAI Responses"],
    "/v1/messages": ["Claude Messages", "OpenAI Compatible"],
}
PRICE_MISSING = (
    "模型 {0} 的价格未配置。请前往「系统设置 → 运营设置」开启自用模式，"
    "或在「系统设置 → 分组与模型定价设置」中为该模型配置价格；"
    "Model {0} price not configured. Go to System Settings → Operation Settings to enable self-use mode, or configure"
    " the model price in System Settings → Group & Model Pricing."
)


@dataclass
class Bill:
    """The account of one request, whichever channel serves it in the end.

    Raises RelayError (400) where the model has no price.
    """

    app: App
    request: Request
    caller: Caller
    model: str
    is_stream: bool
    prompt_tokens: int = 0
    taken: int = 0
    tried: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        price = self.app.options.price(self.model)
        if price is None:
            raise RelayError(400, PRICE_MISSING.format(self.model), "model_price_error")
        self.price, self.model_ratio = price
        self.group_ratio = self.app.options.ratio("GroupRatio", self.caller.group, 1)
        self.per_dollar = max(self.app.options.number("QuotaPerUnit"), 1)

    def take_beforehand(self, max_tokens: int) -> None:
        """Refuse a user or a token with too little; take quota beforehand from one who has little.

        Raises RelayError (403).
        """
        tokens = max(self.prompt_tokens, self.app.options.number("PreConsumedQuota")) + max_tokens
        wanted = int(self._quota(tokens))
        has = int(self.app.database.first(USERS, "id = ?", (self.caller.user["id"],))["quota"])
        if has <= 0:
            raise self._poor(f"用户额度不足, 剩余额度: {self._dollars(has)}")
        if has < wanted:
            raise self._poor(
                f"预扣费额度失败, 用户剩余额度: {self._dollars(has)}, 需要预扣费额度: {self._dollars(wanted)}"
            )
        token = self.caller.token
        trusted = TRUSTED_DOLLARS * self.per_dollar
        if has > trusted and (token["unlimited_quota"] or token["remain_quota"] > trusted):
            return
        if not token["unlimited_quota"] and token["remain_quota"] < wanted:
            remain = self._dollars(token["remain_quota"])
            message = f"token quota is not enough, token remain quota: {remain}, need quota: {self._dollars(wanted)}"
            raise RelayError(403, message, "pre_consume_token_quota_failed", is_final=True)
        self.taken = wanted
        self._move(wanted)

    def _poor(self, message: str) -> RelayError:
        return RelayError(403, message, "insufficient_user_quota", is_final=True)

    def _dollars(self, quota: int) -> str:
        return f"＄{quota / self.per_dollar:.6f}"

    def _quota(self, tokens: float) -> float:
        if self.price >= 0:
            return self.price * self.per_dollar * self.group_ratio
        return tokens * self.model_ratio * self.group_ratio

    def give_back(self) -> None:
        """Return what was taken beforehand."""
        if self.taken:
            self._move(-self.taken)

    def settle(self, channel: Row, prompt: int, completion: int) -> None:
        """Charge a usage and write the log row. Unlimited tokens are counted, too: what remains becomes negative."""
        quota = self._cost(prompt, completion)
        execute, user = self.app.database.execute, self.caller.user["id"]
        used = "UPDATE users SET used_quota = used_quota + ?, request_count = request_count + 1 WHERE id = ?"
        steps: tuple[Callable[[], object], ...] = (
            lambda: self._move(quota - self.taken),
            lambda: execute(used, (quota, user)),
            lambda: execute("UPDATE channels SET used_quota = used_quota + ? WHERE id = ?", (quota, channel["id"])),
            lambda: self.record(channel, prompt, completion),
        )
        for step in steps:  # each by itself, as in new-api: what a busy database refuses is lost, and the answer is not
            try:
                step()
            except sqlite3.Error as error:
                self.app.log.system_error(f"failed to charge request {self.request.request_id}: {error}")

    @property
    def _completion_ratio(self) -> float:
        return self.app.options.ratio("CompletionRatio", self.model, 1)

    def _cost(self, prompt: int, completion: int) -> int:
        tokens = prompt + completion * self._completion_ratio
        return int(self._quota(tokens) + 0.5) if tokens else 0

    def record(self, channel: Row, prompt: int, completion: int, content: str = "") -> None:
        """Write the log row of a usage; a call that is not a token's, such as a test of a channel, is one, too."""
        if not self.app.options.on("LogConsumeEnabled"):
            return
        by_call = self.price >= 0
        other: dict[str, Any] = {
            "admin_info": {"use_channel": self.tried or None},
            **({"billing_source": "wallet"} if self.caller.token["id"] else {}),
            "cache_ratio": 0 if by_call else 1,
            "cache_tokens": 0,
            "completion_ratio": 0 if by_call else self._completion_ratio,
            "frt": -1000,
            "group_ratio": self.group_ratio,
            "model_price": self.price,
            "model_ratio": self.model_ratio,
            "request_conversion": CONVERSIONS.get(self.request.path, ["OpenAI Compatible"]),
            "request_path": self.request.path,
            "user_group_ratio": -1,
        }
        row = {
            "user_id": self.caller.user["id"],
            "created_at": self.app.now(),
            "type": CONSUME,
            "content": content,
            "username": self.caller.user["username"],
            "token_name": self.caller.token["name"],
            "model_name": self.model,
            "quota": self._cost(prompt, completion),
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "use_time": int(time.monotonic() - self.started),
            "is_stream": self.is_stream,
            "channel": channel["id"],
            "token_id": self.caller.token["id"],
            "group": self.caller.group,
            "request_id": self.request.request_id,
            "other": json.dumps(through_map(other), separators=(",", ":")),
        }
        self.app.database.insert(LOGS, row)

    def _move(self, quota: int) -> None:
        execute = self.app.database.execute
        execute("UPDATE users SET quota = quota - ? WHERE id = ?", (quota, self.caller.user["id"]))
        execute(
            "UPDATE tokens SET remain_quota = remain_quota - ?, used_quota = used_quota + ?, accessed_time = ?"
            " WHERE id = ?",
            (quota, quota, self.app.now(), self.caller.token["id"]),
        )
