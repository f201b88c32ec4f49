"""What One API can be made to ask for (an image_url takes any URL) leads nowhere private, and channels work.

Shown from within the network of the container, where a TCP connection is tried; whoever answers is put there first, and
answers while the rules do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.networks import NEIGHBOUR, PEER, address
from llm_gateway.flavours.specs import ChannelSpec
from tests.lab.attackers import Attackers
from tests.lab.conftest import Lab, Run
from tests.lab.faults import await_that
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.shown import Shown

pytestmark = pytest.mark.attack

PORT = 8099
PUBLIC = "203.0.113.9"
"""Of a network for documentation: it stands for the public Internet, which a lab may not reach."""
METADATA, METADATA_OF_ALIBABA = "169.254.169.254", "100.100.100.200"
DNS = 53
_SERVE = "mkdir -p /tmp/registry/v2; cd /tmp/registry; " + "".join(
    f"setsid timeout 900 python3 -m http.server {port} >/dev/null 2>&1 </dev/null &" for port in (PORT, DNS)
)
PLACES = {
    "the metadata of a cloud": METADATA,
    "the metadata of Alibaba's cloud": METADATA_OF_ALIBABA,
    "a server on the LAN": "neighbour",
    "another machine of the tailnet": "peer",
    "SSH of its own host, by its address on the LAN": "host",
    "SSH of its own host, by its Tailscale address": "gateway",
    "SSH of its own host, by the address of the bridge": "bridge",
}


class Around:
    """What is around the container, and answers."""

    def __init__(self, gateway: Gateway) -> None:
        state = gateway.lab.state
        self.gateway, self.them = gateway, Attackers(gateway)
        self.enter = self.them.enter("openclaw-llm-gateway")
        self.addresses = {
            "neighbour": address(state["lan_subnet"], NEIGHBOUR),
            "peer": address(state["tailnet_subnet"], PEER),
            "host": state["hosts"][gateway.name]["lan_address"],
            "gateway": gateway.address,
            "bridge": gateway.ssh("ip -4 -o addr show llmgw0 | awk '{print $4}'").partition("/")[0],
        }

    def serve(self) -> None:
        """Have the neighbour and the peer answer, the neighbour for addresses of others as well."""
        away = (METADATA, METADATA_OF_ALIBABA, PUBLIC)
        for machine, script in (
            ("neighbour", "".join(f"ip addr replace {each}/32 dev lo;" for each in away)),
            ("peer", ""),
        ):
            done = self.gateway.lab.command(machine, "--", "sh", "-ec", f"{script} {_SERVE}")
            assert done.code == 0, done.output
        self.gateway.ssh("; ".join(f"ip route replace {each}/32 via {self.addresses['neighbour']}" for each in away))

    def connects(self, place: str, port: int | None = None) -> str:
        """What comes of a connection from the container to a place: "in", or why not."""
        port = port or (22 if place in ("host", "gateway", "bridge") else PORT)
        return self.them.connects(self.enter, self.addresses.get(place, place), port)

    def deploy(self, **settings: object) -> Run:
        """Deploy it with these settings."""
        text = self.gateway.inventory.read_text()
        inventory = self.gateway.inventory.with_name(f"{self.gateway.name}-other.py")
        inventory.write_text(f"{text}\ngateways = [(name, {{**data, **{settings!r}}}) for name, data in gateways]\n")
        return self.gateway.lab.pyinfra("-y", str(inventory), "deploy.py")


@pytest.fixture(scope="module")
def around(deployed: Lab) -> Iterator[Around]:
    """A gateway of this file's own, and what is around it."""
    with gateway_of_its_own(deployed, "gw61") as gateway:
        found = Around(gateway)
        found.serve()
        with found.them.let_through():
            await_that(lambda: found.connects("neighbour") == "in", "the neighbour answers")
            await_that(lambda: found.connects("peer") == "in", "the peer answers")
        yield found


@pytest.mark.parametrize("name", PLACES)
def test_the_container_gets_nowhere_private(around: Around, shown: Shown, name: str) -> None:
    with around.them.let_through():
        assert around.connects(PLACES[name]) == "in", "what gets in nowhere shows nothing"
    with shown("attack", f"from the container: {name}") as it:
        said = around.connects(PLACES[name])
        assert "No route to host" in said, said
        it.happened("refused at once; without the rules it gets there")


@pytest.mark.parametrize("name", [name for name, place in PLACES.items() if place not in ("host", "gateway", "bridge")])
def test_a_port_for_names_leads_nowhere_private_either(around: Around, shown: Shown, name: str) -> None:
    with around.them.let_through():
        assert around.connects(PLACES[name], DNS) == "in", "what gets in nowhere shows nothing"
    with shown("attack", f"from the container, to port 53 of {name}") as it:
        said = around.connects(PLACES[name], DNS)
        assert "No route to host" in said, said
        it.happened("refused at once; without the rules it gets there")


