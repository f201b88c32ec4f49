"""The shell commands among the settings: read by the host's own shell before anything is touched, and not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import remote, timers
from gateway.backups import scheduled_backups
from gateway.canary import scheduled_canary

if TYPE_CHECKING:
    from gateway.fleet import Member

_WRITTEN_BY = {
    "gateway_backup_command": scheduled_backups.script_files,
    "gateway_alert_command": scheduled_canary.script_files,
}


def problems(member: Member) -> Iterator[str]:
    """A command that is no command, such as one whose quote does not end; asked only where it is new on the host.

    Raises ConnectionLostError.
    """
    if not member.is_gateway or member.state.text("busy") or not member.state.tailscale_addresses:
        return
    for setting, files in _WRITTEN_BY.items():
        command: str | None = getattr(member.settings, setting)
        if command is None or not timers.differing(member, files(member)):
            continue
        if remote.refusal(member.host, "sh -n", command) is not None:
            # Its words may repeat a piece of the command, in which a password may stand.
            yield f"{setting}: the host's shell (`sh -n`) cannot read it; does each quote and bracket end?"
