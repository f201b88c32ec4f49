"""The page of the fleet on a gateway's host, seen from outside: where it listens, and whose its token is."""

from __future__ import annotations

from llm_gateway.model.layout import PAGE_UNIT, PAGE_USERS
from tests.server.conftest import Server


def test_it_listens_on_loopback_and_the_tailnet_alone(gateway: Server) -> None:
    port = gateway.settings.gateway_page_port
    if port is None:
        assert not gateway.host.file(f"/etc/systemd/system/{PAGE_UNIT}").exists
        return
    listening = gateway.sh(f"ss -ltnH 'sport = :{port}' | awk '{{print $4}}'").split()
    assert sorted(listening) == sorted([f"127.0.0.1:{port}", f"{gateway.address}:{port}"])
    assert gateway.host.service(PAGE_UNIT).is_enabled


def test_its_token_is_roots_alone_and_nginx_is_nobody(gateway: Server) -> None:
    if gateway.settings.gateway_page_port is None:
        return
    users = gateway.host.file(PAGE_USERS)
    assert (users.mode, users.user, users.group) == (0o600, "root", "root")
    number = gateway.sh(f"systemctl show -p MainPID --value {PAGE_UNIT}")
    assert int(gateway.sh(f"awk '/^Uid:/ {{print $2}}' /proc/{number}/status")) >= 61184, "of DynamicUser"
