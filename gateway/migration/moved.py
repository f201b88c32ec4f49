"""What a host is told by files beside its gateway: that it was moved away, or that one is on its way here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import remote
from gateway.installation import MOVED_AWAY, MOVING_IN

if TYPE_CHECKING:
    from gateway.fleet import Member


def away(member: Member) -> str:
    """The path of the file that says that the gateway was moved away."""
    return f"{member.directory}/{MOVED_AWAY}"


def arriving(member: Member) -> str:
    """The path of the file that says that one is on its way here."""
    return f"{member.directory}/{MOVING_IN}"


def serves_on(member: Member) -> str:
    """The host that the gateway was moved to, "" where it was not. Raises RemoteError."""
    return _first_word(member, away(member))


def arrives_from(member: Member) -> str:
    """The host whose gateway is on its way here, "" where none is. Raises RemoteError."""
    return _first_word(member, arriving(member))


def problems(member: Member) -> Iterator[str]:
    """Why a host that has moved its gateway, or has not got it yet, is not to be deployed. Raises RemoteError."""
    if not member.is_gateway:
        return
    if target := serves_on(member):
        yield (
            f"its gateway was moved to {target}, and is stopped here for good: take this host out of the group"
            f" `gateways`. To go back to the database of that day, remove {away(member)} on it"
        )
    if origin := arrives_from(member):
        yield (
            f"the gateway of {origin} is on its way here, and has not arrived: run deploys/migrate.py --data"
            f" source={origin} again, which goes on with it. To give that up, remove {arriving(member)} on this host"
        )


def _first_word(member: Member, path: str) -> str:
    if member.state.file(path) is None:
        return ""
    lines = remote.run(member.host, f"cat {shlex.quote(path)}")
    return " ".join(lines).split(maxsplit=1)[0] if any(line.strip() for line in lines) else "another host"
