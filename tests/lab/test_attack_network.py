"""The port is Tailscale's alone, whoever sends what from where, and whatever happens to the firewalls of the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.lab.attackers import ATTACKS, FIREWALL, Attack, Attackers, ways_in
from tests.lab.conftest import Lab
from tests.lab.faults import await_that
from tests.lab.outages import gateway_of_its_own
from tests.lab.shown import Shown

pytestmark = pytest.mark.attack

TABLE = "inet openclaw_llm_gateway"
_PATH = "PATH=$PATH:/usr/sbin;"
# Here and not where they are used: what flushes a lab host's rules takes its names' server away, which is Docker's.
_OTHER_FIREWALLS = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq -y --no-install-recommends ufw"
    " firewalld >/dev/null && systemctl disable --quiet --now firewalld"
)


@dataclass(frozen=True)
class Event:
    """Something that happens to the firewalls of a host, in words and as a shell command; `fix`, what ends it."""

    name: str
    command: str
    fix: str = "true"


_DOCKER = "systemctl reset-failed docker && systemctl restart docker"  # systemd refuses a fourth start within a minute
_UFW_ON, _UFW_OFF = "ufw allow ssh >/dev/null && ufw --force enable >/dev/null", f"ufw disable >/dev/null && {_DOCKER}"
_FIREWALLD_ON, _FIREWALLD_OFF = f"systemctl start firewalld && {_DOCKER}", f"systemctl stop firewalld && {_DOCKER}"
EVENTS = (
    Event("docker is restarted", _DOCKER),
    Event("tailscaled is restarted", "systemctl restart tailscaled"),
    Event("ufw is switched on", _UFW_ON, _UFW_OFF),
    Event("firewalld is started", _FIREWALLD_ON, _FIREWALLD_OFF),
    Event("nft flush ruleset, by hand", "nft flush ruleset", _DOCKER),
)
ALIKE = (
    Event("ufw is reloaded", f"{_UFW_ON} && ufw reload >/dev/null", _UFW_OFF),
    Event("firewall-cmd --reload", f"{_FIREWALLD_ON} && firewall-cmd --quiet --reload", _FIREWALLD_OFF),
    Event(
        "firewall-cmd --complete-reload", f"{_FIREWALLD_ON} && firewall-cmd --quiet --complete-reload", _FIREWALLD_OFF
    ),
    Event("firewalld is stopped", f"{_FIREWALLD_ON} && systemctl stop firewalld", _DOCKER),
    Event("nftables.service is restarted", "systemctl restart nftables"),
    Event("nftables.service is reloaded", "systemctl reload nftables"),
    Event(
        "all of iptables' rules are gone: Docker's proxy takes the connections",
        "iptables -P FORWARD ACCEPT; iptables -F; iptables -t nat -F; iptables -t nat -X",
        _DOCKER,
    ),
)
_PARAMETERS = (
    *(pytest.param(event, id=event.name) for event in EVENTS),
    *(pytest.param(event, id=event.name, marks=pytest.mark.full) for event in ALIKE),
)


@pytest.fixture(scope="module")
def them(deployed: Lab) -> Iterator[Attackers]:
    """A gateway of this file's own, and those around it."""
    with gateway_of_its_own(deployed, "gw60") as gateway:
        gateway.ssh(_OTHER_FIREWALLS)
        found = Attackers(gateway)
        found.prepare()
        yield found


def _name(attack: Attack) -> str:
    return attack.name


@pytest.mark.parametrize("attack", ATTACKS, ids=_name)
def test_an_attack_gets_in_where_the_rules_do_nothing_and_not_where_they_stand(
    them: Attackers, shown: Shown, attack: Attack
) -> None:
    with them.let_through():
        assert attack.gets_in(them), "what gets in nowhere shows nothing"
    with shown("attack", attack.name) as it:
        assert not attack.gets_in(them), "it gets in"
        it.happened("no answer, and nothing arrives; without the rules it gets in")


@pytest.mark.parametrize("event", _PARAMETERS)
def test_nothing_gets_in_whatever_happens_to_the_firewalls(them: Attackers, shown: Shown, event: Event) -> None:
    them.gateway.await_completion()  # the event before may have ended with a restart of Docker
    rules = them.gateway.firewall()
    with shown("attack", f"all of these, when {event.name}") as it:
        them.gateway.ssh(_PATH + event.command)
        # What keeps attacks out now may be the other firewall: ours has to stand by itself.
        assert them.gateway.firewall() == rules
        them.prepare()
        found = ways_in(them)
        assert not found, f"gets in: {', '.join(found)}"
        it.happened("no answer; consumers get theirs")
    them.gateway.ssh(_PATH + event.fix)
    them.gateway.await_completion()  # so that the next one does not begin in the midst of a start


