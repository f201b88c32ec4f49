"""Answers of models, told on a terminal: all of them as a table, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llm_gateway.model.asking import Answer
from llm_gateway.model.columns import width

HEAD = ("model", "channel", "latency", "result")
GAP = "  "
NAMED = 8
"""Models that are named where all have the same problem; the table has all of them."""

_REQUEST_ID = re.compile(r" \(request id: [^)]*\)")


def table(answers: Sequence[Answer]) -> str:
    """One line for each answer below a head: model, channel, latency in seconds, result."""
    rows = [HEAD, *((answer.model, answer.channel, _latency(answer), answer.result) for answer in answers)]
    models, channels, latencies, _ = (max(map(width, column)) for column in zip(*rows, strict=True))
    return "\n".join(
        GAP.join((_padded(model, models), _padded(channel, channels), latency.rjust(latencies), result))
        for model, channel, latency, result in rows
    )


def distinct_problems(answers: Sequence[Answer]) -> list[str]:
    """What is wrong, each cause once: with all models of a channel, or with all of them where no model is named."""
    alike: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        if answer.problem:
            cause = _REQUEST_ID.sub("", answer.problem).replace(answer.model, "")
            where = answer.channel if answer.model in answer.problem else ""
            alike.setdefault((where, cause), []).append(answer)
    return [_told(group) for group in alike.values()]


def _told(alike: Sequence[Answer]) -> str:
    first = alike[0]
    others = [model for model in dict.fromkeys(answer.model for answer in alike) if model != first.model]
    if not others or first.model not in str(first.problem):
        return str(first.problem)
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"{first.problem} [the same: {', '.join(others[:NAMED])}{more}]"


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def _latency(answer: Answer) -> str:
    return "-" if answer.seconds is None else f"{answer.seconds:.2f} s"
