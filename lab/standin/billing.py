"""Quota: what is taken before a request, what after, and the log row of it."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
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
PROMPT_FORCED = " （注意系统提示词已被重置）"


@dataclass
class Bill:
    """The account of one attempt at one channel."""

    app: App
    caller: Caller
    channel: Row
    model: str
    prompt_tokens: int = 0
    is_prompt_forced: bool = False
    taken: int = 0

    def count(self, text: str) -> int:
        """The tokens of a text, as the model counts them."""
        return self.app.tokens.of_text(text, self.model, self.app.options.on("ApproximateTokenEnabled"))

    @property
    def model_ratio(self) -> float:
        return self.app.options.ratio("ModelRatio", self.model, UNKNOWN_MODEL_RATIO)

    @property
    def group_ratio(self) -> float:
        return self.app.options.ratio("GroupRatio", self.caller.user["group"], 1)

    @property
    def ratio(self) -> float:
        return self.model_ratio * self.group_ratio

    def take_beforehand(self, max_tokens: int) -> None:
        """Refuse a user whose quota is too low; take quota beforehand from one who has little.

        Raises RelayError (403).
        """
        tokens = self.app.options.number("PreConsumedQuota") + self.prompt_tokens + max_tokens
        wanted = int(tokens * self.ratio)
        if self.must_have(wanted) > 100 * wanted:
            return
        token = self.caller.token
        if not token["unlimited_quota"] and token["remain_quota"] < wanted:
            raise RelayError(403, "令牌额度不足", "pre_consume_token_quota_failed")
        self.taken = wanted
        self._move(wanted)

    def must_have(self, wanted: int) -> int:
        """The user's quota. Raises RelayError where it is less than what is wanted, or cannot be read."""
        try:
            quota = int(self.app.database.first(USERS, "id = ?", (self.caller.user["id"],))["quota"])
        except sqlite3.Error as error:
            raise RelayError(500, str(error), "get_user_quota_failed") from None
        if quota < wanted:
            raise RelayError(403, "user quota is not enough", "insufficient_user_quota")
        return quota

    def give_back(self) -> None:
        """Return what was taken beforehand, behind the answer."""
        if self.taken:
            self.app.background(lambda: self._move(-self.taken))

    def settle(self, usage: dict[str, Any]) -> None:
        """Charge a usage and write the log row, both behind the answer."""
        prompt, completion = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        self.app.background(lambda: self._settle(prompt, completion))

    def settle_at(self, quota: int, prompt: int) -> None:
        """Charge what is no text at a price of its own, behind the answer."""
        content = f"模型倍率 {self.model_ratio:.2f}，分组倍率 {self.group_ratio:.2f}"
        self.app.background(lambda: self._charge(prompt, 0, quota, content))

    def _settle(self, prompt: int, completion: int) -> None:
        completion_ratio = self.app.options.ratio("CompletionRatio", self.model, 1)
        quota = math.ceil((prompt + completion * completion_ratio) * self.ratio)
        quota = max(quota, 1) if self.ratio else quota
        if not prompt + completion:
            quota = 0
        content = f"模型倍率 {self.model_ratio:.2f}，分组倍率 {self.group_ratio:.2f}，补全倍率 {completion_ratio:.2f}"
        self._charge(prompt, completion, quota, content + (PROMPT_FORCED if self.is_prompt_forced else ""))

    def _charge(self, prompt: int, completion: int, quota: int, content: str) -> None:
        """Each step by itself, as in One API: where the database refuses one or the token is gone, the rest is done."""
        execute, user, channel = self.app.database.execute, self.caller.user["id"], self.channel["id"]
        used = "UPDATE users SET used_quota = used_quota + ?, request_count = request_count + 1 WHERE id = ?"
        steps: tuple[Callable[[], object], ...] = (
            lambda: self._move(quota - self.taken),
            lambda: self._record(prompt, completion, quota, content),
            lambda: execute(used, (quota, user)),
            lambda: execute("UPDATE channels SET used_quota = used_quota + ? WHERE id = ?", (quota, channel)),
        )
        for step in steps:
            try:
                step()
            except (sqlite3.Error, LookupError) as error:
                self.app.log.system_error(f"failed behind an answer: {error}")

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
        try:
            self.app.database.insert(LOGS, row)
        except sqlite3.Error as error:
            self.app.log.error("", f"failed to record log: {error}")

    def _move(self, quota: int) -> None:
        """Take quota from the user, and from the token unless it is unlimited; from nobody where the token is gone.

        Raises NotFoundError.
        """
        database, token_id = self.app.database, self.caller.token["id"]
        token = database.first(TOKENS, "id = ?", (token_id,))
        database.execute("UPDATE users SET quota = quota - ? WHERE id = ?", (quota, self.caller.user["id"]))
        if not token["unlimited_quota"]:
            database.execute(
                "UPDATE tokens SET remain_quota = remain_quota - ?, used_quota = used_quota + ?,"
                " accessed_time = ? WHERE id = ?",
                (quota, quota, int(time.time()), token_id),
            )