def test_the_container_asks_the_resolver_of_its_host_for_names_also_when_that_is_another_one(around: Around) -> None:
    gateway, resolver = around.gateway, around.addresses["neighbour"]
    gateway.ssh("cat /etc/resolv.conf > /srv/resolv.conf")
    try:
        # Written over, for Docker has mounted it in a lab host.
        gateway.ssh(f"echo 'nameserver {resolver}' > /etc/resolv.conf && systemctl restart openclaw-llm-gateway")
        gateway.await_completion()
        around.enter = around.them.enter("openclaw-llm-gateway")
        assert around.connects("neighbour", DNS) == "in"
        assert "No route to host" in around.connects("neighbour"), "on that port alone"
        assert "No route to host" in around.connects("peer", DNS)
        assert gateway.lab.verify("--limit", gateway.name).code == 0, "it is none of the changes that are told"
    finally:
        gateway.ssh("cat /srv/resolv.conf > /etc/resolv.conf && systemctl restart openclaw-llm-gateway")
        gateway.await_completion()
        around.enter = around.them.enter("openclaw-llm-gateway")


def test_the_container_reaches_the_internet_and_its_channels(around: Around) -> None:
    assert around.connects(PUBLIC) == "in"
    around.gateway.await_completion()


def test_a_private_upstream_is_reached_where_it_is_allowed_and_on_that_port_alone(around: Around) -> None:
    neighbour = around.addresses["neighbour"]
    rules = around.deploy(gateway_private_upstreams=[f"{neighbour}:{PORT}"])
    assert rules.code == 0, rules.output[-3000:]
    assert "Publish the gateway" not in rules.output, "other rules are no reason to restart the gateway"
    assert around.connects("neighbour") == "in"
    assert "No route to host" in around.connects("peer")
    other = around.deploy(gateway_private_upstreams=[f"{neighbour}:{PORT + 1}"])
    assert other.code == 0, other.output[-3000:]
    assert "No route to host" in around.connects("neighbour")


def test_a_run_that_fails_shuts_nobody_out_and_one_that_succeeds_lets_in_no_more_than_it_says(around: Around) -> None:
    gateway, neighbour = around.gateway, around.addresses["neighbour"]
    allowed = {"gateway_private_upstreams": [f"{neighbour}:{PORT}"]}
    assert around.deploy(**allowed).code == 0
    # It answers /v2/ as a registry does, and has no image: a run that reaches no registry is refused beforehand.
    image = f"{neighbour}:{PORT}/one-api:1"
    failed = around.deploy(gateway_port=3001, gateway_image=image, gateway_image_archive=None)
    assert failed.code != 0 and "FAILED at: Pull the image" in failed.output, failed.output[-3000:]
    gateway.await_completion(10)
    assert around.connects("neighbour") == "in"
    assert "the loaded rules do not match the settings; run deploy.py" in gateway.verify().output
    done = gateway.deploy()
    assert done.code == 0, done.output[-3000:]
    assert "dport 3001" not in gateway.firewall() and "dport 3000" in gateway.firewall()
    assert "No route to host" in around.connects("neighbour")
    gateway.await_completion(10)
    assert "nothing was changed" in gateway.deploy().output.lower()


def test_a_channel_that_nobody_declared_and_the_firewall_cuts_off_is_told(around: Around) -> None:
    url = f"http://{around.addresses['neighbour']}:{PORT}"
    with around.gateway.admin() as admin:
        admin.create_channel(ChannelSpec("by-hand", 1, url, "key", ("some-model",)))
    run = around.gateway.deploy()
    assert run.code == 0, run.output[-3000:]
    told = " ".join(run.output.split())
    assert f"channel by-hand goes to {url}" in told
    assert f'gateway_private_upstreams = ["{around.addresses["neighbour"]}:{PORT}"]' in told


def test_peers_that_are_not_named_are_refused_at_once(around: Around, shown: Shown) -> None:
    lab, gateway = around.gateway.lab, around.gateway
    ask = ("peer", "--", "curl", "-sS", "-m", "10", f"http://{gateway.address}:3000/api/status")
    assert '"success":true' in lab.command(*ask).stdout
    with shown("attack", "a machine of the tailnet that gateway_allowed_peers does not name") as it:
        assert around.deploy(gateway_allowed_peers=[lab.address("agent1")]).code == 0
        it.start()
        refused = lab.command(*ask)
        assert refused.code == 7, refused.output
        assert it.lap() < 10
        it.happened("its connection is refused; the host itself and the peer that is named get their answer")
    assert '"success":true' in lab.ssh("agent1", _ASK_WITHOUT_CURL.format(address=gateway.address))
    assert '"success":true' in gateway.ssh(_ASK_WITHOUT_CURL.format(address=gateway.address))
    assert around.gateway.deploy().code == 0
    assert '"success":true' in lab.command(*ask).stdout


_ASK_WITHOUT_CURL = (
    "timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/3000;"
    ' printf "GET /api/status HTTP/1.0\\r\\nHost: g\\r\\n\\r\\n" >&3; cat <&3\''
)
