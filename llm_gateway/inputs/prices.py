"""What the models cost, as it is declared (`gateway_prices`): all that is wrong is told, never only the first of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from llm_gateway.inputs.declaration_checks import fields_of, model_name
from llm_gateway.model.checks import InvalidError, takes
from llm_gateway.model.suggestion import suggest
from llm_gateway.model.usage import CURRENCIES, Price

_HIGHEST = 1_000_000
_NEEDED = ("model", "currency", "prompt", "completion")


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in CURRENCIES:
        hint = suggest(value, CURRENCIES, cutoff=0.5) if isinstance(value, str) else ""
        raise InvalidError(f"must be {' or '.join(CURRENCIES)}{hint}")
    return value


def _amount(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _HIGHEST:
        raise InvalidError(f"must be a number from 0 to {_HIGHEST}: the price of a million tokens")
    return Decimal(str(value))


def _since(value: Any) -> date:
    try:
        if isinstance(value, str) and len(value) == len("2026-11-01"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidError('must be a day such as "2026-11-01"')


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "model": model_name,
    "currency": _currency,
    "prompt": _amount,
    "completion": _amount,
    "since": _since,
}


@takes("a list of dicts", "字典的列表", ())
def prices(value: Any) -> tuple[Price, ...]:
    """The setting `gateway_prices`. Raises InvalidError with all that is wrong."""
    if not isinstance(value, (list, tuple)):
        raise InvalidError("must be a list of dicts")
    found: list[Price] = []
    problems: list[str] = []
    for place, item in enumerate(value, 1):
        try:
            found.append(Price(**fields_of(item, _FIELDS, _NEEDED)))
        except InvalidError as wrong:
            problems += [f"price {_label(item, place)}: {problem}" for problem in wrong.problems]
    keys = [(each.model, each.since) for each in found]
    for model, since in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        when = f" since {since}" if since else " without `since`"
        problems.append(f"price {model}: there are several{when}; give each a `since` of its own")
    if problems:
        raise InvalidError(*problems)
    return tuple(found)


def _label(item: Any, place: int) -> str:
    """The model, where there is one to be shown; else the place in the list."""
    try:
        return model_name(item.get("model")) if isinstance(item, Mapping) else f"number {place}"
    except InvalidError:
        return f"number {place}"
