"""What one host of the fleet is like, for the person who looks after it; and what of it needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from gateway import first_start, openclaw
from gateway.backups import backup_health
from gateway.contents.admin import admin_api, parse_answer
from gateway.overview import attention, canary_status, differences, history
from gateway.overview.differences import UNLOOKED, Drift
from gateway.route import RouteError
from oneapi import OneAPIError, Status
from oneapi.wire import ENABLED

if TYPE_CHECKING:
    from gateway.fleet import Member
    from gateway.host_state import HostState

UP, DOWN, UNREADABLE = "up", "down", "unreadable"


@dataclass(frozen=True)
class Backup:
    """The last backup: `age` in seconds, or None where there is none; `problem` is "" where all is well."""

    file: str | None
    age: float | None
    size: int | None
    count: int
    problem: str


@dataclass(frozen=True)
class Disk:
    """The fullest of the file systems that the gateway needs, in KiB; `mount`, where it is mounted."""

    size: int
    free: int
    mount: str


@dataclass(frozen=True)
class GatewayStatus:
    """A gateway; `uptime` in seconds. What could not be read is None. `waits_for`: why it is not started, in words."""

    is_running: bool
    address: str | None
    version: str | None
    image: str | None
    uptime: float | None
    models: tuple[str, ...]
    backup: Backup
    disk: Disk | None
    migrated_to: str | None
    migrating_from: str | None = None
    waits_for: str = ""
    canary: canary_status.Canary = canary_status.NONE


@dataclass(frozen=True)
class OpenClawStatus:
    """OpenClaw on a host: its unit as systemd calls its state ("none": there is no such unit), and its gateway."""

    unit: str
    state: str
    gateway: str


@dataclass(frozen=True)
class LastRun:
    """The last run on a host: `at`, its begin; `how` it ended, in words; `is_bad`, whether that needs a person."""

    script: str
    who: str
    at: str
    how: str
    is_bad: bool


@dataclass(frozen=True)
class HostStatus:
    """One host. Where it is not up, `problem` says why, and the rest is None or empty."""

    name: str
    roles: tuple[str, ...]
    state: str
    problem: str = ""
    gateway: GatewayStatus | None = None
    openclaw: OpenClawStatus | None = None
    drift: Drift = UNLOOKED
    unfinished: str = ""
    last_run: LastRun | None = None
    attention: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, by name."""
        return asdict(self)


def down(name: str, roles: tuple[str, ...]) -> HostStatus:
    """A host that no connection could be made to."""
    return HostStatus(name, roles, DOWN, "no connection could be made", attention=("it cannot be reached",))


def unreadable(name: str, roles: tuple[str, ...], problem: str) -> HostStatus:
    """A host that was reached and could not be looked at."""
    return HostStatus(name, roles, UNREADABLE, problem, attention=(problem,))


def of(member: Member, seen: HostState, problems: Iterable[str]) -> HostStatus:
    """What a host that was read is like.

    Parameters: `seen`, the answers of `status.sh`; `problems`, what stands in the way of looking at it.
    """
    found = HostStatus(
        member.name,
        roles_of(member),
        UP,
        gateway=_gateway(member, seen) if member.is_gateway else None,
        openclaw=_openclaw(member) if member.is_openclaw else None,
        drift=differences.drift(member),
        unfinished=member.state.left_unfinished or "",
        last_run=_last_run(seen),
    )
    return replace(found, attention=(*problems, *attention.of(member, found)))


def roles_of(member: Member) -> tuple[str, ...]:
    """The groups of ours that the host is in."""
    groups = (("gateways", member.is_gateway), ("openclaw", member.is_openclaw))
    return tuple(group for group, is_in in groups if is_in)


def published(state: HostState) -> tuple[str, str]:
    """Address and port that the gateway's container is published on now; both "" where it is not."""
    bindings = ((state.container or {}).get("HostConfig", {}).get("PortBindings") or {}).get("3000/tcp") or []
    return (bindings[0]["HostIp"], bindings[0]["HostPort"]) if bindings else ("", "")


def _gateway(member: Member, seen: HostState) -> GatewayStatus:
    container = member.state.container or {}
    is_running = bool(container.get("State", {}).get("Running"))
    address, port = published(member.state)
    return GatewayStatus(
        is_running,
        f"{address}:{port}" if address else None,
        _version(seen),
        container.get("Config", {}).get("Image"),
        _uptime(container, seen) if is_running else None,
        _models(member),
        _backup(member, seen),
        _disk(seen),
        seen.text("migrated_to") or None,
        seen.text("migrating_from") or None,
        _waits_for(seen),
        canary_status.of(member, seen, _now(seen)),
    )


def _waits_for(seen: HostState) -> str:
    """What files/start-gateway says that it waits for."""
    kind, _, reason = seen.text("unit_says").partition(": ")
    return reason if kind == "waiting" else ""


def _version(seen: HostState) -> str | None:
    """What One API says of itself; None where it does not answer."""
    try:
        body = parse_answer(seen.answers.get("api_status", "")).json()
        return Status.read(body["data"]).version
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _uptime(container: Mapping[str, Any], seen: HostState) -> float | None:
    """By the host's own clock, which may go otherwise than this machine's."""
    started = str(container.get("State", {}).get("StartedAt", ""))
    try:
        # Docker gives nanoseconds: "2026-11-22T10:00:00.123456789Z"
        moment = datetime.strptime(started[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, _now(seen) - moment.timestamp())


def _now(seen: HostState) -> float:
    return float(seen.text("now"))


def _models(member: Member) -> tuple[str, ...]:
    """The models of the channels that are switched on, as the gateway itself lists them."""
    if not first_start.is_done(member) or not member.state.text("api_channels"):
        return ()
    try:
        with admin_api(member) as admin:
            channels = admin.channels()
    except (OneAPIError, RouteError):
        return ()
    return tuple(dict.fromkeys(model for each in channels if each.status == ENABLED for model in each.models))


def _disk(seen: HostState) -> Disk | None:
    lines = [line.split(maxsplit=5) for line in seen.lines("disks")[1:]]
    disks = [Disk(int(size), int(free), mount) for _, size, _, free, _, mount in lines]
    return min(disks, key=lambda disk: disk.free / (disk.size or 1), default=None)


def _backup(member: Member, seen: HostState) -> Backup:
    files = [line.split() for line in seen.lines("backups")]
    name, size, made = files[-1] if files else (None, None, None)
    age = _now(seen) - float(made) if made else None
    return Backup(name, age, int(size) if size else None, len(files), _backup_problem(member))


def _backup_problem(member: Member) -> str:
    return (backup_health.problem_of(member) if first_start.is_done(member) else None) or ""


def _openclaw(member: Member) -> OpenClawStatus:
    unit = member.settings.openclaw_unit
    state = member.state.properties("openclaw_unit").get("ActiveState", "none") if openclaw.has_unit(member) else "none"
    return OpenClawStatus(unit, state, member.gateway.name)


def _last_run(seen: HostState) -> LastRun | None:
    runs, _, _ = history.parse([*seen.lines("journal"), *seen.lines("at_work")])
    told = [run for run in runs if run.began is not None]  # the journal is read from its last lines on
    if not told:
        return None
    # One that was refused has mended nothing of what the one before has left.
    last_done = next((run for run in reversed(told) if run.has_done_something), None)
    run = last_done if last_done and last_done.is_bad and not told[-1].is_at_work else told[-1]
    return LastRun(str(run.script), str(run.who), str(run.began), run.how, run.is_bad)
