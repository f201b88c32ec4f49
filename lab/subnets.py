"""Which subnets a new lab takes: ones that neither Docker nor this machine's routes use."""

import json
import subprocess
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network

from lab.docker import Docker, require
from lab.errors import LabError

# Wider routes (a VPN's 10.0.0.0/8, a tailnet's 100.64.0.0/10) cover any choice; the lab's own
# connected /24 is more specific and wins on this machine, so only narrower ones count as taken.
WIDEST_ROUTE_THAT_COUNTS = 16


def choose(used: Iterable[IPv4Network]) -> tuple[IPv4Network, IPv4Network]:
    """Return a free (tailnet, LAN) pair of /24 subnets with the same third number.

    Raises:
        LabError: all 256 pairs are taken.
    """
    taken = list(used)
    for number in range(256):
        pair = (IPv4Network(f"100.64.{number}.0/24"), IPv4Network(f"172.30.{number}.0/24"))
        if not any(mine.overlaps(other) for mine in pair for other in taken):
            return pair
    raise LabError("no free subnet is left for another lab", "take an old lab down")


def in_use(docker: Docker) -> list[IPv4Network]:
    """Return the subnets of Docker's networks and of this machine's routes."""
    return [*_of_docker(docker), *_of_routes()]


def routes_from_json(text: str) -> list[IPv4Network]:
    """Return the destinations that count, from ``ip -json -4 route show table all``."""
    destinations = (route["dst"] for route in json.loads(text or "[]") if route.get("dst", "default") != "default")
    networks = (ip_network(destination, strict=False) for destination in destinations)
    return [
        network
        for network in networks
        if isinstance(network, IPv4Network) and network.prefixlen >= WIDEST_ROUTE_THAT_COUNTS
    ]


def _of_routes() -> list[IPv4Network]:
    require("ip", "iproute2")
    result = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LabError(f"cannot read this machine's routes: {result.stderr.strip()}")
    return routes_from_json(result.stdout)


def _of_docker(docker: Docker) -> list[IPv4Network]:
    ids = docker.run("network", "ls", "--quiet").split()
    listed = json.loads(docker.run("network", "inspect", *ids)) if ids else []
    texts = [pool["Subnet"] for network in listed for pool in (network["IPAM"].get("Config") or []) if "Subnet" in pool]
    return [network for network in map(ip_network, texts) if isinstance(network, IPv4Network)]
