"""Members of a fleet made by hand, for what needs no pyinfra."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.member import Member
from llm_gateway.inputs import settings
from llm_gateway.inputs.secrets import Generated, Provided
from tests.unit.fake_hosts import FRESH, KEYS, answer

GENERATED = Generated(
    "root-password-of-tes",
    "access-token-of-tests-0123456789",
    "session-secret-of-tests-" + "0" * 24,
    "fingerprint-secret-of-tests",
)
DIRECTORY = "/opt/openclaw-llm-gateway"


class Fleet:
    """What a member asks its fleet."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}

    def gateway_of(self, member: Member) -> Member:
        """The first gateway: tests of several make a real fleet."""
        return next(other for other in self.members.values() if other.is_gateway)

    def agents_of(self, gateway: Member) -> list[Member]:
        """All OpenClaw hosts."""
        return [member for member in self.members.values() if member.is_openclaw]


def member(
    values: Mapping[str, str] = FRESH,
    *,
    name: str = "gw1",
    roles: str = "gateway",
    secrets: Mapping[str, str] = KEYS,
    fleet: Fleet | None = None,
    **chosen: Any,
) -> Member:
    """A member whose host answers these values; `chosen` are its settings, `roles` of "gateway" and "openclaw"."""
    found, problems = settings.check({**settings.defaults(), **chosen})
    assert problems == []
    fleet = Fleet() if fleet is None else fleet
    host = SimpleNamespace(name=name, groups=[], state=SimpleNamespace(is_executing=True), connector=None)
    made = Member(
        cast(Any, host), found, Provided(None, secrets), cast(Any, fleet), "gateway" in roles, "openclaw" in roles
    )
    made.state = HostState.parse(answer(values))
    made.generated = GENERATED
    fleet.members[name] = made
    return made
