"""Channels of an old gateway that lead to its surroundings: its LAN, its host, a container beside it.

One that the new gateway could not reach is told before the old one is stopped; the others are asked before it is given
up (llm_gateway.proof.around). What is public, or a declared channel, is the provider's matter and verification's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

from pyinfra.api.host import Host

from llm_gateway.hosts import remote
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.model import shell
from llm_gateway.parts import database
from llm_gateway.parts.firewall_rules import Reach, Upstream

_BRIDGE = "172.17.0.1"
"""Docker's own, where a host has no other yet."""
_OF_LANS = (".internal", ".local", ".lan", ".home", ".home.arpa", ".localdomain")
_LOOPBACK = IPv4Network("127.0.0.0/8")
_RESOLVE = Path(__file__).with_name("resolve_names.sh")


@dataclass(frozen=True)
class Way:
    """Where a channel leads: a name or an address, and a port."""

    channel: str
    url: str
    host: str
    port: int

    @classmethod
    def of(cls, channel: str, url: str) -> Way | None:
        """None where the URL is none, or the channel's own type's."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return None
        return cls(channel, url, parts.hostname, port) if parts.hostname else None


def problems(node: Node, store: SQLiteStore) -> list[str]:
    """What the new gateway could not reach of an old one's channels, each with the fix.

    Parameters: `store`, the old database; the new gateway is `node`'s.
    Raises DatabaseError and RemoteError.
    """
    declared = {channel.name for channel in node.settings.gateway_channels}
    rows = database.channel_urls(store)
    ways = [way for name, url in rows if name not in declared and (way := Way.of(name, url))]
    known = hosts(node)
    names = sorted({way.host for way in ways if address_of(way.host) is None and way.host not in known})
    resolved = _resolve(node.host, names) if ways else {}
    return list(_problems(node, ways, resolved))


def _problems(node: Node, ways: Iterable[Way], resolved: Mapping[str, str]) -> Iterator[str]:
    known, reach, bridge = hosts(node), Reach.wanted(node), resolved.get("-", _BRIDGE)
    for way in ways:
        told = f"channel {way.channel} goes to {way.url}"
        lost = "; if it may be lost, disable it in the old gateway's admin page"
        if way.host in known and known[way.host] is None:
            continue  # said to be given up
        address = address_of(way.host) or address_of(known.get(way.host) or resolved.get(way.host) or "")
        if way.host == "localhost" or (address is not None and address in _LOOPBACK):
            yield (
                f"{told}, which is the container itself in the new gateway: have what it wants listen on {bridge} of"
                f" the host, write that into the channel, and add it to gateway_private_upstreams:"
                f' ["{bridge}:{way.port}"]{lost}'
            )
        elif address is None and ("." not in way.host or way.host.endswith(_OF_LANS)):
            yield (
                f"{told}, and {way.host} is a name that the host does not know, such as that of a container beside the"
                f' old gateway: publish that container for the host (`ports: ["{bridge}:{way.port}:{way.port}"]`), and'
                f' set gateway_extra_hosts: {{"{way.host}": "{bridge}"}}, gateway_private_upstreams:'
                f' ["{bridge}:{way.port}"]{lost}, or set None for that name'
            )
        elif address is not None and not reach.allows(wanted := Upstream(IPv4Network(address), way.port)):
            yield (
                f"{told}, from which the firewall keeps the new gateway: add it to gateway_private_upstreams:"
                f' ["{wanted}"]{lost}'
            )


def hosts(node: Node) -> dict[str, str | None]:
    """The addresses of the names that the settings give, in small letters."""
    return {name.lower(): address for name, address in node.settings.gateway_extra_hosts.items()}


def address_of(text: str) -> IPv4Address | None:
    """The address that a text is, if it is one."""
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _resolve(host: Host, names: Sequence[str]) -> dict[str, str]:
    """The address of each name on a host, where it has one; and that of Docker's bridge, as "-". Raises RemoteError."""
    lines = remote.run(host, shell.program({"names": " ".join(names)}, _RESOLVE))
    found = (line.split() for line in lines)
    return {words[0]: words[1] for words in found if len(words) == 2}
