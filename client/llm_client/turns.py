"""Which of several gateways a call asks next, and when."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from .deadline import Deadline
from .errors import BEFORE, LLMError
from .redact import Redactor
from .retries import Retries

_LAST_SECONDS = 30.0
"""So long a gateway that failed comes behind the others: a dead host must not cost each call the wait for it."""
_CONNECT_SECONDS = 4.0
"""For a connection while another gateway can be asked; TCP itself tries anew after 1 s and 3 s."""

_log = logging.getLogger("llm_client")


class Order:
    """The order in which the calls of one client ask its gateways: as given, but for those that failed just now.

    Attributes:
        bases: their addresses.
        answered_by: the address that gave the latest answer; None until then.
    """

    def __init__(self, bases: Sequence[str], redactor: Redactor) -> None:
        self.bases = bases
        self.redactor = redactor
        self.answered_by: str | None = None
        self._last_until = [0.0] * len(bases)

    def numbers(self) -> list[int]:
        """Return the numbers of all gateways, the one to ask first in front."""
        if len(self.bases) == 1:
            return [0]
        now = time.monotonic()
        return sorted(range(len(self.bases)), key=lambda number: self._last_until[number] > now)

    def failed(self, number: int) -> None:
        """Put this gateway behind the others for a while."""
        self._last_until[number] = time.monotonic() + _LAST_SECONDS

    def answered(self, number: int) -> None:
        """Put this gateway where it belongs."""
        self._last_until[number] = 0.0
        self.answered_by = self.bases[number]


class Turns:
    """The gateways that one call asks, one at a time, within its deadline.

    One that has carried out nothing gives way to the next at once. Where a call may have been carried out, the next
    one asked is one of the further tries that `Retries` allows. Once all have failed, it is for `Retries` to say
    whether they are asked again.

    Attributes:
        number: the gateway to ask now.
        deadline: that of the whole call.
    """

    __slots__ = ("_failures", "_order", "_retries", "_tried", "_waiting", "deadline", "number")

    def __init__(self, order: Order, retries: Retries, deadline: Deadline) -> None:
        self.deadline = deadline
        self._order = order
        self._retries = retries
        self._tried = 1
        self._failures: dict[str, LLMError] = {}
        self.number, *self._waiting = order.numbers()

    @property
    def base(self) -> str:
        """The address of the gateway to ask now."""
        return self._order.bases[self.number]

    def connecting(self) -> Deadline:
        """Return by when a connection must stand: early enough for the gateways that can be asked yet."""
        if not self._waiting:
            return self.deadline
        left = self.deadline.left()
        return Deadline(min(_CONNECT_SECONDS, left / (len(self._waiting) + 1)))

    def answered(self) -> None:
        """Take note that the gateway asked has answered."""
        self._order.answered(self.number)

    def pause(self, error: LLMError) -> float | None:
        """Choose the gateway for the next try, and return the seconds before it; None when `error` is the last word."""
        error.base_url = self.base
        self._failures[self.base] = error
        if error.gateway_failed is not None:
            self._order.failed(self.number)
            if self._goes_on(error):
                return 0.0
        pause = self._retries.pause(self._best(error), self._tried, self.deadline)
        if pause is None:
            if len(self._failures) > 1:
                error.failures = {base: failed.summary for base, failed in self._failures.items()}
            return None
        self._tried += 1
        if error.gateway_failed is not None:
            self.number, *self._waiting = self._order.numbers()
        return pause

    def _goes_on(self, error: LLMError) -> bool:
        """Whether the next gateway is asked now."""
        if not self._waiting:
            return False
        if error.gateway_failed != BEFORE:
            if self._tried > self._retries.count:
                return False
            self._tried += 1
        failed, self.number = self.base, self._waiting.pop(0)
        said = self._order.redactor.line(error.summary)
        _log.warning("[LLM_Client] %s: %s; asking %s", failed, said, self.base)
        return True

    def _best(self, error: LLMError) -> LLMError:
        """Of the failures of all gateways, one that is worth another try."""
        if error.gateway_failed is None:
            return error
        return next((failed for failed in self._failures.values() if failed.retryable), error)
