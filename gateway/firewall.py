"""The gateway's firewall: a table of nftables of its own, held by a unit of its own.

What Docker publishes on an address is open to everybody who routes to that address, and a container to everybody who
routes to its network. The table lets in what comes by Tailscale, and keeps the container away from what is private.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from gateway import remote
from gateway.backups.scheduled_backups import install_package
from gateway.checkout import ROOT
from gateway.findings import must_be_well
from gateway.firewall_rules import DIRECTORY, PATH, Reach, Upstream, digest, upstream_of, version
from gateway.host_state import PROJECT
from gateway.installation import Wanted, is_as_wanted

if TYPE_CHECKING:
    from gateway.fleet import Member

UNIT = f"{PROJECT}-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
TABLE = "inet openclaw_llm_gateway"
_SCRIPT = f"{DIRECTORY}/hold-firewall"

REMOVE = (
    'export PATH="$PATH:/usr/sbin:/sbin"; tables=$(nft list tables) &&'
    f' case "$tables" in *"table {TABLE}"*) nft delete table {TABLE} ;; esac'
)
"""A shell command, for when the unit does not run any more: the table outlives the process that held it."""


def out_of_reach(member: Member, base_url: str) -> Upstream | None:
    """The address in a channel's base URL, where the firewall keeps the container from it; None where it does not."""
    needed = upstream_of(base_url)
    return None if needed is None or Reach.wanted(member).allows(needed) else needed


def wanted_files(member: Member) -> list[Wanted]:
    """The rules, what holds them, and its unit."""
    return _files(Reach.wanted(member))


def _files(reach: Reach) -> list[Wanted]:
    return [
        Wanted(PATH, reach.rules(), "644", "the rules of the firewall"),
        Wanted(_SCRIPT, (ROOT / "files/hold-firewall").read_bytes(), "755", "the script that holds the firewall"),
        Wanted(UNIT_PATH, (ROOT / "files" / UNIT).read_bytes(), "644", "the unit of the firewall"),
    ]


def install(member: Member) -> None:
    """Put the firewall in place, and have it hold the rules; before anything of the gateway is published.

    Until `narrow`, what the deployment before let through is let through as well: should this run fail, then what
    serves now is still reached, and reaches its providers.
    """
    if "nft" not in member.state.lines("tools"):
        remote.shell(name="Install nftables, which the firewall needs", command=install_package("nftables"))
    reach = _with_what_is_deployed(member)
    differing = [file for file in _files(reach) if not is_as_wanted(member, file)]
    for file in differing:
        remote.write_file(name=f"Write {file.what}", path=file.path, content=file.content, mode=file.mode)
    if _problem(member, reach) is None and not differing:
        return
    if _is_running(member) and all(file.path != UNIT_PATH for file in differing):
        remote.shell(name="Let the firewall take its rules in", command=_RELOAD)
    else:
        member.is_republished = True  # the gateway's unit goes down and up with it
        remote.shell(
            name="Start the firewall",
            command=_or_say(
                f"systemctl daemon-reload && systemctl reenable --quiet {UNIT} && systemctl restart {UNIT}"
            ),
        )


def _with_what_is_deployed(member: Member) -> Reach:
    deployed = Reach.of_file(member.state.text("firewall_rules"))
    return Reach.wanted(member) | deployed if deployed else Reach.wanted(member)


def narrow(member: Member) -> None:
    """Take away what only the deployment before needed, now that what this one declares serves."""
    if not member.is_gateway or _with_what_is_deployed(member) == Reach.wanted(member):
        return
    rules = wanted_files(member)[0]
    remote.write_file(name="Write the firewall's final rules", path=rules.path, content=rules.content, mode=rules.mode)
    remote.shell(name="Let the firewall take its final rules in", command=_RELOAD)


def _or_say(command: str) -> str:
    """The command; where it fails, what the unit says of it."""
    log = f"journalctl --no-pager --lines 12 --output cat --unit {UNIT}"
    return f"{{ {command}; }} || {{ echo 'the firewall does not start; its own words:' >&2; {log} >&2; exit 1; }}"


_RELOAD = _or_say(f"systemctl reload {UNIT}")


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
        must_be_well(name="Look whether the firewall stands", member=member, what="firewall", problem_of=_mendable)


def _mendable(member: Member) -> str | None:
    found = problem(member)
    return found and f"{found}: run deploy.py"


def problem(member: Member) -> str | None:
    """What is wrong with the firewall of a host that was read; None where the kernel has the rules that are wanted."""
    return _problem(member, Reach.wanted(member))


def _problem(member: Member, reach: Reach) -> str | None:
    table = member.state.answers.get("firewall_table", "")
    if not table:
        return f"its table ({TABLE}) is not there, so that the port is open to all who route to the host"
    if not _is_running(member):
        return f"{UNIT} does not run or is not enabled, so that its rules do not last"
    if reach.doors and version(table) != version(reach.rules().decode()):
        return "its rules are those of other settings"
    if reach.doors and any(not is_as_wanted(member, file) for file in _files(reach)):
        return "its files are not those that a deployment writes"
    if digest(table.encode()) not in member.state.text("firewall_loaded"):
        return "its rules in the kernel are not those that were loaded"
    return None
