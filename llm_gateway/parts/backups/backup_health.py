"""Whether a gateway's backups are made: told by verify.py, and by the checks of a server from outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from llm_gateway.hosts.host_check import fail_if
from llm_gateway.hosts.topology import Node
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts import timers
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.backups.archive import Outcome

SHORTEST_PERIOD = timedelta(hours=24)
"""Taken for the timer's where it has not run twice yet."""
GRACE = timedelta(hours=2)
"""How late a backup may be: the timer's random delay, and the time that a large one takes."""
_FIX = (
    f"on the host, `systemctl start {scheduled_backups.SERVICE}` makes one and `journalctl -u"
    f" {scheduled_backups.SERVICE}` says more"
)


def verify(node: Node) -> None:
    """Let the run fail where the scheduled backups of a gateway fail, or are not made."""
    fail_if(name="Check the scheduled backups", what="backups", problem_of=partial(problem_of, node))


def problem_of(node: Node) -> str | None:
    """What is wrong with a gateway's scheduled backups, with the fix; None where all is well or none are wanted."""
    if node.settings.gateway_backup_schedule is None:
        return None
    installed = node.state.file(scheduled_backups.BACKUPS.path)
    return problem(
        timers.properties(node),
        Outcome.parse(node.state.backup_last),
        None if installed is None else datetime.fromtimestamp(installed.modified, UTC),
        datetime.now(UTC),
    )


def problem(
    units: Mapping[str, Mapping[str, str]], last: Outcome | None, installed: datetime | None, now: datetime
) -> str | None:
    """What is wrong with scheduled backups, with the fix.

    Parameters: `units`, what `systemctl show` says of the timer and the service (times in UTC); `installed`, when the
    timer was put in place.
    """
    timer = units.get(scheduled_backups.TIMER, {})
    if installed is None or timer.get("LoadState") != "loaded":
        return "none are scheduled yet on this host: run deploy.py"
    if timer.get("ActiveState") != "active":
        return f"{scheduled_backups.TIMER} does not run, so none are made: run deploy.py"
    if last is not None and not last.ok:
        return f"the last one, of {last.at:%Y-%m-%d %H:%M} UTC, failed: {last.error}. When that is fixed: {_FIX}"
    failed = units.get(scheduled_backups.SERVICE, {}).get("Result", "success")
    # Where the run that the timer started has not even said that it failed: it was killed, or the disk was full.
    if failed != "success" and (last is None or last.at < (_moment(timer.get("LastTriggerUSec", "")) or now)):
        return f"the last one was cut off ({PROJECT}-backup.service: {failed}): {_FIX}"
    since = max(installed, last.at) if last is not None else installed
    if now - since > 2 * _period(timer) + GRACE:
        told = "none was ever made" if last is None else f"the newest is of {last.at:%Y-%m-%d %H:%M} UTC"
        return f"they are overdue: {told}; {_FIX}"
    return None


def _period(timer: Mapping[str, str]) -> timedelta:
    """From one of the timer's moments to the next."""
    before, following = (_moment(timer.get(name, "")) for name in ("LastTriggerUSec", "NextElapseUSecRealtime"))
    if before is None or following is None or following <= before:
        return SHORTEST_PERIOD
    return following - before


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return None
