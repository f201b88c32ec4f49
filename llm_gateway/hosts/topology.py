"""Who is who in a run: its hosts, the gateways with their nodes, and the OpenClaw hosts that use them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

from pyinfra.api.host import Host

from llm_gateway.flavours import known
from llm_gateway.flavours.change_plan import Change
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.tables import SQLiteStore, Store
from llm_gateway.inputs.secrets import Generated, Provided, SecretsError
from llm_gateway.inputs.settings import Settings
from llm_gateway.model import layout
from llm_gateway.model.asking import Answer
from llm_gateway.model.budgets import TokenTable
from llm_gateway.model.dsn import SQLITE, Dsn, DsnError
from llm_gateway.model.usage import UsageLog


@dataclass
class Run:
    """The machines of one run by name, and of all of the inventory who uses which gateway."""

    machines: dict[str, Machine] = field(default_factory=dict)
    """Those that it reaches."""
    gateways: dict[str, Gateway] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    """The hosts of the gateways, by the host's name."""
    agents: dict[str, Agent] = field(default_factory=dict)

    def add_node(self, machine: Machine) -> None:
        """Take a machine for the host of a gateway, which is called after it."""
        gateway = Gateway(machine.name)
        machine.node = Node(machine, gateway)
        gateway.nodes.append(machine.node)
        self.gateways[gateway.name] = gateway
        self.nodes[machine.name] = machine.node

    def add_agent(self, machine: Machine) -> None:
        """Take a machine for a host with OpenClaw."""
        machine.agent = self.agents[machine.name] = Agent(machine)

    def nodes_of(self, agent: Agent) -> list[Node]:
        """The hosts whose gateway an OpenClaw host asks, the first one first, the others where those before are gone.

        Those that it names; else the one on itself where there is one, and the only one there is where not. Whether
        two of them belong to one gateway is of no account here: each is asked at its own address, with the key that its
        gateway has for the host.
        """
        if wanted := agent.settings.openclaw_gateway:
            return [self.nodes[name] for name in wanted]
        return [agent.machine.node or next(iter(self.gateways.values())).node]

    def agents_of(self, gateway: Gateway) -> list[Agent]:
        """The OpenClaw hosts that use a gateway, as their first or as a fallback, reached in this run or not."""
        return [agent for agent in self.agents.values() if gateway in agent.gateways]


@dataclass(eq=False)
class Machine:
    """A host of a run, whatever is on it: its settings, the secrets handed in for it, and what it is like."""

    host: Host
    settings: Settings
    provided: Provided
    run: Run = field(repr=False)
    state: HostState = field(init=False)
    read_at: float = field(default_factory=time.monotonic)
    """When it was read, in seconds of the monotonic clock."""
    node: Node | None = field(default=None, repr=False)
    """What it is to a gateway, if it is in the group `gateways`."""
    agent: Agent | None = field(default=None, repr=False)
    """What it is to OpenClaw, if it is in the group `openclaw`."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return str(self.host.name)

    @property
    def is_reached(self) -> bool:
        """Whether this run has a connection to it."""
        return self.name in self.run.machines

    @property
    def is_read(self) -> bool:
        """Whether it is known what it is like."""
        return hasattr(self, "state")


@dataclass(eq=False)
class Role:
    """What a machine is in a run, beside what it is as a machine."""

    machine: Machine

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.machine.name

    @property
    def host(self) -> Host:
        """The host as pyinfra has it."""
        return self.machine.host

    @property
    def settings(self) -> Settings:
        """The host's settings."""
        return self.machine.settings

    @property
    def provided(self) -> Provided:
        """The secrets that were handed in."""
        return self.machine.provided

    @property
    def state(self) -> HostState:
        """What the host was like when it was read."""
        return self.machine.state

    @property
    def is_reached(self) -> bool:
        """Whether this run has a connection to it."""
        return self.machine.is_reached


@dataclass(eq=False)
class Node(Role):
    """A host of a gateway: its unit, container and files are there."""

    gateway: Gateway = field(repr=False)
    is_restarted: bool = False
    """Whether this run starts it anew: what was read of its unit, container and contents no longer holds."""
    is_taken_over: bool = False
    """Whether this run has taken over a gateway that a person had set up there, and published it."""

    @property
    def directory(self) -> str:
        """The install directory on the host."""
        return self.settings.gateway_directory

    @property
    def address(self) -> str:
        """The Tailscale address that it is published on; where the host has none now, the one it had."""
        return self.settings.gateway_tailscale_address or [*self.state.tailscale_addresses, self.state.published[0]][0]

    @property
    def base_url(self) -> str:
        """Its root, without /v1."""
        return f"http://{self.address}:{self.settings.gateway_port}"

    @property
    def flavour(self) -> Flavour:
        """The gateway software that is declared for it."""
        return known.of_image(self.settings.gateway_image)

    @property
    def running_flavour(self) -> Flavour:
        """The gateway software that its container has; what is declared where it has none."""
        image = ((self.state.container or {}).get("Config") or {}).get("Image")
        return known.of_image(image) if image else self.flavour


