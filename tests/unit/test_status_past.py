"""The last two weeks of a gateway, as its host tells them and a page shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_gateway.model.usage import Group, Sums, Usage
from llm_gateway.model.wording import CHINESE, ENGLISH, Wording
from llm_gateway.status import page_charts, past, strips
from llm_gateway.status.page_words import WORDS
from llm_gateway.status.past import Hour, Past
from llm_gateway.status.status_answers import StatusAnswers
from llm_gateway.status.usage_report import MOVED, READ, UNREADABLE, GatewayUsage
from tests.unit.fake_hosts import answer

NOW = datetime(2026, 11, 30, 10, 11, tzinfo=UTC)
BEGIN = datetime(2026, 11, 17, tzinfo=UTC)
TOLD = Wording(WORDS, ENGLISH)


def hour(after: float, asked: int = 12, failed: int = 0, seconds: float = 6.0, slowest: float = 0.9) -> Hour:
    return Hour((BEGIN + timedelta(hours=after)).timestamp(), asked, failed, seconds, slowest)


def test_what_a_host_has_kept_is_read_and_what_is_not_whole_counts_for_nothing() -> None:
    said = {
        "canary_hours": "2026-11-17T00 12 1 6.0 0.9\ncut off 12\n2026-11-17T25 1 0 1 1\n2026-11-17T01 1 0 0.5 0.5\n",
        "backups": "gateway-20261117T031500Z.tar.gz 4096 1794885300.5\n",
        "failed_backups": "1794885300.123456\n-- No entries --\n",
    }
    found = past.of(StatusAnswers.parse(answer(said)))
    assert found.hours == (hour(0, failed=1), hour(1, 1, 0, 0.5, 0.5))
    assert found.backups == ((1794885300.5, 4096),)
    assert found.failed_backups == (1794885300.123456,)
    assert past.of(StatusAnswers.parse(answer({}))) == past.NONE


def test_four_hours_are_a_bar_by_their_mean_and_failures_hang_from_above() -> None:
    hours = (hour(0), hour(1, seconds=18.0, slowest=3.0), hour(4), hour(8, failed=12, seconds=0.0), hour(12, failed=3))
    looks, _ = strips.strips(Past(hours), NOW, TOLD)
    # Means of 1.0 s, 0.5 s, nothing, and 6 s in 9 completions.
    assert looks.path == "M0 40v-40.0h3v40.0zM4 40v-20.0h3v20.0zM12 40v-26.7h3v26.7z"
    assert [(bar.x, bar.y, bar.height, bar.kind, bar.told) for bar in looks.bars] == [
        (8, 0, 40, "bad", "11-17 08:00 to 12:00 UTC: 12 of 12 failed"),
        (12, 0, 10, "bad", "11-17 12:00 to 16:00 UTC: 3 of 12 failed"),
    ]
    assert looks.told == "45 of 60 ok; mean 0.8 s, slowest 3.0 s"
    assert (looks.first, looks.last, looks.scale) == ("11-17", "11-30", "full height: 1.0 s")


def test_one_failure_of_a_thousand_looks_is_seen() -> None:
    looks, _ = strips.strips(Past((hour(0, asked=1000, failed=1),)), NOW, TOLD)
    assert [bar.height for bar in looks.bars] == [6]


@pytest.mark.parametrize(
    ("hours", "told"),
    [((), "nothing kept yet"), ((hour(-1), hour(14 * 24)), "nothing kept yet"), ((hour(0, failed=12),), "0 of 12 ok")],
)
def test_what_is_older_or_of_a_clock_that_was_wrong_is_left_out(hours: tuple[Hour, ...], told: str) -> None:
    looks, _ = strips.strips(Past(hours), NOW, TOLD)
    assert looks.told.startswith(told)
    assert looks.scale == ""


def test_backups_are_a_bar_a_day_and_a_failed_day_is_bad_though_one_came_later() -> None:
    made = [(BEGIN + timedelta(days=day, hours=3)).timestamp() for day in (0, 1, 1, 2)]
    kept = tuple(zip(made, (2 << 20, 1 << 20, 4 << 20, 1 << 20), strict=True))
    _, backups = strips.strips(Past((), kept, (made[3] + 60, made[3] + 120)), NOW, TOLD)
    assert [(bar.kind, bar.height) for bar in backups.bars] == [
        *[("fine", 20), ("fine", 40), ("bad", 10)],
        *[("none", 2)] * 11,
    ]
    assert [bar.told for bar in backups.bars][1:4] == ["11-18: 4 MiB", "11-19: failed", "11-20: none kept"]
    assert backups.told == "4 kept, the last 1 MiB; failed on 1 days"


def usage(*groups: Group, more: Sums | None = None) -> GatewayUsage:
    total = more or Sums()
    for group in groups:
        total = total.plus(group.sums)
    found = Usage(total, groups, len(groups) + (1 if more else 0), (), None, (), 0, None, 0)
    return GatewayUsage("gw1", READ, usage=found)


def sums(requests: int, unpriced: int = 0, **costs: int) -> Sums:
    return Sums(requests, 1, 1, 0, tuple((name, Decimal(cost)) for name, cost in costs.items()), unpriced)


def shown(found: GatewayUsage, language: str = ENGLISH) -> list[list[tuple[str, list[tuple[str, float, str]]]]]:
    charts = page_charts.usage(found, Wording(WORDS, language))
    assert charts is not None
    return [
        [(row.name, [(bar.kind, bar.length, bar.told) for bar in row.bars]) for row in rows]
        for _, rows in charts.charts
    ]


def test_requests_and_cost_are_summed_by_agent_and_by_model() -> None:
    found = usage(
        Group(("a1", "m1"), sums(30, CNY=4)), Group(("a1", "m2"), sums(10, USD=2)), Group(("a2", "m1"), sums(20, 20))
    )
    by_agent, by_model = shown(found)
    assert by_agent == [
        ("a1", [("requests", 100.0, "40"), ("cost", 100.0, "4.00 CNY"), ("cost", 100.0, "2.00 USD")]),
        ("a2", [("requests", 50.0, "20"), ("cost", 0.0, "unknown")]),
    ]
    assert by_model == [
        ("m1", [("requests", 100.0, "50"), ("cost", 100.0, "4.00 CNY"), ("cost", 0.0, "unknown")]),
        ("m2", [("requests", 20.0, "10"), ("cost", 100.0, "2.00 USD")]),
    ]
    assert shown(usage(Group(("a2", "m1"), sums(20, 20))), CHINESE)[0][0][1][1] == ("cost", 0.0, "未知")


def test_a_log_that_is_younger_than_the_period_is_told() -> None:
    read = usage(Group(("a1", "m1"), sums(30)))
    assert read.usage is not None
    young = replace(read, since=BEGIN, usage=replace(read.usage, oldest=BEGIN + timedelta(days=3)))
    charts = page_charts.usage(young, TOLD)
    assert charts is not None
    assert (charts.told, len(charts.charts)) == ("the log begins on 2026-11-20 00:00", 2)


def test_a_chart_has_eight_rows_and_one_for_the_rest() -> None:
    groups = [Group((f"a{number}", "m"), sums(100 - number)) for number in range(10)]
    by_agent, by_model = shown(usage(*groups))
    assert [name for name, _ in by_agent] == [*(f"a{number}" for number in range(8)), "(2 more)"]
    assert by_agent[-1][1][0] == ("requests", 100.0, "183"), "more than the largest"
    assert len(by_model) == 1
    by_agent, _ = shown(usage(*groups, more=sums(7)))
    assert by_agent[-1][0] == "…", "how many agents that is, is not known"
    assert by_agent[-1][1][0][2] == "190"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (usage(), "no requests in 14 days"),
        (GatewayUsage("gw1", UNREADABLE, "it is locked"), "usage cannot be read: it is locked"),
        (GatewayUsage("gw1", MOVED, "gw2"), None),
    ],
)
def test_where_there_is_nothing_to_draw_it_is_said_why(found: GatewayUsage, told: str | None) -> None:
    charts = page_charts.usage(found, TOLD)
    assert (charts.told if charts else None) == told
