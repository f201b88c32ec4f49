"""What only a real Tailscale shows: its SSH, MagicDNS, reboots in both of its firewall modes. For `make test-tailnet`.

Over its SSH one daemon carries all connections: the lock and the undo end with the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import networks, tailnet
from lab.labels import object_name
from tests.lab.conftest import ROOT, Lab, Run
from tests.lab.faults import await_line, await_that, running
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.shown import Shown
from tests.lab.tailnet import Machine
from tests.lab.test_tailnet import seen_by_one_api
from tests.lab.test_undo import HOME

pytestmark = [pytest.mark.attack, pytest.mark.fault]

SCRIPT = str(ROOT / "tests/lab/undo_run.py")
UNDONE_WITHIN_SECONDS = 5
NAMES_WITHIN_SECONDS = 30
MAGIC = "100.100.100.100"
# The peer is a machine of the tailnet, which this one is not.
_SSH_CONFIG = "Host 100.64.*\n  ProxyCommand docker exec -i {peer} nc %h %p\n"
_INVENTORY = """
_over = {{"ssh_hostname": {address!r}, "ssh_config_file": {config!r}, "ssh_known_hosts_file": {known!r},
    "ssh_strict_host_key_checking": "accept-new"}}
gateways = [(name, {{**data, **_over}}) for name, data in gateways]
"""


@pytest.fixture(scope="module")
def gateway(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is reached over Tailscale SSH."""
    with gateway_of_its_own(lab, "gw81") as found:
        place = tmp_path_factory.mktemp("ssh")
        config = place / "config"
        config.write_text(_SSH_CONFIG.format(peer=object_name(lab.state["name"], "peer")))
        values = {"address": found.address, "config": str(config), "known": str(place / "known_hosts")}
        with found.inventory.open("a") as inventory:
            inventory.write(_INVENTORY.format(**values))
        yield found


def _lock(gateway: Gateway) -> str:
    """The process that has the host's lock, "" where it has ended."""
    read = "read -r holder _ < /run/openclaw-llm-gateway.lock"
    return gateway.ssh(f"{read} && [ -d /proc/$holder ] && echo $holder || true")


def test_a_deployment_succeeds_and_its_lock_ends_with_it(gateway: Gateway) -> None:
    done = gateway.deploy()
    assert done.code == 0, done.output[-3000:]
    assert "nothing was changed" in done.output
    await_that(lambda: not _lock(gateway), "the lock ends with the run", UNDONE_WITHIN_SECONDS)
    assert gateway.ssh("ls /run | grep carrier || true") == ""
    gateway.ssh("systemctl start openclaw-llm-gateway-canary")
    assert '"ok": true' in gateway.ssh(f"tail -n 1 {HOME}/canary.jsonl")


@pytest.mark.full
def test_two_runs_exclude_each_other_and_a_killed_one_is_undone(gateway: Gateway, shown: Shown) -> None:
    arguments = (str(gateway.inventory), SCRIPT)
    with shown("fault", "a run over Tailscale SSH is killed in the midst (seconds until all is undone)") as it:
        with running(*arguments, environment={"UNDO_STEP_SECONDS": "8", "UNDO_SECONDS": "120"}) as run:
            await_line(run, "trial: taking its data away")
            gateway.deploy().must_fail_with("another run is at work on this host (undo_run.py by ")
        killed = time.monotonic()
        await_that(lambda: _is_undone(gateway), "it is undone", UNDONE_WITHIN_SECONDS)
        it.took(time.monotonic() - killed)
        gateway.await_completion()
        assert "the run was cut off" in gateway.ssh(f"grep event.*undone {HOME}/journal.jsonl | tail -n 1")
        assert not _lock(gateway)
        it.happened("another is refused while it runs; the host undoes it, and serves")


def _is_undone(gateway: Gateway) -> bool:
    return not gateway.ssh(f"ls -d {HOME}/unfinished {HOME}/undoing 2>/dev/null || true")


def test_without_any_key_it_is_said_what_to_do(gateway: Gateway, tmp_path: Path) -> None:
    inventory = tmp_path / "no_key.py"
    inventory.write_text(f"{gateway.inventory.read_text()}\nfor _, _data in gateways:\n    del _data['ssh_key']\n")
    run: Run = gateway.lab.pyinfra("-y", str(inventory), "deploy.py", environment={"HOME": str(tmp_path)})
    assert run.code == 1, run.output
    told = " ".join(run.output.split())
    assert "`ssh-keygen -t ed25519`" in told, run.output
    assert "Traceback" not in run.output


