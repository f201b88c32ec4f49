"""After a reboot with a late Tailscale address, the gateway serves again by itself."""

from __future__ import annotations

import json
import time

from tests.lab.conftest import Lab

DELAY = "5"


def test_the_gateway_comes_back_when_the_address_comes_late(deployed: Lab) -> None:
    deployed.ssh("gw1", f"echo {DELAY} > /etc/openclaw-lab/tailscale-delay")
    restarted = deployed.command("host-restart", "gw1")
    assert restarted.code == 0, restarted.output
    url = f"http://{deployed.address('gw1')}:3000/api/status"
    deadline = time.monotonic() + 120
    while True:
        answer = deployed.command("peer", "--", "curl", "-s", "-m", "2", url)
        if answer.code == 0:
            break
        assert time.monotonic() < deadline, deployed.ssh("gw1", "journalctl --no-pager -n 30 -u openclaw-llm-gateway")
        time.sleep(0.2)
    assert json.loads(answer.stdout)["success"] is True
    journal = deployed.ssh("gw1", "journalctl --no-pager -b -u openclaw-llm-gateway")
    assert f"waiting: {deployed.address('gw1')} is on no interface of this host" in journal
    assert deployed.verify().code == 0


def test_after_a_reboot_a_run_changes_nothing(deployed: Lab) -> None:
    again = deployed.deploy("--json")
    assert again.code == 0, again.output[-3000:]
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0
