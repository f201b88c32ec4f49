"""What a host needs to prune its own gateway's logs: the script, its settings, and a timer that calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.parts import timers
from llm_gateway.parts.installation import Wanted, render, sent
from llm_gateway.parts.timers import Timer

PRUNING = Timer(layout.PRUNE_LOGS, "the pruning of logs")


@dataclass(frozen=True)
class Pruned:
    """What was done last: how many rows were removed, and how many the table then had, where that is known."""

    at: datetime
    removed: int
    rows: int | None
    error: str

    @classmethod
    def parse(cls, text: str) -> Pruned | None:
        """Read prune-logs.json; None where there is none that can be read."""
        try:
            found: dict[str, Any] = json.loads(text)
            at = datetime.strptime(found["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            rows = None if found["rows"] is None else int(found["rows"])
            return cls(at, int(found["removed"]), rows, str(found["error"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def script_files(node: Node) -> list[Wanted]:
    """The script that prunes, and its settings; none where all is kept."""
    settings = node.settings
    if settings.gateway_log_days is None:
        return []
    values = {"days": settings.gateway_log_days, "user_id": settings.gateway_user_id}
    return [
        sent(node, layout.PRUNE_LOGS, "the script of the pruning"),
        Wanted(
            f"{node.directory}/{layout.PRUNE_LOGS_CONF}",
            render(f"gateway_directory/{layout.PRUNE_LOGS_CONF}.j2", **values),
            "600",
            "the settings of the pruning",
        ),
    ]


def unit_files(node: Node) -> list[Wanted]:
    """The timer and what it starts; none where all is kept."""
    return [] if node.settings.gateway_log_days is None else PRUNING.files(directory=node.directory)


def install(node: Node) -> None:
    """Put in place what prunes, and let the timer run as the settings say, or not at all."""
    timers.write(node, script_files(node))
    timers.install(node, PRUNING, unit_files(node))


def last(node: Node) -> Pruned | None:
    """What the host's pruning has done last; None where it has not run yet."""
    return Pruned.parse(node.state.prune_last)


def problem_of(node: Node) -> str | None:
    """What is wrong with the pruning, with the fix; None where all is well or nothing is to be pruned."""
    if node.settings.gateway_log_days is None:
        return None
    return problem(timers.properties(node), last(node))


def problem(units: Mapping[str, Mapping[str, str]], pruned: Pruned | None) -> str | None:
    """What is wrong with the pruning of a host, with the fix.

    Parameters: `units`, what `systemctl show` says of the timer and the service.
    """
    timer, service = units.get(PRUNING.timer, {}), units.get(PRUNING.service, {})
    if timer.get("LoadState") != "loaded":
        return "it is not set up yet on this host: run deploy.py"
    if timer.get("ActiveState") != "active":
        return f"{PRUNING.timer} does not run, so the logs grow: run deploy.py"
    if service.get("Result", "success") != "success":
        why = pruned.error if pruned and pruned.error else f"{PRUNING.service}: {service['Result']}"
        return f"the last one failed ({why}): `journalctl -u {PRUNING.service}` on the host says more"
    return None
