"""What a host needs to make its own backups: the script, its settings, SQLite, and a timer that calls it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.dsn import SQLITE
from llm_gateway.parts import installation, timers
from llm_gateway.parts.installation import Wanted, render
from llm_gateway.parts.timers import Timer

BACKUPS = Timer("backup", "the backups")
TIMER, SERVICE = BACKUPS.timer, BACKUPS.service
_WORDS = ("hourly", "daily", "weekly", "monthly")


def script_files(node: Node) -> list[Wanted]:
    """The script that makes a backup, and its settings."""
    settings = node.settings
    return [
        # Before what reads it.
        installation.sent(node, layout.SCRIPT_FUNCTIONS, "what scripts of the host have in common", "644"),
        installation.sent(node, layout.DATABASE_SETTINGS, "the script that tells other databases", "644"),
        installation.sent(node, layout.DATABASE_ACCESS, "what scripts read the database with", "644"),
        installation.sent(node, layout.MAKE_BACKUP, "the script that makes backups"),
        installation.sent(node, layout.OWN_BACKUPS, "the script that keeps backups for root alone"),
        Wanted(f"{node.directory}/{layout.READ_TABLES}", tables.program(), "755", "what counts the rows of backups"),
        Wanted(
            f"{node.directory}/{layout.BACKUP_CONF}",
            render(
                f"gateway_directory/{layout.BACKUP_CONF}.j2",
                keep=settings.gateway_backup_keep,
                keep_days=settings.gateway_backup_keep_days,
                recipient=shlex.quote(settings.gateway_backup_recipient or ""),
                command=shlex.quote(settings.gateway_backup_command or ""),
            ),
            "600",
            "the settings of the backups",
        ),
    ]


def unit_files(node: Node) -> list[Wanted]:
    """The timer and what it starts; none where backups are not scheduled."""
    schedule = node.settings.gateway_backup_schedule
    return [] if schedule is None else BACKUPS.files(directory=node.directory, schedule=schedule)


def missing_packages(node: Node) -> list[str]:
    """Debian's packages without which no backup can be made on this host."""
    tools = node.state.tools
    is_file = node.settings.gateway_database == SQLITE
    missing = [] if not is_file or {"sqlite3", "python3"} & {*tools} else ["sqlite3"]
    return [*missing, *(["age"] if node.settings.gateway_backup_recipient and "age" not in tools else [])]


def install(node: Node) -> None:
    """Put in place what makes a backup, and let the timer run as the settings say, or not at all."""
    timers.write(node, script_files(node))
    timers.install(node, BACKUPS, unit_files(node))


def problems(node: Node) -> Iterator[str]:
    """A schedule that this host's systemd does not understand; asked only where it is new and not one of its words.

    Raises ConnectionLostError.
    """
    wanted = node.settings.gateway_backup_schedule
    if wanted in (None, *_WORDS) or node.state.busy or not timers.differing(node, unit_files(node)):
        return
    said = remote.refusal(node.host, f"systemd-analyze calendar {shlex.quote(wanted)}")
    if said is not None:
        yield (
            f"gateway_backup_schedule: systemd does not understand {wanted!r} ({said.splitlines()[0]}); take a time"
            ' such as "daily", "hourly" or "*-*-* 03:30" (man systemd.time), or None'
        )
