"""What an agent may use in a month, what it has used, and how that is said. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

TOKENS = "tokens"
ALARM, DISABLE = "alarm", "disable"
AT_LIMIT = (ALARM, DISABLE)
NEAR = Decimal("0.8")
"""The part of a budget from which on it is told; files/budgets has it, too."""


@dataclass(frozen=True)
class Budget:
    """What an agent may use in a calendar month.

    Args:
        unit: `TOKENS`, prompt and completion together, or one of `usage.CURRENCIES`.
        limit: so many.
        at_limit: what becomes of its token once that is used up: `ALARM`, nothing but that it is told; `DISABLE`, it is
            switched off until the month is over or the budget is raised.
    """

    unit: str
    limit: Decimal
    at_limit: str = ALARM

    @property
    def is_enforced(self) -> bool:
        """Whether the token is switched off by it."""
        return self.at_limit == DISABLE


@dataclass(frozen=True)
class TokenTable:
    """Where a gateway software keeps its tokens: names of SQL and values, as every store takes them.

    Args:
        table, name, status: the table, and the columns of a token's name and status.
        enabled, used_up: the values of an enabled token, and of one whose quota is used up.
        has_no_quota: which tokens the software itself never marks so.
    """

    table: str
    name: str
    status: str
    enabled: int
    used_up: int
    has_no_quota: str


@dataclass(frozen=True)
class Spent:
    """What an agent has used of its budget; `unpriced`, models whose cost is not known, so that it is not among it."""

    agent: str
    budget: Budget
    used: Decimal
    unpriced: tuple[str, ...] = ()

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.budget.limit

    @property
    def is_near(self) -> bool:
        """Whether so little is left that it is told."""
        return self.used >= NEAR * self.budget.limit

    @property
    def is_refused(self) -> bool:
        """Whether its token is switched off."""
        return self.is_used_up and self.budget.is_enforced

    @property
    def told(self) -> str:
        """Such as "83 % (4,150,000 of 5,000,000 tokens, 850,000 left)"."""
        return f"{self.used * 100 // self.budget.limit} % ({self.share}, {amount(self.left, self.budget.unit)} left)"

    @property
    def left(self) -> Decimal:
        """What it may still use."""
        return max(self.budget.limit - self.used, Decimal())

    @property
    def share(self) -> str:
        """Such as "4,150,000 of 5,000,000 tokens"."""
        unit = self.budget.unit
        return f"{amount(self.used, unit)} of {amount(self.budget.limit, unit)} {unit}"


@dataclass(frozen=True)
class Month:
    """What the host's own look at the budgets found last: budgets.json.

    Args:
        at: when it looked.
        month: such as "2026-12".
        until: its end, in the zone.
        zone: the time zone whose month it is.
        error: what went wrong; "" where nothing did.
    """

    at: datetime
    month: str
    until: datetime | None
    zone: str
    spent: tuple[Spent, ...]
    error: str

    @classmethod
    def parse(cls, text: str) -> Month | None:
        """Read budgets.json; None where there is none that can be read."""
        try:
            found: dict[str, Any] = json.loads(text)
            return cls(
                datetime.strptime(found["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
                str(found["month"]),
                datetime.fromisoformat(found["until"]) if found["until"] else None,
                str(found["zone"]),
                tuple(map(_spent, found["budgets"])),
                str(found["error"]),
            )
        except (ValueError, TypeError, KeyError, DecimalException, RecursionError):
            return None

    @property
    def ends(self) -> str:
        """When the budgets begin anew, such as "2027-01-01 00:00 (Asia/Shanghai)"."""
        return f"{self.until:%Y-%m-%d %H:%M} ({self.zone})" if self.until else "the month is over"

    def of(self, agent: str) -> Spent | None:
        """What that agent has used; None where it has no budget there."""
        return next((each for each in self.spent if each.agent == agent), None)


def _spent(found: dict[str, Any]) -> Spent:
    budget = Budget(str(found["unit"]), Decimal(str(found["limit"])), str(found["at_limit"]))
    if budget.limit <= 0:
        raise ValueError
    names = tuple(bytes.fromhex(name).decode(errors="replace") for name in found["unpriced"])
    return Spent(str(found["agent"]), budget, Decimal(str(found["used"])), names)


def amount(value: Decimal | float, unit: str) -> str:
    """A number of tokens, or of a currency, as people read it."""
    return f"{value:,.0f}" if unit == TOKENS else f"{value:,.2f}"
