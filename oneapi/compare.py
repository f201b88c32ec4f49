"""What is there against what should be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from oneapi.errors import Ambiguous
from oneapi.shapes import Channel
from oneapi.specs import ChannelSpec


class _Named(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def only(items: Iterable[_Item], name: str) -> _Item | None:
    """Return the item named exactly `name`, or None.

    Raises:
        Ambiguous: several have that name, which One API allows.
    """
    found = [item for item in items if item.name == name]
    if len(found) > 1:
        ids = ", ".join(str(item.id) for item in found)
        raise Ambiguous(f"{len(found)} entries are named {name!r} (ids {ids}): keep one of them")
    return found[0] if found else None


def differences(channel: Channel, spec: ChannelSpec) -> list[str]:
    """Say in words in what `channel` differs from `spec`; empty when in nothing.

    The key is not compared: One API lists it blank. Models and groups are compared as sets: their
    order means nothing to its routing.
    """
    found = [
        f"{name}: {old!r}, should be {new!r}"
        for name, old, new in (
            ("name", channel.name, spec.name),
            ("type", channel.type, spec.type),
            ("base_url", channel.base_url, spec.base_url),
            ("model_mapping", dict(channel.model_mapping or {}), dict(spec.model_mapping or {})),
            ("priority", channel.priority, spec.priority),
            ("weight", channel.weight, spec.weight),
            ("status", channel.status, spec.status),
        )
        if old != new
    ]
    return (
        found
        + _set_differences("models", channel.models, spec.models)
        + _set_differences("groups", channel.groups, spec.groups)
    )


def _set_differences(what: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    missing = [name for name in new if name not in old]
    foreign = [name for name in old if name not in new]
    found = []
    if missing:
        found.append(f"{what}: missing {', '.join(map(repr, missing))}")
    if foreign:
        found.append(f"{what}: not declared {', '.join(map(repr, foreign))}")
    return found
