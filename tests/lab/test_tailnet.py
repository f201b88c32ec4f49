"""What Tailscale does to a host on which a gateway serves: whose address One API sees, and what is told.

`make test-tailnet` runs it on real tailscaleds, `make test` on the lab's stand-in, which was corrected to them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from llm_gateway.flavours.specs import TokenSpec
from tests.lab.attackers import FIREWALL, RULES
from tests.lab.conftest import Lab
from tests.lab.faults import await_that
from tests.lab.outages import UNIT, Gateway, gateway_of_its_own
from tests.lab.seen_status import attention
from tests.lab.shown import Shown
from tests.lab.tailnet import Machine

pytestmark = [pytest.mark.attack, pytest.mark.fault]

# Docker's rules are put before Tailscale's where Docker starts last, and behind them where tailscaled does.
RESTARTS = (
    pytest.param("systemctl restart tailscaled", id="tailscaled is restarted"),
    pytest.param("systemctl restart docker; systemctl restart tailscaled", id="docker and tailscaled are restarted"),
)


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[Gateway]:
    """A gateway of this file's own."""
    with gateway_of_its_own(lab, "gw80") as found:
        yield found


def seen_by_one_api(gateway: Gateway, path: str) -> str:
    """Whose address One API sees when the peer asks for a path."""
    asked = gateway.lab.command("peer", "--", "curl", "-sS", "-m", "5", f"http://{gateway.address}:3000{path}")
    assert '"success":true' in asked.stdout, asked.output
    return gateway.ssh(f"docker logs openclaw-llm-gateway 2>&1 | grep -F '{path}' | cut -d'|' -f5").strip()


def _peer(gateway: Gateway) -> str:
    return str(gateway.lab.state["peer_address"])


@pytest.mark.parametrize("restart", RESTARTS)
def test_one_api_sees_the_peer_whoever_started_last(gateway: Gateway, shown: Shown, restart: str) -> None:
    name = restart.partition(" ")[2]
    with shown("attack", f"tailscaled masquerades its peers, when its rules stand before Docker's ({restart})") as it:
        gateway.ssh(restart)
        gateway.await_completion()
        # Without the rule it does, which shows that this restart has put tailscaled's before Docker's.
        gateway.ssh(f"sed -i.kept '/meta mark set/d' {RULES} && systemctl reload {FIREWALL}")
        bridge = seen_by_one_api(gateway, f"/api/status?without-{len(name)}")
        gateway.ssh(f"mv {RULES}.kept {RULES} && systemctl reload {FIREWALL}")
        assert bridge != _peer(gateway), "nothing is masqueraded, so this shows nothing"
        assert seen_by_one_api(gateway, f"/api/status?with-{len(name)}") == _peer(gateway)
        it.happened(f"One API sees the peer; without our rule all are {bridge}")


def test_a_token_that_is_kept_to_the_tailnet_serves(gateway: Gateway) -> None:
    with gateway.admin() as admin:
        admin.create_token(TokenSpec("of-the-tailnet", subnets=(f"{_peer(gateway)}/32",)))
    gateway.key = gateway.key_of("of-the-tailnet")
    gateway.await_completion(10)


def test_one_peers_wrong_log_ins_lock_nobody_else_out(gateway: Gateway, shown: Shown) -> None:
    log_in = (
        "for i in $(seq 25); do curl -sS -m 5 -o /dev/null -w '%{http_code}\\n' -H 'Content-Type: application/json'"
        """ -d '{"username": "root", "password": "wrong-one"}' http://ADDRESS:3000/api/user/login; done"""
    )
    with shown("attack", "a peer tries 25 passwords in the admin page") as it:
        tried = gateway.lab.command("peer", "--", "sh", "-c", log_in.replace("ADDRESS", gateway.address))
        assert "429" in tried.stdout.split(), tried.output
        request = "POST /api/user/login HTTP/1.0\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
        ask = f"exec 3<>/dev/tcp/{gateway.address}/3000; printf '{request}' >&3; head -n 1 <&3"
        other = gateway.lab.ssh("agent1", f"timeout 10 bash -c {shlex.quote(ask)}")
        assert "HTTP/1" in other, other
        assert "429" not in other, other
        it.happened("it alone is refused for a while (429); another is not")


