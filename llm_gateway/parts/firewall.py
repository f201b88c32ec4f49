"""The gateway's firewall: a table of nftables of its own, held by a unit of its own.

What Docker publishes on an address is open to everybody who routes to that address, and a container to everybody who
routes to its network. The table lets in what comes by Tailscale, and keeps the container away from what is private.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from llm_gateway.hosts import remote
from llm_gateway.hosts.host_check import fail_if
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.layout import (
    FIREWALL_RULES,
    FIREWALL_TABLE,
    FIREWALL_UNIT,
    HOLD_FIREWALL,
    RESOLVERS_UNIT,
    RESOLVERS_WATCH,
)
from llm_gateway.parts.firewall_rules import Reach, Upstream, digest, upstream_of, version
from llm_gateway.parts.installation import Wanted, is_as_wanted, start_anew

_UNITS = (
    (RESOLVERS_UNIT, "the unit that leads the container to the resolvers of its host"),
    (RESOLVERS_WATCH, "the unit that watches over the resolvers of the host"),
    (FIREWALL_UNIT, "the unit of the firewall"),
)
_HOLD = ROOT / "files" / posixpath.basename(HOLD_FIREWALL)

REMOVE = (
    'export PATH="$PATH:/usr/sbin:/sbin"; tables=$(nft list tables) &&'
    f' case "$tables" in *"table {FIREWALL_TABLE}"*) nft delete table {FIREWALL_TABLE} ;; esac'
)
"""A shell command, for when the unit does not run any more: the table outlives the process that held it."""


def out_of_reach(node: Node, base_url: str) -> Upstream | None:
    """The address in a channel's base URL, where the firewall keeps the container from it; None where it does not."""
    needed = upstream_of(base_url, node.settings.gateway_extra_hosts)
    return None if needed is None or Reach.wanted(node).allows(needed) else needed


def wanted_files(node: Node) -> list[Wanted]:
    """The rules, what holds them, and its unit."""
    return _files(Reach.wanted(node))


def _files(reach: Reach) -> list[Wanted]:
    return [
        Wanted(FIREWALL_RULES, reach.rules(), "644", "the rules of the firewall"),
        Wanted(HOLD_FIREWALL, _HOLD.read_bytes(), "755", "the script that holds the firewall"),
        *(Wanted(layout.unit_path(name), (ROOT / "files" / name).read_bytes(), "644", what) for name, what in _UNITS),
    ]


def missing_packages(node: Node) -> list[str]:
    """The distribution's packages without which this host has no firewall."""
    return [] if "nft" in node.state.tools else ["nftables"]


def install(node: Node) -> None:
    """Put the firewall in place, and have it hold the rules; before anything of the gateway is published.

    Until `narrow`, what the deployment before let through is let through as well: should this run fail, then what
    serves now is still reached, and reaches its providers.
    """
    reach = _with_what_is_deployed(node)
    differing = [file for file in _files(reach) if not is_as_wanted(node, file)]
    for file in differing:
        file.write()
    if _problem(node, reach) is None and not differing:
        return
    if _is_running(node) and not any(file.path.startswith(f"{layout.UNITS}/") for file in differing):
        remote.shell(name="Let the firewall take its rules in", command=_RELOAD)
    else:
        node.is_restarted = True  # the gateway's unit goes down and up with it
        remote.shell(
            name="Start the firewall",
            command=_or_say(start_anew(FIREWALL_UNIT)),
        )


def _with_what_is_deployed(node: Node) -> Reach:
    deployed = Reach.of_file(node.state.firewall_rules)
    return Reach.wanted(node) | deployed if deployed else Reach.wanted(node)


def narrow(node: Node) -> None:
    """Take away what only the deployment before needed, now that what this one declares serves."""
    if _with_what_is_deployed(node) == Reach.wanted(node):
        return
    rules = wanted_files(node)[0]
    replace(rules, what="the firewall's final rules").write()
    remote.shell(name="Let the firewall take its final rules in", command=_RELOAD)


def _or_say(command: str) -> str:
    """The command; where it fails, what the unit says of it."""
    log = f"journalctl --no-pager --lines 12 --output cat --unit {FIREWALL_UNIT}"
    return f"{{ {command}; }} || {{ echo 'the firewall does not start; its log:' >&2; {log} >&2; exit 1; }}"


_RELOAD = _or_say(f"systemctl reload {FIREWALL_UNIT}")


def _is_running(node: Node) -> bool:
    unit = node.state.firewall_unit
    return (unit.get("ActiveState"), unit.get("UnitFileState"), unit.get("NeedDaemonReload")) == (
        "active",
        "enabled",
        "no",
    )


def problems(node: Node) -> Iterator[str]:
    """What prevents a firewall that lets in whom it should, each with the fix."""
    if node.state.busy:
        return
    if node.state.tailscale_ip and not node.state.tailscale0:
        yield (
            f"its Tailscale address {node.state.lines('tailscale_ip')[0]} is on no interface tailscale0, by which"
            " alone the firewall lets anybody in: `tailscale up` on the host, without userspace networking or another"
            " --tun"
        )
    allowed = [IPv4Network(text) for text in node.settings.gateway_allowed_peers]
    for agent in node.gateway.agents if allowed else ():
        addresses = (
            agent.state.tailscale_addresses if agent.machine.is_read and agent.machine is not node.machine else []
        )
        if addresses and not any(IPv4Address(address) in network for network in allowed for address in addresses):
            yield f"gateway_allowed_peers: {agent.name} uses this gateway, so add its address, {addresses[0]}"


def verify(node: Node) -> None:
    """Let the run fail where a gateway's firewall does not stand as it is declared."""
    fail_if(name="Check the firewall", what="firewall", problem_of=partial(_fixable, node))


def _fixable(node: Node) -> str | None:
    found = problem(node)
    return found and f"{found}: run deploy.py"


def problem(node: Node) -> str | None:
    """What is wrong with the firewall of a host that was read; None where the kernel has the rules that are wanted."""
    return _problem(node, Reach.wanted(node))


def _problem(node: Node, reach: Reach) -> str | None:
    table = node.state.answers.get("firewall_table", "")
    if not table:
        return f"its table ({FIREWALL_TABLE}) is not there, so that the port is open to all who route to the host"
    if not _is_running(node):
        return f"{FIREWALL_UNIT} does not run or is not enabled, so that its rules do not last"
    if reach.doors and version(table) != version(reach.rules().decode()):
        return "the loaded rules do not match the settings; run deploy.py"
    if reach.doors and any(not is_as_wanted(node, file) for file in _files(reach)):
        return "its files do not match what a deployment writes; run deploy.py"
    if digest(table.encode()) not in node.state.firewall_loaded:
        return "the rules in the kernel do not match those that were loaded; run deploy.py"
    return None
