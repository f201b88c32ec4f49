"""What is told of a host: plain values, the shape of `status.py --json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from llm_gateway.proof.agent_path import Look
from llm_gateway.status import canary_status
from llm_gateway.status.differences import UNLOOKED, Drift

UP, DOWN, UNREADABLE = "up", "down", "unreadable"


@dataclass(frozen=True)
class Backup:
    """The last backup: `age` in seconds, or None where there is none; `problem` is "" where all is well.

    `odd`: what SQLite finds wrong with the database although the backup holds every row, with what fixes it.
    """

    file: str | None
    age: float | None
    size: int | None
    count: int
    problem: str
    odd: str = ""


@dataclass(frozen=True)
class Disk:
    """The fullest of the file systems that the gateway needs, in KiB; `mount`, where it is mounted."""

    size: int
    free: int
    mount: str


@dataclass(frozen=True)
class Logs:
    """What One API has logged, in bytes: the database that the table `logs` is in, and the files in data/logs; `rows`,
    of the table, when it was pruned last; `problem`, what is wrong with the pruning, or "".
    """

    database: int | None
    files: int | None
    rows: int | None
    problem: str


@dataclass(frozen=True)
class AgentBudget:
    """What an OpenClaw host has used of its budget of a month, such as "2026-12", until `until` (ISO 8601).

    `unit` is "tokens" or a currency; `at_limit`, "alarm" or "disable"; `is_refused`, whether its token is switched off;
    `unpriced`, models whose cost is not among it.
    """

    agent: str
    month: str
    unit: str
    used: float
    limit: float
    left: float
    at_limit: str
    is_refused: bool
    until: str
    unpriced: tuple[str, ...]
    told: str
    """For people."""


@dataclass(frozen=True)
class Place:
    """Where a part of a gateway's directory lies, if that is elsewhere: behind a link, or on a disk of its own."""

    name: str
    path: str
    file_system: str
    is_there: bool

    def __str__(self) -> str:
        """For people."""
        return f"{self.name}/ is {self.path} ({self.file_system if self.is_there else 'not there'})"


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
    logs: Logs = Logs(None, None, None, "")
    health: str | None = None
    """What Docker's health check says of the container: "healthy", "unhealthy", "starting"; None where it has none."""
    elsewhere: tuple[Place, ...] = ()
    budgets: tuple[AgentBudget, ...] = ()


@dataclass(frozen=True)
class Fallback:
    """A gateway that OpenClaw asks where those before it are gone: its name, and whether it answers the host now."""

    gateway: str
    reaches: Look


@dataclass(frozen=True)
class OpenClawStatus:
    """OpenClaw on a host: its unit as systemd calls its state ("none": there is no such unit), and its gateway.

    `reaches`: whether that answers it, asked from the host with its .env; `readiness`: "ready", or what it says instead
    (None: it does not run, or what its unit starts is not known to say so); `rejected`: what it has against its
    configuration, though it runs.
    """

    unit: str
    state: str
    gateway: str
    reaches: Look
    readiness: str | None = None
    rejected: str | None = None
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True)
class LastRun:
    """The last run on a host: `at`, its begin; `how` it ended, in words; `is_bad`, whether that needs a person.

    `is_changing`: it is at work and has begun to change something, so that what is not in order may be its doing.
    """

    script: str
    who: str
    at: str
    how: str
    is_bad: bool
    is_changing: bool = False


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
