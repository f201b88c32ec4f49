"""Whether a failed try is worth another one, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .deadline import Deadline
from .errors import LLMConfigError, LLMConnectionError, LLMError, LLMProtocolError, LLMStatusError

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


@dataclass(frozen=True)
class Retries:
    """How often a call is tried again.

    Args:
        count: further tries after the first; One API may retry on other channels itself, so keep it small.
        billed: also try again where a completion may have been billed already: the answer had begun and
            broke off, was of no use, or was a 500. Never after a time-out, as no time is left then.
    """

    count: int = 1
    billed: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise LLMConfigError("retries must be a whole number, zero or more")

    def pause(self, error: LLMError, tried: int, deadline: Deadline) -> float | None:
        """Return the seconds to wait before the next try, or None when `error` is the last word.

        Args:
            error: what the latest try ended with.
            tried: tries so far, at least 1.
            deadline: that of the whole call; a pause that it would cut short is not begun.
        """
        if tried > self.count or not self._is_worth_it(error):
            return None
        seconds = error.retry_after
        if seconds is None:
            seconds = min(_FIRST_PAUSE * 2 ** min(tried - 1, 8), _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
        return seconds if seconds < deadline.left() else None

    def _is_worth_it(self, error: LLMError) -> bool:
        return error.retryable or (self.billed and _may_have_been_billed(error))


def _may_have_been_billed(error: LLMError) -> bool:
    if isinstance(error, LLMStatusError):
        return error.status == 500
    if isinstance(error, LLMConnectionError):
        return error.code == "ECONNRESET"
    return isinstance(error, LLMProtocolError) and error.status is not None and error.reason is None
