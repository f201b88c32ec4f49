"""What the gateway's firewall lets through, and the file of nftables' rules that says so."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import urlsplit

from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.environment import PROXIES
from llm_gateway.model.layout import FIREWALL_RULES
from llm_gateway.parts.installation import render

_TEMPLATE = f"{FIREWALL_RULES.removeprefix('/')}.j2"
_LETS_THROUGH = "# Lets through: "

REFUSED = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
    )
)
"""What is not the public Internet, as the rules have it."""


NO_HOSTS: Mapping[str, str | None] = {}


@dataclass(frozen=True)
class Upstream:
    """Where the container may go among private addresses: a network, and a port, None for all of them."""

    network: IPv4Network
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Read "192.168.1.5:8000" or "10.0.0.0/24". Raises ValueError."""
        network, colon, port = text.partition(":")
        return cls(IPv4Network(network), int(port) if colon else None)

    def covers(self, other: Upstream) -> bool:
        """Whether what it allows holds all of what another does."""
        return other.network.subnet_of(self.network) and self.port in (None, other.port)

    def __str__(self) -> str:
        """As in the setting."""
        network = _shortest(self.network)
        return network if self.port is None else f"{network}:{self.port}"


def upstream_of(base_url: str, hosts: Mapping[str, str | None] = NO_HOSTS) -> Upstream | None:
    """What a channel needs whose base URL names an IPv4 address; None where it names a host, or nothing.

    Parameters: `hosts`, the addresses of names that the container is told (gateway_extra_hosts).
    """
    try:
        parts = urlsplit(base_url)
        name = parts.hostname or ""
        address = IPv4Address({known.lower(): each for known, each in hosts.items()}.get(name) or name)
        return Upstream(IPv4Network(address), parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return None


@dataclass(frozen=True)
class Door:
    """Where the gateway, or the page of the fleet, is published, and for which machines of the tailnet; for all of them
    where none is named.
    """

    address: str
    port: int
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """All that the firewall lets through: into the gateway, and from its container to private addresses."""

    doors: tuple[Door, ...]
    upstreams: tuple[str, ...]

    @classmethod
    def wanted(cls, node: Node) -> Reach:
        """What a gateway's settings ask for; the addresses in its channels are allowed by themselves.

        No door where the host has no Tailscale address now.
        """
        settings = node.settings
        has_address = settings.gateway_tailscale_address or node.state.tailscale_addresses
        named = {Upstream.parse(text) for text in settings.gateway_private_upstreams}
        urls = [channel.base_url for channel in settings.gateway_channels]
        urls += [url for name in PROXIES if (url := settings.gateway_environment.get(name))]
        declared = {each for url in urls if (each := upstream_of(url, settings.gateway_extra_hosts))}
        if (dsn := node.gateway.dsn) and dsn.address:
            declared.add(Upstream(IPv4Network(dsn.address), dsn.port))
        ports = {settings.gateway_port: settings.gateway_allowed_peers}
        if settings.gateway_page_port is not None:
            ports[settings.gateway_page_port] = settings.gateway_page_peers
        doors = (
            Door(node.address, port, tuple(_collapsed(IPv4Network(text) for text in peers)))
            for port, peers in ports.items()
        )
        return cls(tuple(doors) if has_address else (), _sorted(map(str, named | declared)))

    @classmethod
    def of_file(cls, text: str) -> Reach | None:
        """What a file of rules says of itself; None where it does not, or somebody has edited that."""
        said = next((line for line in text.splitlines() if line.startswith(_LETS_THROUGH)), "")
        try:
            values = json.loads(said.removeprefix(_LETS_THROUGH))
            doors = tuple(Door(each["address"], each["port"], tuple(each["peers"])) for each in values["doors"])
            reach = cls(doors, tuple(values["upstreams"]))
            reach.check()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return reach

    def check(self) -> None:
        """Raises ValueError where it would make no rules."""
        for door in self.doors:
            if not all(isinstance(text, str) for text in (door.address, *door.peers)):
                raise TypeError("an address is a text")
            IPv4Address(door.address)
            if type(door.port) is not int or not 0 < door.port < 2**16:
                raise ValueError(f"{door.port} is not a port")
            _collapsed(IPv4Network(text) for text in door.peers)
        for each in map(Upstream.parse, self.upstreams):
            if each.port is not None and not 0 < each.port < 2**16:
                raise ValueError(f"{each.port} is not a port")
        _by_port(self.upstreams)

    def __or__(self, other: Reach) -> Reach:
        """What either lets through."""
        doors = {(door.address, door.port): door.peers for door in self.doors}
        for door in other.doors:
            ours = doors.get((door.address, door.port), door.peers)
            everybody = not ours or not door.peers
            named = () if everybody else _collapsed(IPv4Network(text) for text in (*ours, *door.peers))
            doors[door.address, door.port] = tuple(named)
        made = tuple(Door(address, port, peers) for (address, port), peers in sorted(doors.items()))
        return Reach(made, _sorted((*self.upstreams, *other.upstreams)))

    def allows(self, wanted: Upstream) -> bool:
        """Whether the container gets there."""
        if not any(wanted.network.subnet_of(network) for network in REFUSED):
            return True
        return any(Upstream.parse(text).covers(wanted) for text in self.upstreams)

    def rules(self) -> bytes:
        """The file of the rules. It names its own version, by which the table in the kernel is told from another."""
        values = {
            "lets_through": f"{_LETS_THROUGH}{json.dumps(asdict(self))}",
            "doors": self.doors,
            "upstreams": _by_port(self.upstreams),
        }
        return render(_TEMPLATE, version=digest(render(_TEMPLATE, version="", **values)), **values)


def version(text: str) -> str | None:
    """The version that a table or a file of rules names; None where it names none."""
    found = re.search(r'^\s*comment "([0-9a-f]{64})[ "]', text, re.MULTILINE)
    return found[1] if found else None


def digest(content: bytes) -> str:
    """The SHA-256 of it, in hex digits."""
    return hashlib.sha256(content).hexdigest()


def _by_port(upstreams: Iterable[str]) -> list[tuple[int | None, list[str]]]:
    """For each port its networks, since nftables takes no set in which two overlap."""
    parsed = [Upstream.parse(text) for text in upstreams]
    ports = sorted({each.port for each in parsed}, key=lambda port: port or 0)
    return [(port, _collapsed(each.network for each in parsed if each.port == port)) for port in ports]


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _collapsed(networks: Iterable[IPv4Network]) -> list[str]:
    return [_shortest(network) for network in ipaddress.collapse_addresses(networks)]


def _shortest(network: IPv4Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)