@dataclass(eq=False)
class Gateway:
    """A gateway, on whichever hosts it runs: what it holds, its secrets, and who uses it."""

    name: str
    nodes: list[Node] = field(default_factory=list, repr=False)
    generated: Generated = field(init=False, repr=False)
    record: Record = field(default_factory=Record)
    """What earlier runs made of its contents."""
    token_keys: dict[str, str] = field(default_factory=dict, repr=False)
    """The keys of its tokens, by token name, once they are known."""
    changed_channels: set[str] = field(default_factory=set)
    """The channels, by name, that this run has made or changed."""
    plan: tuple[Change, ...] | None = None
    """What would have to be changed in it, where a run was asked to tell that."""
    answers: list[Answer] = field(default_factory=list)
    """What it has answered to its own token, where this run has asked it already."""
    is_outdated: bool = False
    """Whether what was read of its contents at the start of the run no longer holds, so that it is asked itself."""

    @property
    def node(self) -> Node:
        """The node by which it is asked and its data are read: it has one."""
        return self.nodes[0]

    @property
    def is_reached(self) -> bool:
        """Whether this run has a connection to it."""
        return self.node.is_reached

    @property
    def settings(self) -> Settings:
        """What is declared for it."""
        return self.node.settings

    @property
    def provided(self) -> Provided:
        """The secrets that were handed in for it."""
        return self.node.provided

    @property
    def address(self) -> str:
        """The address at which its users reach it."""
        return self.node.address

    @property
    def base_url(self) -> str:
        """Its root, without /v1."""
        return self.node.base_url

    @property
    def store(self) -> Store:
        """Where what it holds is kept."""
        if self.settings.gateway_database == SQLITE:
            return self.file
        dsn = self.dsn
        place = dsn.place if dsn else self.settings.gateway_database
        return PostgreSQLStore(self.node.host, f"{self.node.directory}/{layout.DATABASE_CONF}", place)

    @property
    def file(self) -> SQLiteStore:
        """The file that its store is by default, and that an older gateway's was, on the node's host."""
        return SQLiteStore(self.node.host, layout.database(self.node.directory))

    @property
    def dsn(self) -> Dsn | None:
        """Where its PostgreSQL is: as handed in for this run, else as its host was told before; None for a file."""
        secret = self.settings.gateway_database
        if secret == SQLITE:
            return None
        with suppress(DsnError, SecretsError):  # whoever deploys has refused it
            if handed_in := self.provided.get(secret):
                return Dsn.parse(handed_in)
        kept = self.node.state.database_conf if self.node.machine.is_read else None
        return Dsn.of_service(kept) if kept else None

    @property
    def usage_log(self) -> UsageLog:
        """What the rows of its log mean, by its software."""
        return self.node.flavour.usage_log

    @property
    def token_table(self) -> TokenTable:
        """Where its software keeps its tokens."""
        return self.node.flavour.token_table

    @property
    def agents(self) -> list[Agent]:
        """The OpenClaw hosts that use it, reached in this run or not."""
        return self.node.machine.run.agents_of(self)


@dataclass(eq=False)
class Agent(Role):
    """A host with OpenClaw, which uses a gateway."""

    environment_changed: bool = False
    """Whether this run has changed OpenClaw's environment."""
    former_configuration: str = "true"
    """The command that gives OpenClaw its configuration of before back, where a removal has prepared that."""
    without: frozenset[str] = frozenset()
    """The hosts with its gateways, by name, that have failed in this run before OpenClaw is pointed at them."""
    proven: set[tuple[str, str]] = field(default_factory=set, repr=False)
    """The base URLs, each with the key, by which this host is proven to be answered, before OpenClaw asks there."""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """What its gateways have answered it, by base URL, where this run has asked that with its final .env."""

    @property
    def nodes(self) -> list[Node]:
        """The hosts whose gateway it asks, the first one first, then its fallbacks."""
        return self.machine.run.nodes_of(self)

    @property
    def gateways(self) -> list[Gateway]:
        """The gateways that it uses, the first one first, none twice."""
        return list(dict.fromkeys(node.gateway for node in self.nodes))

    @property
    def gateway(self) -> Gateway:
        """The gateway that it asks first."""
        return self.nodes[0].gateway
