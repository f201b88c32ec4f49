"""What a host needs to make its own backups: the script, its settings, SQLite, and a timer that calls it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import installation, remote
from gateway.checkout import ROOT
from gateway.host_state import PROJECT
from gateway.installation import Wanted, render

if TYPE_CHECKING:
    from gateway.fleet import Member

TIMER = f"{PROJECT}-backup.timer"
SERVICE = f"{PROJECT}-backup.service"
_UNITS = "/etc/systemd/system"
_WORDS = ("hourly", "daily", "weekly", "monthly")
_APT = (
    "export DEBIAN_FRONTEND=noninteractive && apt-get update -qq -o DPkg::Lock::Timeout=120 &&"
    " apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 {package} >/dev/null ||"
    " {{ echo 'Install {package} on the host by hand, and run again.' >&2; exit 1; }}"
)


def script_files(member: Member) -> list[Wanted]:
    """The script that makes a backup, and its settings."""
    settings = member.settings
    return [
        Wanted(
            f"{member.directory}/make-backup",
            (ROOT / "files/make-backup").read_bytes(),
            "755",
            "the script that makes backups",
        ),
        Wanted(
            f"{member.directory}/backup.conf",
            render(
                "gateway_directory/backup.conf.j2",
                keep=settings.gateway_backup_keep,
                keep_days=settings.gateway_backup_keep_days,
                recipient=shlex.quote(settings.gateway_backup_recipient or ""),
                command=shlex.quote(settings.gateway_backup_command or ""),
            ),
            "600",
            "the settings of the backups",
        ),
    ]


def unit_files(member: Member) -> list[Wanted]:
    """The timer and what it starts; none where backups are not scheduled."""
    schedule = member.settings.gateway_backup_schedule
    if schedule is None:
        return []
    values = {"directory": member.directory, "schedule": schedule}
    return [
        Wanted(f"{_UNITS}/{name}", render(f"etc/systemd/system/{name}.j2", **values), "644", what)
        for name, what in ((SERVICE, "the unit of the backups"), (TIMER, "the timer of the backups"))
    ]


def missing_packages(member: Member) -> list[str]:
    """Debian's packages without which no backup can be made on this host."""
    tools = member.state.lines("tools")
    missing = [] if "sqlite3" in tools or "python3" in tools else ["sqlite3"]
    return [*missing, *(["age"] if member.settings.gateway_backup_recipient and "age" not in tools else [])]


def install_package(package: str) -> str:
    """The shell command that installs a package of the distribution."""
    return _APT.format(package=package)


def install(member: Member) -> None:
    """Put in place what makes a backup, and let the timer run as the settings say, or not at all."""
    for package in missing_packages(member):
        remote.shell(name=f"Install {package}, which backups need", command=install_package(package))
    _write(member, script_files(member))
    units = unit_files(member)
    if not units:
        if any(member.state.file(f"{_UNITS}/{name}") for name in (TIMER, SERVICE)):
            remote.shell(
                name="Take off the timer of the backups",
                command=(
                    f"systemctl disable --quiet --now {TIMER} && rm -f {_UNITS}/{TIMER} {_UNITS}/{SERVICE} &&"
                    " systemctl daemon-reload"
                ),
            )
        return
    if _write(member, units) or not is_scheduled(member):
        remote.shell(
            name="Start the timer of the backups",
            command=f"systemctl daemon-reload && systemctl reenable --quiet {TIMER} && systemctl restart {TIMER}",
        )


def units(member: Member) -> dict[str, dict[str, str]]:
    """What systemd says of the timer and of what it starts, by unit and property."""
    blocks = member.state.text("backup_units").split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return {block["Id"]: block for block in found if "Id" in block}


def is_scheduled(member: Member) -> bool:
    """Whether the timer waits for the next backup, and will again after a reboot."""
    known = units(member)
    timer = known.get(TIMER, {})
    return (
        timer.get("ActiveState") == "active"
        and timer.get("UnitFileState") == "enabled"
        and all(unit.get("NeedDaemonReload") == "no" for unit in known.values())
    )


def problems(member: Member) -> Iterator[str]:
    """A schedule that this host's systemd does not understand; asked only where it is new and not one of its words."""
    wanted = member.settings.gateway_backup_schedule
    if (
        not member.is_gateway
        or wanted in (None, *_WORDS)
        or member.state.text("busy")
        or not _differing(member, unit_files(member))
    ):
        return
    try:
        remote.run(member.host, f"systemd-analyze calendar {shlex.quote(wanted)}")
    except remote.RemoteError as problem:
        said = str(problem).splitlines()[0]
        yield (
            f"gateway_backup_schedule: systemd does not understand {wanted!r} ({said}); take a time such as"
            ' "daily", "hourly" or "*-*-* 03:30" (man systemd.time), or None'
        )


def _differing(member: Member, files: list[Wanted]) -> list[Wanted]:
    return [file for file in files if not installation.is_as_wanted(member, file)]


def _write(member: Member, files: list[Wanted]) -> bool:
    """Write those that differ; whether there are any."""
    differing = _differing(member, files)
    for file in differing:
        remote.write_file(name=f"Write {file.what}", path=file.path, content=file.content, mode=file.mode)
    return bool(differing)
