"""A gateway host's canary, seen from outside: it looks, what it finds is well, and its files are as they should be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from llm_gateway.model.checks import in_seconds
from llm_gateway.model.layout import METRICS_FILE, STATE
from llm_gateway.parts.canary import canary_health
from llm_gateway.parts.canary.canary_health import Found, first_ones
from llm_gateway.parts.canary.scheduled_canary import CANARY
from tests.server.conftest import Server

PROPERTIES = "-p Id -p ActiveState -p Result"


def _found(gateway: Server) -> Found | None:
    return Found.parse(first_ones(gateway.sh(f"cat {STATE}/canary.state 2>/dev/null || true").splitlines()))


def test_the_canary_looks(gateway: Server) -> None:
    interval = gateway.settings.gateway_canary_interval
    if interval is None:
        return  # none was asked for
    shown = gateway.sh(f"LC_ALL=C systemctl show {CANARY.timer} {CANARY.service} {PROPERTIES}")
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    installed, now = (
        datetime.fromtimestamp(int(gateway.sh(command)), UTC) for command in (f"stat -c %Y {CANARY.path}", "date +%s")
    )
    period = timedelta(seconds=in_seconds(interval))
    assert canary_health.problem({unit["Id"]: unit for unit in units}, _found(gateway), period, installed, now) is None
    assert gateway.host.service(CANARY.timer).is_enabled


def test_what_it_found_last_is_well(gateway: Server) -> None:
    found = _found(gateway)
    if gateway.settings.gateway_canary_interval is None or found is None:
        return  # it has not looked yet; whether it should have is asked above
    assert (found.result, dict(found.wrong)) == ("ok", {})


def test_its_files_are_roots(gateway: Server) -> None:
    if gateway.settings.gateway_canary_interval is None:
        return
    directory = gateway.settings.gateway_directory
    for path, mode in ((f"{directory}/canary", 0o755), (f"{directory}/canary.conf", 0o600)):
        file = gateway.host.file(path)
        assert (file.mode, file.user, file.group) == (mode, "root", "root"), path
    metrics = gateway.host.file(f"{gateway.settings.gateway_metrics_directory or f'{STATE}/metrics'}/{METRICS_FILE}")
    if metrics.exists:
        assert (metrics.mode, metrics.user) == (0o644, "root")
