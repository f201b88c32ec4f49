"""Quota: what is taken before a request, what after, and the log row of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .database import Row
from .errors import RelayError
from .options import UNKNOWN_MODEL_RATIO
from .relay_auth import Caller
from .schema import LOGS, TOKENS, USERS

if TYPE_CHECKING:
    from .app import App

CONSUME = 2
TOKENS_PER_CHARACTER = 0.38  # One API's own approximation; the stand-in has no encoder


def count_tokens(text: str) -> int:
    """Roughly how many tokens a text has."""
    return int(len(text) * TOKENS_PER_CHARACTER)


@dataclass
class Bill:
    """The account of one attempt at one channel."""

    app: App
    caller: Caller
    channel: Row
    model: str
    prompt_tokens: int
    taken: int = 0

    @property
    def model_ratio(self) -> float:
        return self.app.options.ratio("ModelRatio", self.model, UNKNOWN_MODEL_RATIO)

    @property
    def group_ratio(self) -> float:
        return self.app.options.ratio("GroupRatio", self.caller.user["group"], 1)

    def take_beforehand(self, max_tokens: int) -> None:
        """Refuse a user whose quota is too low; take quota beforehand from one who has little.

        Raises RelayError (403).
        """
        tokens = self.app.options.number("PreConsumedQuota") + self.prompt_tokens + max_tokens
        wanted = int(tokens * self.model_ratio * self.group_ratio)
        user = self.app.database.first(USERS, "id = ?", (self.caller.user["id"],))
        if user["quota"] < wanted:
            raise RelayError(403, "user quota is not enough", "insufficient_user_quota")
        if user["quota"] > 100 * wanted:
            return
        token = self.caller.token
        if not token["unlimited_quota"] and token["remain_quota"] < wanted:
            raise RelayError(403, "令牌额度不足", "pre_consume_token_quota_failed")
        self.taken = wanted
        self._move(wanted)

    def give_back(self) -> None:
        """Return what was taken beforehand, behind the answer."""
        if self.taken:
            self.app.background(lambda: self._move(-self.taken))

    def settle(self, usage: dict[str, Any]) -> None:
        """Charge a usage and write the log row, both behind the answer."""
        prompt, completion = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        self.app.background(lambda: self._settle(prompt, completion))

    def _settle(self, prompt: int, completion: int) -> None:
        completion_ratio = self.app.options.ratio("CompletionRatio", self.model, 1)
        ratio = self.model_ratio * self.group_ratio
        quota = math.ceil((prompt + completion * completion_ratio) * ratio)
        quota = max(quota, 1) if ratio else quota
        if not prompt + completion:
            quota = 0
        self._move(quota - self.taken)
        content = f"模型倍率 {self.model_ratio:.2f}，分组倍率 {self.group_ratio:.2f}，补全倍率 {completion_ratio:.2f}"
        self._record(prompt, completion, quota, content)
        database = self.app.database
        database.execute(
            "UPDATE users SET used_quota = used_quota + ?, request_count = request_count + 1 WHERE id = ?",
            (quota, self.caller.user["id"]),
        )
        database.execute("UPDATE channels SET used_quota = used_quota + ? WHERE id = ?", (quota, self.channel["id"]))

    def _record(self, prompt: int, completion: int, quota: int, content: str) -> None:
        token_name = self.caller.token["name"]
        self.app.log.info(
            "",
            f"record consume log: userId={self.caller.user['id']}, channelId={self.channel['id']},"
            f" promptTokens={prompt}, completionTokens={completion}, modelName={self.model},"
            f" tokenName={token_name}, quota={quota}, content={content}",
        )
        if not self.app.options.on("LogConsumeEnabled"):
            return
        row = {
            "user_id": self.caller.user["id"],
            "created_at": int(time.time()),
            "type": CONSUME,
            "content": content,
            "username": self.caller.user["username"],
            "token_name": token_name,
            "model_name": self.model,
            "quota": quota,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "channel": self.channel["id"],
        }
        self.app.database.insert(LOGS, row)

    def _move(self, quota: int) -> None:
        """Take quota from the user, and from the token unless it is unlimited."""
        database = self.app.database
        database.execute("UPDATE users SET quota = quota - ? WHERE id = ?", (quota, self.caller.user["id"]))
        token_id = self.caller.token["id"]
        if not database.first(TOKENS, "id = ?", (token_id,))["unlimited_quota"]:
            database.execute(
                "UPDATE tokens SET remain_quota = remain_quota - ?, used_quota = used_quota + ?,"
                " accessed_time = ? WHERE id = ?",
                (quota, quota, int(time.time()), token_id),
            )
