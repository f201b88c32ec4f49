"""What a gateway tells a key of its own use: by OpenAI's old billing API, which One API and new-api have kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNLIMITED = 100_000_000
"""What One API gives as the limit of a key that has none (`controller/billing.go`)."""


@dataclass(frozen=True)
class KeyUsage:
    """What a key has used since it was made, by the gateway's own prices: all models, no month, no tokens.

    Attributes:
        used: in dollars, unless the gateway's operator has it show another unit. One API (v0.6.10) counts nothing for
            a key without a limit, so that this stays 0.
        limit: all that it may ever use; None: no limit.
        expires: seconds since 1970; None: never.
    """

    used: float
    limit: float | None
    expires: int | None

    @classmethod
    def read(cls, subscription: Mapping[str, float], usage: Mapping[str, float]) -> KeyUsage:
        """Put together what both requests gave: limits are in dollars, and use in hundredths of them."""
        limit = subscription["hard_limit_usd"]
        return cls(
            usage["total_usage"] / 100,
            None if limit == UNLIMITED else limit,
            int(subscription["access_until"]) or None,
        )

    @property
    def left(self) -> float | None:
        """What it may still use; None: no limit."""
        return None if self.limit is None else round(self.limit - self.used, 6)

    @property
    def is_counted(self) -> bool:
        """Whether `used` says anything."""
        return self.limit is not None or self.used > 0
