"""What a host's canary has found: told by status.py, and by verify.py where the canary itself does not work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from llm_gateway.hosts.host_check import fail_if
from llm_gateway.hosts.topology import Node
from llm_gateway.model.checks import in_seconds
from llm_gateway.parts import timers
from llm_gateway.parts.canary.scheduled_canary import CANARY

CONDITIONS = ("answer", "disk", "backup", "firewall", "restarts", "tailnet_key")
"""What it looks at itself; other parts of a host add theirs by files in layout.PROBLEMS."""
FAILED = "failed"
GRACE = timedelta(minutes=90)
"""How late it may be: it does not ask while a run is at work, for an hour at most."""


@dataclass(frozen=True)
class Found:
    """What the canary found when it last looked: `result` is "ok", "failed" or "stopped", `seconds` how long it took;
    `wrong`, the conditions that are not well, and how; `undelivered`, the destinations that took no alarm, and why.
    """

    at: datetime
    result: str
    seconds: float
    wrong: Mapping[str, str]
    undelivered: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> Found | None:
        """Read canary.state; None where there is none that can be read."""
        try:
            return cls(
                datetime.fromtimestamp(int(values["at"]), UTC),
                values["result"],
                float(values["seconds"]),
                _named(values, "text."),
                _named(values, "undelivered."),
            )
        except (KeyError, ValueError, OverflowError, OSError):
            return None


def _named(values: Mapping[str, str], start: str) -> dict[str, str]:
    """The values of names that begin so, by the rest of the name; without those that are empty."""
    return {name.removeprefix(start): text for name, text in values.items() if name.startswith(start) and text}


def found(node: Node) -> Found | None:
    """What the canary of a host found last; None where it has not looked yet."""
    return Found.parse(first_ones(node.state.canary_state))


def first_ones(lines: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE up to the line "end": on a full disk a shorter text may be written over a longer one."""
    kept = lines[: lines.index("end")] if "end" in lines else []
    return dict(line.split("=", 1) for line in kept if "=" in line)


def verify(node: Node) -> None:
    """Let the run fail where a gateway has no canary that works."""
    fail_if(name="Check the canary", what="canary", problem_of=partial(problem_of, node))


def problem_of(node: Node) -> str | None:
    """What is wrong with the canary itself, with the fix; None where all is well or none is wanted."""
    interval = node.settings.gateway_canary_interval
    if interval is None:
        return None
    installed = node.state.file(CANARY.path)
    if installed is None:
        return "there is none yet on this host: run deploy.py"
    return problem(
        timers.properties(node),
        found(node),
        timedelta(seconds=in_seconds(interval)),
        datetime.fromtimestamp(installed.modified, UTC),
        datetime.now(UTC),
    )


def problem(
    units: Mapping[str, Mapping[str, Any]], last: Found | None, interval: timedelta, installed: datetime, now: datetime
) -> str | None:
    """What is wrong with a canary, with the fix.

    Parameters: `units`, what `systemctl show` says of the timer and the service; `interval`, from one of its looks to
    the next; `installed`, when the timer was put in place.
    """
    said = f"`journalctl -u {CANARY.service}` on the host says why"
    if units.get(CANARY.timer, {}).get("ActiveState") != "active":
        return f"{CANARY.timer} does not run, so nobody looks: run deploy.py"
    result = units.get(CANARY.service, {}).get("Result", "success")
    if result != "success":
        return f"it does not work ({CANARY.service}: {result}): {said}"
    since = installed if last is None else max(installed, last.at)
    if now - since > 2 * interval + GRACE:
        told = "has never looked" if last is None else f"last looked on {last.at:%Y-%m-%d %H:%M} UTC"
        return f"it {told}: {said}"
    return None
