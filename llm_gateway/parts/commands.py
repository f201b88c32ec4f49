"""The shell commands among the settings: read by the host's own shell before anything is touched, and not run."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import timers
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary

_WRITTEN_BY = {
    "gateway_backup_command": scheduled_backups.script_files,
    "gateway_alert_command": scheduled_canary.script_files,
}


def problems(node: Node) -> Iterator[str]:
    """An invalid command, such as one whose quote does not end; asked only where it is new on the host.

    Raises ConnectionLostError.
    """
    if node.state.busy or not node.state.tailscale_addresses:
        return
    for setting, files in _WRITTEN_BY.items():
        command: str | None = getattr(node.settings, setting)
        if command is None or not timers.differing(node, files(node)):
            continue
        if remote.refusal(node.host, "sh -n", command) is not None:
            # Its words may repeat a piece of the command, in which a password may stand.
            yield f"{setting}: the host's shell (`sh -n`) cannot read it; does each quote and bracket end?"
