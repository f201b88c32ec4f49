"""New keys for tokens: the present token goes on working under another name until nobody needs it any more.

One API chooses a token's key and cannot change it, so a new key is a new token. The old one is renamed, as a name that
two tokens have would have to be set right by a person.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from llm_gateway.contents.desired import ASIDE, ASIDE_DIGITS, aside_stem
from llm_gateway.flavours import Token, TokenSpec, only, values

_EARLIEST, _LATEST = 0x6774_8580, 0xF486_5700
"""The years 2025 to 2099: a date that a person has put behind a name (.old-20261122) is not among these times."""


class Tokens(Protocol):
    """What is asked of the admin API here."""

    def create_token(self, spec: TokenSpec) -> Token: ...
    def update_token(self, token: Token, spec: TokenSpec) -> Token: ...


def old_name(name: str, moment: float) -> str:
    """The name of a token's predecessor.

    Parameters: `moment`, when it was replaced, in seconds since 1970.
    """
    return f"{aside_stem(name)}{ASIDE}{int(moment):0{ASIDE_DIGITS}x}"


def old_ones(tokens: Iterable[Token], name: str) -> list[Token]:
    """The predecessors of the token of that name: what rotations have not come to the end of."""
    pattern = re.compile(rf"{re.escape(aside_stem(name) + ASIDE)}([0-9a-f]{{{ASIDE_DIGITS}}})")
    found = ((token, pattern.fullmatch(token.name)) for token in tokens)
    return [token for token, match in found if match and _EARLIEST <= int(match[1], 16) < _LATEST]


def shut_out(tokens: Iterable[Token], name: str) -> Token | None:
    """The token of that name where a person has disabled it: a new one would let its host in again."""
    present = only(tokens, name)
    return present if present is not None and present.status == values.DISABLED else None


def renew(admin: Tokens, tokens: Iterable[Token], spec: TokenSpec, step: Callable[[str], None]) -> Token:
    """Make a new token under a name; the one that has it goes on working under another.

    Parameters: `tokens`, all that are there; `spec`, what the new one is to be; `step`, is told each step before it is
    done.
    Raises AdminError. Cut off between the two steps, nothing has the name: the next run makes it.
    """
    name = spec.name
    present = only(tokens, name)
    if present is not None:
        step(f"setting the token {name} aside: its key goes on working")
        aside = TokenSpec(
            name=old_name(name, time.time()),
            expired_time=present.expired_time,
            quota=present.total_quota,
            models=present.models,
            subnets=present.subnets,
        )
        admin.update_token(present, aside)
    step(f"making a new token {name}")
    return admin.create_token(spec)
