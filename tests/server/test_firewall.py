"""The firewall of a gateway, as its kernel has it."""

from __future__ import annotations

import json
from typing import Any

from gateway import firewall
from tests.server.conftest import Server


def _chains(gateway: Server) -> dict[str, Any]:
    """The chains of the table that begin with a hook, by the hook."""
    table = json.loads(gateway.sh(f"PATH=$PATH:/usr/sbin nft -j list table {firewall.TABLE}"))["nftables"]
    return {entry["chain"]["hook"]: entry["chain"] for entry in table if "hook" in entry.get("chain", {})}


def test_the_table_stands_and_has_an_owner(gateway: Server) -> None:
    text = gateway.sh(f"PATH=$PATH:/usr/sbin nft list table {firewall.TABLE}")
    assert "flags owner" in text
    port = f"ip daddr {gateway.address} tcp dport {gateway.settings.gateway_port}"
    assert f'{port} iifname != "tailscale0" counter packets' in text


def test_the_port_is_judged_before_docker_rewrites_its_address(gateway: Server) -> None:
    chains = _chains(gateway)
    assert chains["prerouting"]["prio"] < -100  # NF_IP_PRI_NAT_DST
    assert chains["forward"]["prio"] < 0
    assert chains["input"]["prio"] < 0


def test_the_unit_is_enabled_runs_and_is_needed_by_the_gateway(gateway: Server) -> None:
    service = gateway.host.service(firewall.UNIT)
    assert service.is_enabled
    assert service.is_running
    assert gateway.sh(f"systemctl show -p NeedDaemonReload --value {firewall.UNIT}") == "no"
    needed = gateway.host.service("openclaw-llm-gateway.service").systemd_properties
    assert firewall.UNIT in needed["Requires"].split()
    assert firewall.UNIT in needed["After"].split()


def test_the_container_is_on_the_bridge_that_the_rules_name(gateway: Server) -> None:
    networks = json.loads(gateway.sh("docker container inspect openclaw-llm-gateway"))[0]["NetworkSettings"]["Networks"]
    for network in networks:
        options = json.loads(gateway.sh(f"docker network inspect {network}"))[0]["Options"]
        assert options["com.docker.network.bridge.name"].startswith("llmgw")


def test_a_connection_out_of_the_container_to_its_host_is_refused(gateway: Server) -> None:
    pid = gateway.sh("docker container inspect -f '{{.State.Pid}}' openclaw-llm-gateway")
    said = gateway.sh(
        f"nsenter -t {pid} -n timeout 5 bash -c 'exec 3<>/dev/tcp/{gateway.address}/22 && echo in' 2>&1 || true"
    )
    assert "No route to host" in said
