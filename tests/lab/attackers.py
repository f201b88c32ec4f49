"""Those who may not use a gateway and try to: on its LAN, on its own host, by IPv6, with a sender's address not theirs.

What no answer can show, since it would go elsewhere, is shown where the packets would arrive: a table of nftables in
the network of the container counts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.faults import await_that
from tests.lab.outages import Gateway
from tests.lab.rows import DIRECTORY

RULES = "/var/lib/openclaw-llm-gateway/firewall/rules.nft"
FIREWALL = "openclaw-llm-gateway-firewall"
SPOOFED = 222
"""The last number of the tailnet address that the neighbour claims to have."""
_OUTSIDER, _INSIDE = "fd00:6::2", "fd00:7::2"

# The one on another network of the host speaks IPv6; the bystander is somebody's container; the trial is unpublished.
_ON_HOST = """
PATH=$PATH:/usr/sbin
image=$(docker container inspect -f '{{.Config.Image}}' openclaw-llm-gateway)
pid() { docker container inspect -f '{{.State.Pid}}' "$1"; }
ip netns exec outsider true 2>/dev/null || {
    ip netns delete outsider 2>/dev/null || true
    ip netns add outsider && ip link add outside type veth peer name eth0 netns outsider
}
sysctl -qw net.ipv6.conf.outside.disable_ipv6=0 net.ipv6.conf.llmgw0.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
ip link set outside up
ip -6 addr replace fd00:6::1/64 dev outside nodad
ip -6 addr replace fd00:7::1/64 dev llmgw0 nodad
ip netns exec outsider sh -ec 'sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0; ip link set lo up; ip link set eth0 up
    ip -6 addr replace fd00:6::2/64 dev eth0 nodad; ip -6 route replace default via fd00:6::1'
[ -n "$(docker ps -q --filter name=^bystander$)" ] ||
    docker run -d --name bystander --restart always --entrypoint sleep "$image" infinity >/dev/null
[ -n "$(docker network ls -q --filter name=^trial$)" ] ||
    docker network create -o com.docker.network.bridge.name=llmgw-trial trial >/dev/null
[ -n "$(docker ps -q --filter name=^trial$)" ] ||
    docker run -d --name trial --restart always --network trial -v DIRECTORY/tiktoken:/tiktoken:ro \\
        -e TIKTOKEN_CACHE_DIR=/tiktoken "$image" >/dev/null
nsenter -t "$(pid openclaw-llm-gateway)" -n sh -ec '
    sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0; ip -6 addr replace fd00:7::2/64 dev eth0 nodad
    ip -6 route replace default via fd00:7::1
    nft list table inet seen >/dev/null 2>&1 || nft "add table inet seen; add chain inet seen in {
        type filter hook prerouting priority raw; }; add rule inet seen in ip saddr SPOOFED counter;
        add rule inet seen in ip6 saddr fd00:6::2 counter"'
