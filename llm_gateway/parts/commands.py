"""The shell commands among the settings: read by the host's own shell before anything is touched, and not run."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.parts import timers
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary

_WRITTEN_BY = {
    "gateway_backup_command": scheduled_backups.script_files,
    "gateway_alert_command": scheduled_canary.script_files,
}


def problems(member: Member) -> Iterator[str]:
    """An invalid command, such as one whose quote does not end; asked only where it is new on the host.

    Raises ConnectionLostError.
    """
    if not member.is_gateway or member.state.busy or not member.state.tailscale_addresses:
        return
    for setting, files in _WRITTEN_BY.items():
        command: str | None = getattr(member.settings, setting)
        if command is None or not timers.differing(member, files(member)):
            continue
        if remote.refusal(member.host, "sh -n", command) is not None:
            # Its words may repeat a piece of the command, in which a password may stand.
            yield f"{setting}: the host's shell (`sh -n`) cannot read it; does each quote and bracket end?"
