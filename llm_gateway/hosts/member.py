"""A host of a run: its settings, what it is like, and what the run learns of it on its way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pyinfra.api.host import Host

from llm_gateway.flavours.oneapi.change_plan import Change
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.record import Record
from llm_gateway.inputs.secrets import Generated, Provided
from llm_gateway.inputs.settings import Settings
from llm_gateway.model.asking import Answer


@dataclass
class Member:
    """One host of the run."""

    host: Host
    settings: Settings
    provided: Provided
    fleet: Fleet
    is_gateway: bool
    is_openclaw: bool
    state: HostState = field(init=False)
    generated: Generated = field(init=False, repr=False)
    read_at: float = field(default_factory=time.monotonic)
    """When it was read, in seconds of the monotonic clock."""
    record: Record = field(default_factory=Record)
    """What earlier runs made of a gateway's contents."""
    token_keys: dict[str, str] = field(default_factory=dict, repr=False)
    """A gateway's token keys, by token name, once they are known."""
    changed_channels: set[str] = field(default_factory=set)
    """The channels, by name, that this run has made or changed on a gateway."""
    plan: tuple[Change, ...] | None = None
    """What would have to be changed on a gateway, where a run was asked to tell that."""
    is_republished: bool = False
    """Whether this run starts the gateway anew, so that what was read of it no longer holds."""
    is_taken_over: bool = False
    """Whether this run has taken over a gateway that a person had set up, and published it."""
    environment_changed: bool = False
    """Whether this run has changed OpenClaw's environment."""
    former_configuration: str = "true"
    """The command that gives OpenClaw its configuration of before back, where a removal has prepared that."""
    gateway_answers: list[Answer] = field(default_factory=list)
    """What a gateway has answered to its own token, where this run has asked it already."""
    proven_key: str | None = field(default=None, repr=False)
    """The key with which OpenClaw on this host is proven to be answered by its gateway, before it is pointed at it."""
    agent_answers: list[Answer] = field(default_factory=list)
    """What OpenClaw's gateway has answered this host, where this run has asked it already with its final .env."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return str(self.host.name)

    @property
    def directory(self) -> str:
        """The install directory on the host."""
        return self.settings.gateway_directory

    @property
    def address(self) -> str:
        """The Tailscale address that the gateway is published on; where the host has none now, the one it had."""
        return self.settings.gateway_tailscale_address or [*self.state.tailscale_addresses, self.state.published[0]][0]

    @property
    def base_url(self) -> str:
        """The gateway's root, without /v1."""
        return f"http://{self.address}:{self.settings.gateway_port}"

    @property
    def gateway(self) -> Member:
        """The gateway that this host uses: itself when it is one, unless its settings name another."""
        return self.fleet.gateway_of(self)


@dataclass
class Fleet:
    """The hosts of one run by name: those that it reaches, and of all of the inventory who uses which gateway."""

    members: dict[str, Member] = field(default_factory=dict)
    gateways: list[Member] = field(default_factory=list)
    agents: list[Member] = field(default_factory=list)

    def gateway_of(self, member: Member) -> Member:
        """The gateway that an OpenClaw host uses; a host that only is one is its own."""
        if not member.is_openclaw:
            return member
        if wanted := member.settings.openclaw_gateway:
            return next(gateway for gateway in self.gateways if gateway.name == wanted)
        return member if member.is_gateway else self.gateways[0]

    def agents_of(self, gateway: Member) -> list[Member]:
        """The OpenClaw hosts that use a gateway, reached in this run or not."""
        return [member for member in self.agents if self.gateway_of(member) is gateway]
