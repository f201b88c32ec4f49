"""What an OpenClaw host may use in a month, as it is declared (`openclaw_budget`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from llm_gateway.inputs.declaration_checks import fields_of
from llm_gateway.model.budgets import ALARM, AT_LIMIT, TOKENS, Budget
from llm_gateway.model.checks import InvalidError, one_of, takes
from llm_gateway.model.usage import CURRENCIES

_MOST = 10**15
_UNITS = (TOKENS, *CURRENCIES)


def _tokens(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise InvalidError(f"must be an integer from 1 to {_MOST}")
    return Decimal(value)


def _money(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.01 <= value <= _MOST:
        raise InvalidError(f"must be a number from 0.01 to {_MOST}")
    return Decimal(str(value))


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    TOKENS: _tokens,
    **dict.fromkeys(CURRENCIES, _money),
    "per": one_of("month"),
    "at_limit": one_of(*AT_LIMIT),
}


@takes(
    'a dict such as `{"tokens": 5_000_000, "at_limit": "disable"}`',
    '字典，例如 `{"tokens": 5_000_000, "at_limit": "disable"}`',
    {"tokens": 1},
    {"CNY": 0.5, "per": "month", "at_limit": "disable"},
)
def budget(value: Any) -> Budget:
    """The setting `openclaw_budget`. Raises InvalidError with all that is wrong."""
    checked = fields_of(value, _FIELDS, ())
    units = [unit for unit in _UNITS if unit in checked]
    if len(units) != 1:
        raise InvalidError(f"must have one of {', '.join(_UNITS)}, which says how many a month")
    return Budget(units[0], checked[units[0]], checked.get("at_limit", ALARM))
