"""One change of a plan: what a person reads of it, and what it takes to carry it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llm_gateway.flavours.shapes import Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec

Sign = Literal["+", "~", "-"]
Kind = Literal["channel", "token", "option"]


@dataclass(frozen=True)
class Work:
    """What carrying out a change needs; it may hold keys, so it is never shown.

    Args:
        id: of the channel or token that is there.
        channel: what the channel is to be; its key is empty where it is to keep the one it has.
        spec: what the token is to be.
        token: the token that is there.
        is_rewritten: whether more than the token's status is to change.
        status: what the token's status is to become.
        text: what the option is to be.
    """

    id: int = 0
    channel: ChannelSpec | None = None
    spec: TokenSpec | None = None
    token: Token | None = None
    is_rewritten: bool = False
    status: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Change:
    """A line of a plan.

    Args:
        sign: ``+`` to make, ``~`` to change, ``-`` to remove.
        kind: of what.
        name: of it.
        details: what changes in it, in words; no key or other secret is among them.
        work: for `carry_out`.
    """

    sign: Sign
    kind: Kind
    name: str
    details: tuple[str, ...] = ()
    work: Work = field(default_factory=Work, repr=False)

    def __str__(self) -> str:
        details = f": {', '.join(self.details)}" if self.details else ""
        return f"{self.sign} {self.kind} {self.name}{details}"

    def as_json(self) -> dict[str, object]:
        """The same for a program: sign, kind, name, and details as a list."""
        return {"sign": self.sign, "kind": self.kind, "name": self.name, "details": list(self.details)}
