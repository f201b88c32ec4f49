"""Timers of ours on a gateway's host: their files, whether they run, and how they are put in place or taken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.parts import installation
from llm_gateway.parts.installation import Wanted


@dataclass(frozen=True)
class Timer:
    """A timer and the service that it starts: `what` they are for, as in "the timer of the backups"."""

    short_name: str
    what: str

    @property
    def timer(self) -> str:
        """The timer's unit."""
        return layout.unit(self.short_name, "timer")

    @property
    def service(self) -> str:
        """The unit that it starts."""
        return layout.unit(self.short_name)

    @property
    def path(self) -> str:
        """Where the timer's file is."""
        return layout.unit_path(self.timer)

    @property
    def paths(self) -> tuple[str, str]:
        """Where the files of both are."""
        return (self.path, layout.unit_path(self.service))

    def files(self, **values: object) -> list[Wanted]:
        """The files of both, from the templates that are named like them."""
        units = ((self.service, f"the unit of {self.what}"), (self.timer, f"the timer of {self.what}"))
        return [_file(layout.unit_path(unit), what, values) for unit, what in units]


def _file(path: str, what: str, values: Mapping[str, object]) -> Wanted:
    return Wanted(path, installation.render(f"{path.removeprefix('/')}.j2", **values), "644", what)


def properties(node: Node) -> dict[str, dict[str, str]]:
    """What systemd says of our timers and of what they start, by unit and property."""
    blocks = node.state.timer_units.split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return {block["Id"]: block for block in found if "Id" in block}


def runs(node: Node, timer: Timer) -> bool:
    """Whether a timer waits for its next moment, and will again after a reboot."""
    known = properties(node)
    of_timer = known.get(timer.timer, {})
    return (
        of_timer.get("ActiveState") == "active"
        and of_timer.get("UnitFileState") == "enabled"
        and all(known.get(unit, {}).get("NeedDaemonReload") == "no" for unit in (timer.timer, timer.service))
    )


def install(node: Node, timer: Timer, files: Sequence[Wanted]) -> None:
    """Put the files of a timer in place and let it run; with no files, take it off."""
    if not files:
        if any(node.state.file(path) for path in timer.paths):
            remote.shell(
                name=f"Take off the timer of {timer.what}",
                command=(
                    f"systemctl disable --quiet --now {timer.timer} && rm -f {' '.join(timer.paths)} &&"
                    " systemctl daemon-reload"
                ),
            )
    elif write(node, files) or not runs(node, timer):
        remote.shell(
            name=f"Start the timer of {timer.what}",
            command=installation.start_anew(timer.timer),
        )


def differing(node: Node, files: Sequence[Wanted]) -> list[Wanted]:
    """Those that the host has not, or has otherwise."""
    return [file for file in files if not installation.is_as_wanted(node, file)]


def write(node: Node, files: Sequence[Wanted]) -> bool:
    """Write those that differ. Returns whether there are any."""
    found = differing(node, files)
    for file in found:
        file.write()
    return bool(found)
