"""Fields of the rows that a gateway lists, by their kind. Each raises KeyError or TypeError where it is another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
Fields = dict[str, Any]


def names(row: Row, field: str) -> tuple[str, ...]:
    """A list with commas; null and the empty text are the empty list."""
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, str):
        raise TypeError(f"{field} is not a string")
    return tuple(name for name in value.split(",") if name)


def flag(row: Row, name: str) -> bool:
    """True or false."""
    value = row[name]
    if not isinstance(value, bool):
        raise TypeError(f"{name} is not a boolean")
    return value


def mapping(text: str) -> dict[str, str] | None:
    """A JSON object in a text; None for none, and for broken JSON, which the gateway itself passes over."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


def text(row: Row, name: str, *, null: str | None = None) -> str:
    """A string; `null` stands for none."""
    value = row.get(name, null) if null is not None else row[name]
    if value is None and null is not None:
        return null
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def whole(row: Row, name: str, *, null: int | None = None) -> int:
    """A whole number; `null` stands for none."""
    value = row.get(name, null) if null is not None else row[name]
    if value is None and null is not None:
        return null
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is not an integer")
    return value
