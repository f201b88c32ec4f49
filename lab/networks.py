"""The lab's two networks: the LAN, with a way out, and the tailnet, with none."""

from ipaddress import IPv4Network, ip_network

from lab import subnets
from lab.docker import Docker
from lab.errors import LabError
from lab.labels import label_options, object_name
from lab.state import LabState, save

UPSTREAM = 5
PEER = 6
NEIGHBOUR = 7
CONTROL = 8
REAL_TAILNET = "100.64.0.0/16"
"""Whose addresses the control server of a real tailnet gives out, in the order of the log-ins."""
PACKAGES = 9
FIRST_HOST = 10
LAST_HOST = 250


def lan(lab: str) -> str:
    """Return the Docker name of the LAN."""
    return object_name(lab, "lan")


def tailnet(lab: str) -> str:
    """Return the Docker name of the tailnet."""
    return object_name(lab, "tailnet")


def address(subnet: str, number: int) -> str:
    """Return the address with a number in a subnet."""
    return str(ip_network(subnet)[number])


def ensure_networks(docker: Docker, name: str, known: LabState | None, has_real_tailnet: bool) -> LabState:
    """Return the lab's state with both networks there; chooses the subnets of a new lab.

    Raises:
        LabError: no pair of subnets could be had.
    """
    if known is not None:
        _make(docker, lan(name), known.lan_subnet, name)
        if not has_real_tailnet:
            _make(docker, tailnet(name), known.tailnet_subnet, name, "--internal")
        return known
    refused: list[IPv4Network] = []
    while True:
        tailnet_subnet, lan_subnet = subnets.choose([*subnets.in_use(docker), *refused])
        try:
            _make(docker, lan(name), str(lan_subnet), name)
            # Internal: no default route through it, as a tailnet has none.
            if not has_real_tailnet:
                _make(docker, tailnet(name), str(tailnet_subnet), name, "--internal")
        except LabError as error:
            # Another lab was faster with the same subnets.
            if "overlaps" not in str(error):
                raise
            refused.append(lan_subnet)
            docker.try_run("network", "rm", lan(name))
            continue
        subnet = REAL_TAILNET if has_real_tailnet else str(tailnet_subnet)
        state = LabState(name, subnet, str(lan_subnet), tailnet="real" if has_real_tailnet else "fake")
        save(state)
        return state


def _make(docker: Docker, network: str, subnet: str, lab: str, *options: str) -> None:
    existing = docker.try_run("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network)
    if existing.returncode == 0:
        if existing.stdout.strip() == subnet:
            return
        # Left behind by an `up` that was interrupted before it could note its choice.
        docker.run("network", "rm", network)
    docker.run("network", "create", "--subnet", subnet, *options, *label_options(lab), network)
