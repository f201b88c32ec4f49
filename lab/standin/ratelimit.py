"""Limits per client address, in memory."""

from __future__ import annotations

import threading
import time
from collections import deque


class RateLimiter:
    """Allows so many requests in so many seconds; a key is a mark and a client address."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[int]] = {}
        self._guard = threading.Lock()

    def allow(self, mark: str, address: str, limit: int, seconds: int) -> bool:
        """Whether one more request may pass; `limit` 0 lets everything pass. Refused ones do not count."""
        if limit == 0:
            return True
        now = int(time.time())
        with self._guard:
            times = self._seen.setdefault(mark + address, deque())
            if len(times) >= limit:
                if now - times[0] < seconds:
                    return False
                times.popleft()
            times.append(now)
            return True