address() { docker container inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
printf '{"container": "%s", "trial": "%s"}' "$(address openclaw-llm-gateway)" "$(address trial)"
"""
_ON_NEIGHBOUR = """
ip addr replace SPOOFED/32 dev lo
ip route replace ADDRESS/32 via HOST
ip route replace CONTAINER/32 via HOST
ip route replace TRIAL/32 via HOST
"""
# With a verdict no more, each rule still counts: the table stands, and lets everything through.
_TOOTHLESS = f"sed -E -i.kept 's/ counter (drop|reject.*)$/ counter/' {RULES} && systemctl reload {FIREWALL}"
_WITH_TEETH = f"mv {RULES}.kept {RULES} && systemctl reload {FIREWALL}"


class Attackers:
    """Those around one gateway. `prepare` puts them in place, again after what may have moved them."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.lab = gateway, gateway.lab
        self.spoofed = f"{gateway.address.rpartition('.')[0]}.{SPOOFED}"
        self.addresses: dict[str, str] = {}

    def prepare(self) -> None:
        """Wait until the gateway serves, and put everybody in place."""
        self.gateway.await_completion()
        script = f"set -e\n{_ON_HOST}".replace("SPOOFED", self.spoofed).replace("DIRECTORY", DIRECTORY)
        told = self.gateway.ssh(script)
        self.addresses = json.loads(told.splitlines()[-1])
        values = {
            "SPOOFED": self.spoofed,
            "ADDRESS": self.gateway.address,
            "HOST": self.lab.state["hosts"][self.gateway.name]["lan_address"],
            "CONTAINER": self.addresses["container"],
            "TRIAL": self.addresses["trial"],
        }
        script = _ON_NEIGHBOUR
        for name, value in values.items():
            script = script.replace(name, value)
        done = self.lab.command("neighbour", "--", "sh", "-ec", script)
        assert done.code == 0, done.output
        await_that(lambda: self.lab_answers(self.addresses["trial"]), "the unpublished container answers its own host")

    def lab_answers(self, address: str) -> bool:
        """Whether One API answers there when its own host asks."""
        return "in" in self.gateway.ssh(f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/3000 && echo in' || true")

    def neighbour_gets(self, address: str, *options: str) -> bool:
        """Whether the neighbour on the LAN gets an answer of One API from there."""
        asked = ("curl", "-sS", "-m", "2", *options, f"http://{address}:3000/api/status")
        return '"success":true' in self.lab.command("neighbour", "--", *asked).stdout

    def connects(self, enter: str, address: str, port: int) -> str:
        """What comes of a TCP connection from elsewhere on the host: "in", or why not.

        Parameters: `enter`, the command that goes there, such as "ip netns exec outsider".
        """
        script = f"exec 3<>/dev/tcp/{address}/{port} && echo in"
        return self.gateway.ssh(f"{enter} timeout 2 bash -c '{script}' 2>&1 || [ $? != 124 ] || echo no answer")

    def enter(self, container: str) -> str:
        """The command that goes into the network of a container."""
        pid = self.gateway.ssh(f"docker container inspect -f '{{{{.State.Pid}}}}' {container}")
        return f"nsenter -t {pid} -n"

    def arrived(self, sender: str) -> int:
        """How many packets of a sender the network of the container has seen."""
        told = self.gateway.ssh(f"{self.enter('openclaw-llm-gateway')} nft list table inet seen")
        found = re.search(rf"saddr {re.escape(sender)} counter packets (\d+)", told)
        assert found, told
        return int(found[1])

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """While the block runs, the firewall's rules count and do nothing."""
        self.gateway.ssh(_TOOTHLESS)
        try:
            yield
        finally:
            self.gateway.ssh(_WITH_TEETH)


@dataclass(frozen=True)
class Attack:
    """A way to the gateway that is none; `gets_in` tries it."""

    name: str
    gets_in: Callable[[Attackers], bool]


def _arrives(them: Attackers, address: str) -> bool:
    before = them.arrived(them.spoofed)
    them.neighbour_gets(address, "--interface", them.spoofed)
    return them.arrived(them.spoofed) > before


def _arrives_by_ipv6(them: Attackers) -> bool:
    before = them.arrived(_OUTSIDER)
    answer = them.connects("ip netns exec outsider", _INSIDE, 3000)
    return "in" in answer.split() or them.arrived(_OUTSIDER) > before


ATTACKS = (
    Attack("its Tailscale address, routed there by a LAN neighbour", lambda it: it.neighbour_gets(it.gateway.address)),
    Attack("its Tailscale address, with a sender's of the tailnet", lambda it: _arrives(it, it.gateway.address)),
    Attack("the container's own address, from the LAN", lambda it: it.neighbour_gets(it.addresses["container"])),
    Attack("the container's own, with a sender's of the tailnet", lambda it: _arrives(it, it.addresses["container"])),
    Attack("the container by IPv6, from another network of the host", _arrives_by_ipv6),
    Attack(
        "its Tailscale address, from another container of the host",
        lambda it: "in" in it.connects(it.enter("bystander"), it.gateway.address, 3000).split(),
    ),
    Attack("a container that is tried and not published", lambda it: it.neighbour_gets(it.addresses["trial"])),
)


def ways_in(them: Attackers, attacks: tuple[Attack, ...] = ATTACKS) -> list[str]:
    """The names of the attacks that get in. All are tried at once, so that of those that count packets one may be taken
    for the other.
    """
    with ThreadPoolExecutor() as pool:
        outcomes = [(attack, pool.submit(attack.gets_in, them)) for attack in attacks]
        return [attack.name for attack, outcome in outcomes if outcome.result()]