@pytest.fixture
def machine(gateway: Gateway) -> Iterator[Machine]:
    """Its host, with a resolver that is not on a loopback address, as a router's is."""
    found = Machine(gateway.lab.state["name"], gateway.name)
    found.run("cp /etc/resolv.conf /root/resolv.conf")
    found.run(f"echo nameserver {tailnet.control_address(found.state)} > /etc/resolv.conf")
    yield found
    found.tell_control("magicdns/off")
    await_that(lambda: MAGIC not in found.run("cat /etc/resolv.conf"), "MagicDNS is off")
    found.run("cat /root/resolv.conf > /etc/resolv.conf")


def _resolves(machine: Machine, name: str) -> bool:
    """Whether One API's container knows an address for it."""
    ask = f"import socket; print(socket.gethostbyname('{name}'))"
    return "." in machine.run(f'timeout 5 docker exec openclaw-llm-gateway python3 -c "{ask}" 2>/dev/null || true')


def _magic(machine: Machine, state: str) -> None:
    machine.tell_control(f"magicdns/{state}")
    await_that(lambda: (MAGIC in machine.run("cat /etc/resolv.conf")) == (state == "on"), f"MagicDNS is {state}")


@pytest.mark.full
def test_names_resolve_again_after_magicdns_is_switched(gateway: Gateway, machine: Machine, shown: Shown) -> None:
    name = f"{object_name(machine.state.name, 'upstream')}.{networks.lan(machine.state.name)}"
    with shown("fault", "MagicDNS is switched off and on while it serves (seconds until names resolve)") as it:
        _magic(machine, "on")
        machine.run("systemctl restart openclaw-llm-gateway")
        gateway.await_completion()
        assert MAGIC in machine.run("grep ExtServers /proc/$(pidof python3 | cut -d' ' -f1)/root/etc/resolv.conf")
        await_that(lambda: _resolves(machine, name), "names resolve by MagicDNS")
        started = gateway.started()
        with asking(gateway) as answers:
            longest = 0.0
            for state in ("off", "on", "off"):
                _magic(machine, state)
                switched = time.monotonic()
                await_that(lambda: _resolves(machine, name), f"names resolve, MagicDNS {state}", NAMES_WITHIN_SECONDS)
                longest = max(longest, time.monotonic() - switched)
                asked = len(answers)
                await_that(lambda asked=asked: len(answers) > asked + 1, "the peer asks on")
        it.took(longest)
        assert all(answers), f"{answers.count(False)} of {len(answers)} requests were lost"
        assert gateway.started() == started, "it was started anew"
        it.happened(f"names resolve again by themselves; all {len(answers)} requests meanwhile were answered")


@contextmanager
def asking(gateway: Gateway) -> Iterator[list[bool]]:
    """While the block runs, the peer asks for one completion after the other; whether each came."""
    answers: list[bool] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                gateway.await_completion(0)
                answers.append(True)
            except AssertionError:
                answers.append(False)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


@pytest.mark.full
@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_one_api_sees_the_peer_after_a_reboot(gateway: Gateway, shown: Shown, mode: str) -> None:
    with shown("attack", f"tailscaled masquerades its peers, after a reboot, by {mode}") as it:
        gateway.ssh(
            "sed -i /TS_DEBUG_FIREWALL_MODE/d /etc/default/tailscaled;"
            f" echo TS_DEBUG_FIREWALL_MODE={mode} >> /etc/default/tailscaled"
        )
        restarted = gateway.lab.command("host-restart", gateway.name)
        assert restarted.code == 0, restarted.output
        gateway.await_completion()
        rules = "nft list chain ip filter ts-forward" if mode == "nftables" else "iptables -S ts-forward"
        assert "0x40000" in gateway.ssh(f"PATH=$PATH:/usr/sbin; {rules}").replace("0x00040000", "0x40000")
        peer = gateway.lab.state["peer_address"]
        assert seen_by_one_api(gateway, f"/api/status?{mode}") == peer
        gateway.ssh("systemctl restart tailscaled")
        gateway.await_completion()
        assert seen_by_one_api(gateway, f"/api/status?again-{mode}") == peer
        it.happened("One API sees the peer, and after a restart of tailscaled, too")
