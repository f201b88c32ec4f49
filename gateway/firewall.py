"""The gateway's firewall: a table of nftables of its own, held by a unit of its own.

What Docker publishes on an address is open to everybody who routes to that address, and a container to everybody who
routes to its network. The table lets in what comes by Tailscale, and keeps the container away from what is private.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import remote
from gateway.backups.scheduled_backups import install_package
from gateway.checkout import ROOT
from gateway.host_state import PROJECT
from gateway.installation import Wanted, is_as_wanted, render

if TYPE_CHECKING:
    from gateway.fleet import Member

UNIT = f"{PROJECT}-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
TABLE = "inet openclaw_llm_gateway"
DIRECTORY = f"/var/lib/{PROJECT}/firewall"
"""Not in the install directory: the rules stand before anything that is mounted later."""
_RULES = f"{DIRECTORY}/rules.nft"
_SCRIPT = f"{DIRECTORY}/hold-firewall"
_TEMPLATE = "var/lib/openclaw-llm-gateway/firewall/rules.nft.j2"

REMOVE = f"if command -v nft >/dev/null && nft list table {TABLE} >/dev/null 2>&1; then nft delete table {TABLE}; fi"
"""A shell command, for when the unit does not run any more: the table outlives the process that held it."""

_REFUSED = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
    )
)
"""What is not the public Internet, as the rules have it."""


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


def upstream_of(base_url: str) -> Upstream | None:
    """What a channel needs whose base URL names an IPv4 address; None where it names a host, or nothing."""
    parts = urlsplit(base_url)
    try:
        address = IPv4Address(parts.hostname or "")
        return Upstream(IPv4Network(address), parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return None


def _upstreams(member: Member) -> set[Upstream]:
    named = {Upstream.parse(text) for text in member.settings.gateway_private_upstreams}
    declared = (upstream_of(channel.base_url) for channel in member.settings.gateway_channels)
    return named | {upstream for upstream in declared if upstream}


def out_of_reach(member: Member, base_url: str) -> Upstream | None:
    """The address in a channel's base URL, where the firewall keeps the container from it; None where it does not."""
    wanted = upstream_of(base_url)
    if wanted is None or not any(wanted.network.subnet_of(network) for network in _REFUSED):
        return None
    return None if any(each.covers(wanted) for each in _upstreams(member)) else wanted


def rules(member: Member) -> bytes:
    """The file of the rules. It names its own version, by which the table in the kernel is told from another."""
    values = {
        "address": member.address,
        "port": member.settings.gateway_port,
        "peers": _collapsed(IPv4Network(text) for text in member.settings.gateway_allowed_peers),
        "upstreams": _by_port(_upstreams(member)),
    }
    version = _digest(render(_TEMPLATE, version="", **values))
    return render(_TEMPLATE, version=version, **values)


def _by_port(upstreams: set[Upstream]) -> list[tuple[int | None, list[str]]]:
    """For each port its networks, since nftables takes no set in which two overlap."""
    ports = sorted({each.port for each in upstreams}, key=lambda port: port or 0)
    return [(port, _collapsed(each.network for each in upstreams if each.port == port)) for port in ports]


def _collapsed(networks: Iterable[IPv4Network]) -> list[str]:
    return [_shortest(network) for network in ipaddress.collapse_addresses(networks)]