def test_nothing_gets_in_when_what_holds_the_table_is_killed(them: Attackers, shown: Shown) -> None:
    before = them.gateway.started()
    with shown("attack", "all of these, when what holds the table is killed (SIGKILL)") as it:
        them.gateway.ssh(f"systemctl kill -s KILL {FIREWALL}")
        assert TABLE in them.gateway.ssh("nft list tables"), "the table was away"
        them.gateway.await_restart(before)  # systemd starts the gateway anew with what it requires
        them.prepare()
        found = ways_in(them)
        assert not found, f"gets in: {', '.join(found)}"
        it.happened("no answer; the rules stay, and the gateway is started anew")


def test_nothing_gets_in_after_a_reboot(them: Attackers, shown: Shown) -> None:
    with shown("attack", "all of these, after a reboot") as it:
        restarted = them.lab.command("host-restart", them.gateway.name)
        assert restarted.code == 0, restarted.output
        them.prepare()
        found = ways_in(them)
        assert not found, f"gets in: {', '.join(found)}"
        it.happened("no answer; consumers get theirs")
    began = them.gateway.ssh(
        f"systemctl show -p ActiveEnterTimestampMonotonic --value {FIREWALL} network-pre.target openclaw-llm-gateway"
    )
    firewall, network, gateway = (int(moment) for moment in began.split())
    assert firewall <= network, "there was a network before the firewall"
    assert firewall <= gateway


def test_nobody_else_can_change_the_rules(them: Attackers, shown: Shown) -> None:
    rules = them.gateway.firewall()
    with shown("attack", "root changes or removes the rules by nft, by mistake or by a script") as it:
        for command in (f"delete table {TABLE}", f"flush table {TABLE}", f"add rule {TABLE} published accept"):
            told = them.gateway.ssh(f"nft {command} 2>&1 && echo done || true")
            assert "Operation not permitted" in told, told
        assert them.gateway.firewall() == rules
        it.happened("the kernel refuses: the table has an owner")


def test_there_is_no_gateway_without_its_firewall(them: Attackers, shown: Shown) -> None:
    with shown("attack", "the firewall is stopped (systemctl stop)") as it:
        them.gateway.ssh(f"systemctl stop {FIREWALL}")
        state = them.gateway.ssh("systemctl is-active openclaw-llm-gateway || true")
        assert state in ("inactive", "deactivating"), state
        await_that(lambda: not _runs(them.gateway.ssh), "the gateway's container is gone")
        it.happened("the gateway stops with it")
    them.gateway.ssh("systemctl start openclaw-llm-gateway")
    them.gateway.await_completion()
    assert them.gateway.ssh(f"systemctl is-active {FIREWALL}") == "active"


@pytest.mark.fault
def test_docker_is_started_anew_where_its_rules_are_gone(them: Attackers, shown: Shown) -> None:
    """It makes its chains at its start alone, and without them no container with a port can be started."""
    gateway = them.gateway
    gateway.ssh("docker rm -f bystander trial")  # where containers of others run, that is left to a person
    with shown("fault", "nft flush ruleset takes Docker's rules away, and the container is killed") as it:
        before = gateway.started()
        gateway.ssh("nft flush ruleset; docker kill openclaw-llm-gateway")
        gateway.await_restart(before)
        gateway.await_completion()
        it.happened("Docker is started anew, and the gateway with it")
    them.prepare()


def _runs(ssh: Callable[[str], str]) -> bool:
    return bool(ssh("docker ps -q --filter name=^openclaw-llm-gateway$"))


def test_a_deployment_puts_rules_back_that_somebody_has_loaded(them: Attackers) -> None:
    """As root who means it: with the unit stopped, and rules of one's own under the same name."""
    gateway = them.gateway
    assert gateway.verify().code == 0
    gateway.ssh(
        f"systemctl kill -s KILL {FIREWALL}; systemctl stop {FIREWALL}; nft delete table {TABLE}; nft add table {TABLE}"
    )
    verified = gateway.verify()
    assert verified.code == 1, verified.output
    assert "firewall:" in verified.output
    assert "run deploy.py" in verified.output
    fixed = gateway.deploy()
    assert fixed.code == 0, fixed.output[-3000:]
    assert "Start the firewall" in fixed.output
    them.prepare()
    assert not ways_in(them)
    again = gateway.deploy()
    assert again.code == 0, again.output[-3000:]
    assert "nothing was changed" in again.output
