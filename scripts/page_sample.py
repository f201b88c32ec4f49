"""A fleet made by hand, of which the documentation has pictures and the page's tests are: well, in trouble, old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from llm_gateway.model.usage import Group, Sums, Usage
from llm_gateway.proof.agent_path import Look
from llm_gateway.status.canary_status import Canary
from llm_gateway.status.differences import Drift
from llm_gateway.status.past import DAYS, Hour, Past
from llm_gateway.status.shapes import Backup, Disk, GatewayStatus, HostStatus, LastRun, Logs, OpenClawStatus
from llm_gateway.status.status_page import Page
from llm_gateway.status.usage_report import READ, GatewayUsage

MADE_AT = datetime(2026, 11, 30, 10, 11, 12, tzinfo=UTC)
MINUTES = 10
STATES = ("well", "trouble", "old")
NOW = {"well": MADE_AT.timestamp() + 60, "trouble": MADE_AT.timestamp() + 60, "old": MADE_AT.timestamp() + 7500}
"""What the reader's clock says."""
OLD = {"en": "OLD: ", "zh": "过期："}
"""How the title of an old page begins."""

_GATEWAY = GatewayStatus(
    is_running=True,
    address="100.64.0.1:3000",
    version="v0.6.10",
    image="justsong/one-api:v0.6.10",
    uptime=19 * 86400.0,
    models=("qwen3.5-plus", "MiniMax-M2.5", "text-embedding-v4"),
    backup=Backup("gateway-20261130T031500Z.tar.gz", 25000.0, 5 << 20, 14, ""),
    disk=Disk(40 << 20, 30 << 20, "/"),
    migrated_to=None,
    canary=Canary("ok", 180.0, 0.8, "", 287, 288, ""),
    logs=Logs(205 << 20, 3 << 20, 1_000_000, ""),
    health="healthy",
)
_GW1 = HostStatus(
    "gw1",
    ("gateways",),
    "up",
    gateway=_GATEWAY,
    drift=Drift("no"),
    last_run=LastRun("deploy.py", "wei@laptop", "2026-11-30T10:00:00Z", "3 changes", False),
)
_GW2 = replace(
    _GW1,
    name="gw2",
    gateway=replace(
        _GATEWAY,
        address="100.64.0.2:3000",
        backup=Backup("gateway-20261128T031500Z.tar.gz", 2 * 86400.0, 5 << 20, 12, "the last one failed"),
        canary=Canary("failed", 120.0, 0.0, "no completion: HTTP 503: verify.py says at which link", 271, 288, ""),
    ),
    attention=(
        "backup: the last one, of 2026-11-30 03:15 UTC, failed: no space left on device. When that is fixed: on the"
        " host, `systemctl start openclaw-llm-gateway-backup.service` makes one and `journalctl -u"
        " openclaw-llm-gateway-backup.service` says more",
        "canary, 2 min ago: no completion: HTTP 503: `llm-gateway verify` says at which link",
    ),
)
_AGENT1 = HostStatus(
    "agent1",
    ("openclaw",),
    "up",
    openclaw=OpenClawStatus("openclaw-gateway.service", "active", "gw1", Look(0.0123)),
    drift=Drift("no"),
    last_run=LastRun("deploy.py", "wei@laptop", "2026-11-30T10:00:00Z", "1 change", False),
)
_AGENT2 = HostStatus(
    "agent2", ("openclaw",), "down", "no connection could be made", attention=("it cannot be reached",)
)


def page(state: str, language: str, *, more: int = 0) -> Page:
    """The page of a state. Parameters: `more`, gateways besides."""
    well = [_GW1, _AGENT1]
    statuses = [*well, _GW2, _AGENT2] if state == "trouble" else well
    statuses += [replace(_GW1, name=f"gw{number}") for number in range(3, 3 + more)]
    pasts = {each.name: past(is_bad=each.name == "gw2") for each in statuses if each.gateway}
    return Page(statuses, MADE_AT, MINUTES, pasts, language)


def past(*, is_bad: bool = False) -> Past:
    """Two weeks, some of which went badly where `is_bad`."""
    today = MADE_AT.replace(hour=3, minute=15, second=0)
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    kept = [day for number, day in enumerate(days) if not (is_bad and number >= DAYS - 2)]
    return Past(
        tuple(_hours(is_bad=is_bad)),
        tuple((day.timestamp(), (3 << 20) + number * 160_000) for number, day in enumerate(kept)),
        tuple(day.timestamp() for day in days[-2:]) if is_bad else (),
        _usage(),
    )


def _hours(*, is_bad: bool) -> Iterator[Hour]:
    end = MADE_AT.replace(minute=0, second=0)
    for back in range((DAYS - 1) * 24 + 10, -1, -1):
        begin = end - timedelta(hours=back)
        seconds = 0.6 + 0.05 * (back * 7 % 11) + (0.5 if 2 <= begin.hour < 10 else 0.0)
        failed = 12 if is_bad and back in range(60, 66) else 5 if is_bad and back < 3 else 0
        came = 12 - failed
        yield Hour(begin.timestamp(), 12, failed, seconds * came, seconds * 2 if came else 0.0)


def _usage() -> GatewayUsage:
    cny = Decimal(1) / 1000
    groups = (
        _group("agent1", "qwen3.5-plus", 12_040, 39_118_700, 4_021_130, 50_581 * cny),
        _group("agent2", "qwen3.5-plus", 3_310, 9_420_000, 1_200_400, 13_298 * cny),
        _group("agent1", "text-embedding-v4", 8_310, 6_112_040, 0, 4_278 * cny),
        _group("agent2", "MiniMax-M2.5", 610, 1_904_000, 240_100, 6_015 * cny),
        _group("llm-gateway-canary", "qwen3.5-plus", 3_890, 38_900, 3_890, 50 * cny),
    )
    total = Sums()
    for group in groups:
        total = total.plus(group.sums)
    begin = MADE_AT - timedelta(days=DAYS)
    return GatewayUsage(
        "gw1", READ, "", begin, "Asia/Shanghai", None, Usage(total, groups, len(groups), (), begin, (), 0, None, 0)
    )


def _group(agent: str, model: str, requests: int, prompt: int, completion: int, cost: Decimal) -> Group:
    return Group((agent, model), Sums(requests, prompt, completion, 0, (("CNY", cost),), 0))
