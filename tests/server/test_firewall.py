"""The firewall of a gateway, as its kernel has it."""

from __future__ import annotations

import json
from typing import Any

from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT
from tests.server.conftest import Server


def _chains(gateway: Server) -> dict[str, Any]:
    """The chains of the table that begin with a hook, by name."""
    table = json.loads(gateway.sh(f"PATH=$PATH:/usr/sbin nft -j list table {layout.FIREWALL_TABLE}"))["nftables"]
    return {entry["chain"]["name"]: entry["chain"] for entry in table if "hook" in entry.get("chain", {})}


def test_the_table_stands_and_has_an_owner(gateway: Server) -> None:
    text = gateway.sh(f"PATH=$PATH:/usr/sbin nft list table {layout.FIREWALL_TABLE}")
    assert "flags owner" in text
    port = f"ip daddr {gateway.address} tcp dport {gateway.settings.gateway_port}"
    assert f'{port} iifname != "tailscale0" counter packets' in text


def test_the_port_is_judged_before_docker_rewrites_its_address(gateway: Server) -> None:
    chains = _chains(gateway)
    assert chains["published"]["prio"] < -100  # NF_IP_PRI_NAT_DST
    assert chains["forward"]["prio"] < 0
    assert chains["input"]["prio"] < 0


def test_the_unit_is_enabled_runs_and_is_needed_by_the_gateway(gateway: Server) -> None:
    service = gateway.host.service(layout.FIREWALL_UNIT)
    assert service.is_enabled
    assert service.is_running
    assert gateway.sh(f"systemctl show -p NeedDaemonReload --value {layout.FIREWALL_UNIT}") == "no"
    assert gateway.host.service(f"{PROJECT}-resolvers.path").is_running
    needed = gateway.host.service("openclaw-llm-gateway.service").systemd_properties
    assert layout.FIREWALL_UNIT in needed["Requires"].split()
    assert layout.FIREWALL_UNIT in needed["After"].split()


def test_the_container_is_on_the_bridge_that_the_rules_name(gateway: Server) -> None:
    networks = json.loads(gateway.sh("docker container inspect openclaw-llm-gateway"))[0]["NetworkSettings"]["Networks"]
    for network in networks:
        options = json.loads(gateway.sh(f"docker network inspect {network}"))[0]["Options"]
        assert options["com.docker.network.bridge.name"].startswith("llmgw")


def test_what_tailscale_would_masquerade_is_unmarked_after_all_others(gateway: Server) -> None:
    chain = _chains(gateway)["peers"]
    assert (chain["hook"], chain["prio"] > 0) == ("forward", True)
    rule = 'iifname "tailscale0" oifname "llmgw*" meta mark set meta mark & 0xff00ffff'
    assert rule in gateway.sh(f"PATH=$PATH:/usr/sbin nft list chain {layout.FIREWALL_TABLE} peers")


def test_a_connection_out_of_the_container_to_its_host_is_refused(gateway: Server) -> None:
    pid = gateway.sh("docker container inspect -f '{{.State.Pid}}' openclaw-llm-gateway")
    said = gateway.sh(
        f"nsenter -t {pid} -n timeout 5 bash -c 'exec 3<>/dev/tcp/{gateway.address}/22 && echo in' 2>&1 || true"
    )
    assert "No route to host" in said
