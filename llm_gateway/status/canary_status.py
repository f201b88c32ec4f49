"""How a gateway's canary stands: what it found last, and in how many of its last looks all was well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from llm_gateway.hosts.topology import Node
from llm_gateway.parts import first_start
from llm_gateway.parts.canary import canary_health
from llm_gateway.parts.canary.canary_health import FAILED
from llm_gateway.status import ages
from llm_gateway.status.status_answers import StatusAnswers


@dataclass(frozen=True)
class Canary:
    """What the canary found: `result` is "ok", "failed", "stopped" or None, where it has not looked yet; `age` and
    `seconds` (how long the completion took) of its last look; `error`, why no completion came, or ""; how many of the
    last `count` completions came; `problem`, what is wrong with the canary itself, or ""; `wrong`, what else it found
    that nobody but it looks at.
    """

    result: str | None
    age: float | None
    seconds: float | None
    error: str
    ok: int
    count: int
    problem: str
    wrong: tuple[str, ...] = ()


NONE = Canary(None, None, None, "", 0, 0, "")
"""Of a host that has none."""


def of(node: Node, seen: StatusAnswers, now: float) -> Canary:
    """The canary of a gateway's host.

    Parameters: `seen`, the answers of `status.sh`; `now`, by the host's clock, in seconds since 1970.
    """
    if node.settings.gateway_canary_interval is None or not first_start.is_done(node):
        return NONE
    last = canary_health.found(node)
    answers = [came for line in seen.canary_results if (came := _came(line)) is not None]
    return Canary(
        last.result if last else None,
        max(0.0, now - last.at.timestamp()) if last else None,
        last.seconds if last else None,
        last.wrong.get("answer", "") if last else "",
        sum(answers),
        len(answers),
        canary_health.problem_of(node) or "",
        tuple(_wrong(last)) if last else (),
    )


_SEEN_OTHERWISE = ("answer", "disk", "backup", "firewall")
"""Who looks now sees these as they are now."""


def _wrong(last: canary_health.Found) -> Iterator[str]:
    for name, text in last.wrong.items():
        if name not in _SEEN_OTHERWISE:
            yield f"{name}: {text}"
    for name, why in last.undelivered.items():
        yield f"no alarm could be sent to {name}: {why}; deploys/alerts.py sends a test message"


def _came(line: str) -> bool | None:
    """Whether a completion came, by a line of canary.jsonl; None where that cannot be read, as after a full disk."""
    try:
        return bool(json.loads(line)["ok"])
    except (ValueError, LookupError, TypeError):
        return None


def attention(found: Canary) -> Iterator[str]:
    """What needs a person."""
    if found.problem:
        yield f"canary: {found.problem}"
    if found.result == FAILED and found.error and found.age is not None:
        yield f"canary, {ages.age(found.age)} ago: {found.error}"
    yield from found.wrong


def told(found: Canary, none: str) -> str:
    """In a few words: "ok 3 min ago, 0.8 s; 287 of 288 ok".

    Parameters: `none`, what is said where there is none.
    """
    if found.result is None or found.age is None:
        return f"{none} !" if found.problem else none
    seconds = f", {found.seconds:.1f} s" if found.result == "ok" else ""
    counted = f"; {found.ok} of {found.count} ok" if found.count else ""
    return f"{found.result} {ages.age(found.age)} ago{seconds}{counted}{' !' if found.problem else ''}"


def short(found: Canary, none: str) -> str:
    """The same for a table, where the count stands only when it tells something."""
    text = told(found, none)
    return text.replace(f"; {found.ok} of {found.count} ok", "") if found.ok == found.count else text
