"""The host loses its power or its tailnet: the gateway comes back by itself, or says why it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.networks import address
from tests.lab.asking_agent import ask, is_completion
from tests.lab.conftest import Lab
from tests.lab.faults import await_ssh, await_that, cut_power
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.seen_status import attention
from tests.lab.shown import Shown

pytestmark = pytest.mark.fault

AGENT = "agent3"
DELAY = "/etc/openclaw-lab/tailscale-delay"
NEVER = 10**6
NEW_NUMBER = 240
"""The last part of the address that the host gets when it logs in again: no other lab host has it."""


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Gateway]:
    """A gateway of this file's own, with an agent."""
    with gateway_of_its_own(deployed, "gw3", AGENT) as found:
        yield found


def _boot_with_delay(gateway: Gateway, seconds: int) -> None:
    """Cut the host's power; when it is back, it gets its tailnet address after so many seconds."""
    gateway.ssh(f"echo {seconds} > {DELAY} && sync")
    cut_power(gateway.name)
    await_ssh(gateway.lab, gateway.name)


def _has_booted(gateway: Gateway) -> bool:
    return gateway.ssh("systemctl is-system-running || true") in ("running", "degraded")


def _await_that_it_says_so(gateway: Gateway) -> None:
    """The boot ends once the unit is started, which says a moment later what it waits for."""
    said = f"waiting: {gateway.address} is on no interface of this host"
    await_that(lambda: said in gateway.state(), f"the unit says: {said}", 30)


def test_tailscale_is_restarted(gateway: Gateway, shown: Shown) -> None:
    started, rules = gateway.started(), gateway.firewall()
    with shown("fault", "tailscaled is restarted") as it:
        gateway.ssh("systemctl restart tailscaled")
        gateway.await_completion()
        it.lap()
        assert gateway.started() == started
        assert gateway.firewall() == rules
        it.happened("answers again by itself; the container ran on, behind the same firewall rules")


@pytest.mark.full  # tests/lab/test_reboot.py has a shorter one
def test_the_address_comes_a_minute_late(gateway: Gateway, shown: Shown) -> None:
    rules = gateway.firewall()
    with shown("fault", "the power is cut, and Tailscale comes 60 s late (seconds from the address on)") as it:
        _boot_with_delay(gateway, 60)
        await_that(lambda: _has_booted(gateway), "the boot ends while Tailscale is not there", 45)
        assert gateway.ssh("tailscale status 2>&1 || true") == "Tailscale is starting."
        _await_that_it_says_so(gateway)
        answered = gateway.await_completion(120)
        came = float(gateway.ssh("stat -c %.3Y /run/tailscale/running"))
        it.took(answered - came)
        assert answered - came < 15, gateway.words()
        assert gateway.firewall() == rules
        it.happened("boots without it, waits and says so; answers after the address, behind the same firewall rules")


def test_tailscale_never_comes(gateway: Gateway, shown: Shown) -> None:
    with shown("fault", "the power is cut, and Tailscale never comes (seconds until the boot has ended)") as it:
        _boot_with_delay(gateway, NEVER)
        await_that(lambda: _has_booted(gateway), "the boot ends", 45)
        it.took(float(gateway.ssh("systemctl show -p FinishTimestampMonotonic --value")) / 1e6 - _pid_1_began(gateway))
        assert gateway.ssh("systemctl list-jobs --no-legend --plain") in ("", "No jobs running.")
        assert gateway.ssh("systemctl --failed --no-legend --plain") == ""
        assert gateway.ssh("systemctl is-active docker ssh") == "active\nactive"
        _await_that_it_says_so(gateway)
        assert gateway.address in attention(str(gateway.inventory), gateway.name)
        gateway.verify().must_fail_with(gateway.name, "Tailscale")
        gateway.ssh(f"echo 1 > {DELAY} && systemctl restart tailscaled")
        gateway.await_completion()
        it.happened("all else boots; the unit and status say what it waits for; it answers when the address comes")


def _pid_1_began(gateway: Gateway) -> float:
    """Seconds since the machine's boot; a lab host is younger than the machine that it runs on."""
    return float(gateway.ssh("systemctl show -p UserspaceTimestampMonotonic --value")) / 1e6


def test_the_address_changes(gateway: Gateway, shown: Shown) -> None:
    """The last: a lab host that has another address than its network gave it cannot be booted."""
    old, new = gateway.address, address(gateway.lab.state["tailnet_subnet"], NEW_NUMBER)
    with shown(
        "fault", "the host logs in to Tailscale again and gets another address (seconds of the deployment)"
    ) as it:
        gateway.ssh(f"sed -i s/^ADDRESS=.*/ADDRESS={new}/ /etc/openclaw-lab/tailnet && systemctl restart tailscaled")
        await_that(lambda: new in gateway.ssh("tailscale ip -4 || true"), "the new address")
        told = attention(str(gateway.inventory), gateway.name)
        assert old in told and new in told and "deploy.py" in told, told
        gateway.verify().must_fail_with(gateway.name, new)
        started = gateway.started()
        gateway.ssh("systemctl restart openclaw-llm-gateway")
        await_that(lambda: f"this host is {new} in the tailnet now" in gateway.state(), gateway.state())
        assert not is_completion(ask(gateway.lab, AGENT))
        it.start()
        fixed = gateway.deploy()
        assert fixed.code == 0, fixed.output[-4000:]
        it.lap()
        gateway.address = new
        assert gateway.started() != started
        gateway.await_completion(5)
        assert is_completion(ask(gateway.lab, AGENT))
        verified = gateway.verify()
        assert verified.code == 0, verified.output[-4000:]
        assert "Tailscale" not in attention(str(gateway.inventory), gateway.name)
        it.happened("status, verify.py and the unit name both addresses; deploy.py fixes it, for the agents too")