@dataclass(frozen=True)
class State:
    """A state in which nobody gets to the gateway: how it comes and goes, and the command that is named."""

    name: str
    begin: Callable[[Machine], object]
    command: str
    end: Callable[[Machine], object]


STATES = (
    State("tailscale down", lambda it: it.run("tailscale down"), "tailscale up", lambda it: it.run("tailscale up")),
    State(
        "tailscaled is stopped",
        lambda it: it.run("systemctl stop tailscaled"),
        "systemctl start tailscaled",
        lambda it: it.run("systemctl start tailscaled"),
    ),
    State("its key has expired", Machine.expire_key, "tailscale up", Machine.renew_key),
    State(
        "no coordination server answers", Machine.cut_from_control, "tailscale netcheck", Machine.reconnect_to_control
    ),
)


_PARAMETERS = (  # the others, on the lab's stand-in, by make test-full
    *(pytest.param(state, id=state.name) for state in STATES[::2]),
    *(pytest.param(state, id=state.name, marks=pytest.mark.full) for state in STATES[1::2]),
)


@pytest.mark.parametrize("state", _PARAMETERS)
def test_each_state_is_named_with_its_command(gateway: Gateway, shown: Shown, state: State) -> None:
    machine = Machine(gateway.lab.state["name"], gateway.name)
    with shown("fault", f"Tailscale on the gateway's host: {state.name}") as it:
        state.begin(machine)
        try:
            _is_named(gateway, machine, state.command)
        finally:
            state.end(machine)
        gateway.await_completion()
        await_that(lambda: "is started on" in _says(machine), "the unit says that it serves", 30)
        it.happened(f"the unit, status, verify.py and the canary name `{state.command}`; it serves again by itself")


def test_an_exit_node_that_takes_local_networks_too_is_named(gateway: Gateway, shown: Shown) -> None:
    """Entered by Docker alone: SSH over the LAN is not answered then, either."""
    machine, command = Machine(gateway.lab.state["name"], gateway.name), "tailscale set --exit-node-allow-lan-access"
    with shown("fault", "Tailscale on the gateway's host: an exit node, without access to local networks") as it:
        machine.use_exit_node()
        try:
            await_that(lambda: f"`{command}`" in _says(machine), "the unit names the command", 30)
            machine.run("systemctl start openclaw-llm-gateway-canary")
            assert f"`{command}`" in machine.run("tail -n 1 /var/lib/openclaw-llm-gateway/canary.jsonl")
            machine.run(command)
            gateway.await_completion()
            await_that(lambda: "is started on" in _says(machine), "the unit says that it serves", 30)
        finally:
            machine.run("tailscale set --exit-node= --exit-node-allow-lan-access=false")
        it.happened(f"the unit and the canary name `{command}`, after which it serves")


def _is_named(gateway: Gateway, machine: Machine, command: str) -> None:
    """By the unit, the canary, status.py and verify.py."""
    await_that(lambda: f"`{command}`" in _says(machine), "the unit names the command", 30)
    machine.run("systemctl start openclaw-llm-gateway-canary")
    last = machine.run("tail -n 1 /var/lib/openclaw-llm-gateway/canary.jsonl")
    assert f"`{command}`" in last, last
    assert f"`{command}`" in attention(str(gateway.inventory), gateway.name)
    gateway.verify().must_fail_with(gateway.name, f"`{command}`")


@pytest.mark.full
def test_a_log_out_is_named_and_a_new_address_takes_one_deployment(gateway: Gateway, shown: Shown) -> None:
    """The last: who logs in to a real tailnet anew gets another address."""
    machine = Machine(gateway.lab.state["name"], gateway.name)
    with shown("fault", "Tailscale on the gateway's host: it is logged out, and logs in anew") as it:
        machine.run("tailscale logout")
        _is_named(gateway, machine, "tailscale up")
        machine.log_in()
        new = machine.run("tailscale ip -4")
        if new != gateway.address:
            await_that(lambda: f"this host is {new} in the tailnet now" in _says(machine), "the unit names it", 30)
            assert new in attention(str(gateway.inventory), gateway.name)
            gateway.address = new
            fixed = gateway.deploy()
            assert fixed.code == 0, fixed.output[-3000:]
        gateway.await_completion()
        it.happened("named as the others; it serves again, on another address after one deployment")


def _says(machine: Machine) -> str:
    return machine.run(f"systemctl show -p StatusText --value {UNIT}")