def _shortest(network: IPv4Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _version(text: str) -> str | None:
    found = re.search(r'^\s*comment "([0-9a-f]{64})[ "]', text, re.MULTILINE)
    return found[1] if found else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wanted_files(member: Member) -> list[Wanted]:
    """The rules, what holds them, and its unit."""
    return [
        Wanted(_RULES, rules(member), "644", "the rules of the firewall"),
        Wanted(_SCRIPT, (ROOT / "files/hold-firewall").read_bytes(), "755", "the script that holds the firewall"),
        Wanted(UNIT_PATH, (ROOT / "files" / UNIT).read_bytes(), "644", "the unit of the firewall"),
    ]


def install(member: Member) -> None:
    """Put the firewall in place, and have it hold the rules; before anything of the gateway is published."""
    if "nft" not in member.state.lines("tools"):
        remote.shell(name="Install nftables, which the firewall needs", command=install_package("nftables"))
    differing = [file for file in wanted_files(member) if not is_as_wanted(member, file)]
    for file in differing:
        remote.write_file(name=f"Write {file.what}", path=file.path, content=file.content, mode=file.mode)
    if problem(member) is None and not differing:
        return
    if _is_running(member) and all(file.path != UNIT_PATH for file in differing):
        remote.shell(name="Let the firewall take its rules in", command=_or_say(f"systemctl reload {UNIT}"))
    else:
        member.is_republished = True  # the gateway's unit goes down and up with it
        remote.shell(
            name="Start the firewall",
            command=_or_say(
                f"systemctl daemon-reload && systemctl reenable --quiet {UNIT} && systemctl restart {UNIT}"
            ),
        )


def _or_say(command: str) -> str:
    """The command; where it fails, what the unit says of it."""
    log = f"journalctl --no-pager --lines 12 --output cat --unit {UNIT}"
    return f"{{ {command}; }} || {{ echo 'the firewall does not start; its own words:' >&2; {log} >&2; exit 1; }}"


def _is_running(member: Member) -> bool:
    unit = member.state.properties("firewall_unit")
    return (unit.get("ActiveState"), unit.get("UnitFileState"), unit.get("NeedDaemonReload")) == (
        "active",
        "enabled",
        "no",
    )


def problems(member: Member) -> Iterator[str]:
    """What stands in the way of a firewall that lets in whom it should, each with the mend."""
    if not member.is_gateway or member.state.text("busy"):
        return
    if member.state.lines("tailscale_ip") and not member.state.lines("tailscale0"):
        yield (
            f"its Tailscale address {member.state.lines('tailscale_ip')[0]} is on no interface tailscale0, by which"
            " alone the firewall lets anybody in: `tailscale up` on the host, without userspace networking or another"
            " --tun"
        )
    allowed = [IPv4Network(text) for text in member.settings.gateway_allowed_peers]
    for agent in member.fleet.agents_of(member) if allowed else ():
        addresses = agent.state.tailscale_addresses if hasattr(agent, "state") and agent is not member else []
        if addresses and not any(IPv4Address(address) in network for network in allowed for address in addresses):
            yield f"gateway_allowed_peers: {agent.name} uses this gateway, so add its address, {addresses[0]}"


def verify(member: Member) -> None:
    """Let the run fail where a gateway's firewall does not stand as it is declared."""
    if member.is_gateway:
        _verify(name="Look whether the firewall stands", member=member)


@operation()
def _verify(member: Member) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if found := problem(member):
        yield FunctionCommand(_fail, (f"firewall: {found}: run deploy.py",), {})


def _fail(state: State, host: Host, text: str) -> bool:
    remote.complain(host, text)
    return False


def problem(member: Member) -> str | None:
    """What is wrong with the firewall of a host that was read; None where the kernel has the rules that are wanted."""
    table = member.state.answers.get("firewall_table", "")
    if not table:
        return f"its table ({TABLE}) is not there, so that the port is open to all who route to the host"
    if not _is_running(member):
        return f"{UNIT} does not run or is not enabled, so that its rules do not last"
    has_address = bool(member.settings.gateway_tailscale_address or member.state.tailscale_addresses)
    if has_address and _version(table) != _version(rules(member).decode()):
        return "its rules are those of other settings"
    if has_address and any(not is_as_wanted(member, file) for file in wanted_files(member)):
        return "its files are not those that a deployment writes"
    if _digest(table.encode()) not in member.state.text("firewall_loaded"):
        return "its rules in the kernel are not those that were loaded"
    return None
