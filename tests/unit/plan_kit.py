"""What the tests of plans need: short ways to declare, to look, and to carry out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llm_gateway.flavours import Actual, Change, Channel, ChannelSpec, Declared, Ours, Token, TokenSpec, carry_out, plan
from llm_gateway.flavours.oneapi import AdminClient, wire

URL = "http://127.0.0.1:9"
NOW = 1_800_000_000
Look = Callable[[], None]


def channel_spec(name: str, *models: str, **more: Any) -> ChannelSpec:
    given = {"type": 1, "base_url": URL, "key": f"sk-{name}-secret", **more}
    return ChannelSpec(name=name, models=models or ("m",), **given)


def channel(number: int, name: str, *models: str, **more: Any) -> Channel:
    """A channel that is there, the same as `channel_spec` of these arguments declares."""
    spec = channel_spec(name, *models)
    row = {"id": number, **wire.channel_fields(spec, with_key=False), "created_time": 1, **more}
    return wire.read_channel(row)


def token(number: int, name: str, **more: Any) -> Token:
    row = {"id": number, "key": "k" * 48, "status": 1, "used_quota": 0, **wire.token_fields(TokenSpec(name)), **more}
    return wire.read_token(row)


def actual(channels: Iterable[Channel] = (), tokens: Iterable[Token] = (), **options: str) -> Actual:
    return Actual(tuple(channels), tuple(tokens), options)


def planned(declared: Declared, there: Actual, **more: Any) -> list[Change]:
    given = {"ours": Ours(), "rotated": frozenset(), "prune": False, "now": NOW, **more}
    return plan(declared, there, **given)


def said(declared: Declared, there: Actual, **more: Any) -> list[str]:
    return [str(change) for change in planned(declared, there, **more)]


def look(admin: AdminClient) -> Actual:
    return Actual(admin.channels(), admin.tokens(), admin.options())


def apply(admin: AdminClient, declared: Declared, *, each: Look = lambda: None, **more: Any) -> list[str]:
    """Plan and carry out, call `each` after each change, and give what the plan said."""
    changes = planned(declared, look(admin), **more)
    for change in changes:
        carry_out(change, admin)
        each()
    return [str(change) for change in changes]
