"""A report of usage as one page of HTML that needs nothing beside itself and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_gateway.model.usage import DAY, Group, Sums
from llm_gateway.model.wording import CHINESE, Wording
from llm_gateway.status import html, usage_report, usage_table
from llm_gateway.status.usage_report import GatewayUsage, Report

BARS = 31
"""The most bars of a chart: of names the largest, of days the last."""
_TEMPLATE = "usage_page.html.j2"


def page(report: Report, words: Wording) -> str:
    """The page's text. Names come from hosts and are escaped: they can be anything."""
    return html.template(_TEMPLATE).render(
        language="zh-CN" if words.language == CHINESE else "en",
        words=words,
        made_at=words("made at", moment=report.made_at.strftime("%Y-%m-%d %H:%M UTC")),
        gateways=[_shown(each, report, words) for each in report.gateways],
    )


def _shown(found: GatewayUsage, report: Report, words: Wording) -> dict[str, Any]:
    usage = found.usage
    if usage is None:
        return {"name": found.name, "problem": usage_table.state(found, words)}
    groups = usage_report.rows(usage, report.by)
    has_failures = usage_report.tells_failures(usage, report.by)
    cost = usage_report.cost(usage.total, words("unknown"))
    total = {
        "requests": f"{usage.total.requests:,}",
        "prompt": f"{usage.total.prompt:,}",
        "completion": f"{usage.total.completion:,}",
        "failed": f"{usage_report.failed_in_all(usage):,}" if usage.failures_since else words("unknown"),
        "cost": cost,
    }
    rows = [(group.names, _numbers(group.sums, usage_report.failed(usage, report.by, group))) for group in groups]
    if usage.group_count > len(usage.groups):
        named = (words("others", count=usage.group_count - len(usage.groups)), *("",) * (len(report.by) - 1))
        rows.append((named, _numbers(usage.others, 0 if has_failures else None)))
    return {
        "name": found.name,
        "problem": None,
        "period": usage_table.period(found, words),
        "total": [(words(name), value) for name, value in total.items()],
        "charts": [(words(name), bars(groups, place, name)) for place, name in enumerate(report.by)],
        "head": [words(name) for name in report.by],
        "numbers": [words(name) for name in _heads(has_failures)],
        "rows": rows,
        "notes": list(usage_table.notes(found, report, words)),
    }


def _heads(has_failures: bool) -> tuple[str, ...]:
    return ("requests", "prompt", "completion", *(("failed",) if has_failures else ()), "cost")


def _numbers(sums: Sums, failed: int | None) -> list[str]:
    counts = [sums.requests, sums.prompt, sums.completion, *([] if failed is None else [failed])]
    return [*(f"{count:,}" for count in counts), usage_report.cost(sums, "?")]


def bars(groups: Sequence[Group], place: int, dimension: str) -> list[tuple[str, str, float, str]]:
    """The tokens by one dimension: name, tokens, length in % of the longest, and cost."""
    sums = usage_report.summed(groups, place)
    found = sorted(sums.items(), key=lambda pair: -_tokens(pair[1]))[:BARS]
    if dimension == DAY:
        found = sorted(sums.items())[-BARS:]
    longest = max((_tokens(each) for _, each in found), default=0) or 1
    return [
        (name, f"{_tokens(each):,}", round(100 * _tokens(each) / longest, 1), usage_report.cost(each, "?"))
        for name, each in found
    ]


def _tokens(sums: Sums) -> int:
    return sums.prompt + sums.completion
