"""The gateway that is to be moved, as it is found on its host: one of ours, or one that somebody has set up by hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api.host import Host

from llm_gateway.hosts import answers, other_databases, remote
from llm_gateway.hosts.answers import Flag, Lines, Properties, Text
from llm_gateway.hosts.host_state import HostState
from llm_gateway.inputs.secrets import Generated
from llm_gateway.model import layout, shell
from llm_gateway.model.layout import (
    APPLIED_KEYS,
    DATA,
    DATABASE,
    FIRST_START,
    FIRST_START_DONE,
    MOVED_AWAY,
    NEXT_IMAGE,
    PROJECT,
    REPLACED,
    SECRETS,
    TRIAL,
    UNIT,
)
from llm_gateway.parts.backups.scheduled_backups import BACKUPS
from llm_gateway.parts.takeover import old_gateway, old_settings
from llm_gateway.parts.takeover.old_settings import Given

_SCRIPTS = (answers.SCRIPT, other_databases.SCRIPT, old_gateway.SCRIPT, Path(__file__).with_name("find_gateway.sh"))
_PASSING = tuple(name.removeprefix(PROJECT) for name in (FIRST_START, REPLACED, TRIAL, NEXT_IMAGE))
"""What the names of our containers end with that are there for a moment only."""


class SourceError(Exception):
    """There is no gateway that could be moved; the text says why and what fixes it."""


class SourceState(HostState):
    """What `find_gateway.sh` says on a host; each fact is the answer of its name."""

    expected = Text()
    """The directory of the data of a gateway that has no container."""
    unit = Properties()
    timer = Properties()
    """What systemd says of our units."""
    migrated_to = Text()
    """The mark that it was moved; its first word is the new host."""
    strangers = Lines()
    """The names of what lies beside its database."""
    tool = Flag()
    """Whether there is sqlite3."""


@dataclass(frozen=True)
class Source:
    """A gateway as it was found: where its data are, what starts it, and what is known of it."""

    directory: str
    """Where its mark goes, and the files of ours, if it is one of ours."""
    data: str
    container: str | None
    """The container's name; None where it has none now."""
    image: str
    """What it runs, as its container names it: "justsong/one-api:v0.6.10"; "" where it has no container."""
    is_ours: bool
    """Whether it is run by our unit."""
    is_enabled: bool
    is_running: bool
    restart: str
    """Docker's restart policy of a container that somebody has set up by hand: "always", "on-failure:3"."""
    backs_up: bool
    """Whether our timer makes backups of it."""
    published: tuple[str, int] | None
    """Where it is reached, as its host sees it."""
    size: int
    """Of its database, in bytes."""
    moved_to: str | None
    """The host that it was moved to already."""
    strangers: tuple[str, ...]
    """What lies beside its database, and stays there."""
    has_tool: bool
    """Whether its host has sqlite3."""
    given: Given | None
    """What it was given besides its data."""
    in_file: tuple[str, ...]
    """The names of the variables in the .env beside its database, which stays there."""
    unread: str
    """Its compose file, where it has no container and Compose cannot read that."""
    files: Mapping[str, str] = field(repr=False)
    """What of `secrets.env`, `applied-keys.json` and `first-start-done` is there, by name."""

    @property
    def database(self) -> str:
        """The database's path."""
        return f"{self.data}/{DATABASE}"

    @property
    def mark(self) -> str:
        """The path of the file that says that it was moved."""
        return f"{self.directory}/{MOVED_AWAY}"

    @property
    def generated(self) -> Generated | None:
        """The secrets that it was set up with; None where that was not by us. Raises SecretsError."""
        text = self.files.get(SECRETS)
        return Generated.read(text) if text else None


def find(host: Host, directory: str, container: str | None) -> Source:
    """Look for the gateway of a host; nothing is changed.

    Parameters: `directory`, where it is if it is one of ours; `container`, its name where a person has said it.
    Raises SourceError, RemoteError and UnreadableError.
    """
    seen = _ask(host, directory, {"READ": "", "CONTAINER": "", "DATA": ""})
    name, data = _choose([tuple(line.split(" ", 1)) for line in seen.gateways], seen, container, directory)
    place, _, last = data.rpartition("/")
    place = place if last == DATA else data
    found = _ask(host, directory, {"READ": place, "CONTAINER": name or "", "DATA": data})
    container_found = old_gateway.of(found)
    _refuse_other_databases(found, data)
    unit = seen.unit
    # systemd shows a WorkingDirectory=- with "!"; earlier versions of ours had none.
    is_ours = unit.get("LoadState") == "loaded" and unit.get("WorkingDirectory", "").removeprefix("!") == place
    names = {SECRETS: "secrets", APPLIED_KEYS: "applied_keys", FIRST_START_DONE: "first_start_done"}
    return Source(
        directory=place,
        data=data,
        container=name,
        image=container_found.image if container_found else "",
        is_ours=is_ours,
        is_enabled=is_ours and unit.get("UnitFileState") == "enabled",
        is_running=container_found is not None and container_found.is_running,
        restart=container_found.restart if container_found else "no",
        backs_up=found.timer.get("UnitFileState") == "enabled",
        published=container_found.published if container_found else None,
        size=found.database_size or 0,
        moved_to=next(iter(found.migrated_to.split()), None),
        strangers=tuple(found.strangers),
        given=old_settings.of(found, place),
        in_file=tuple(found.data_environment),
        unread=found.old_compose_file,
        has_tool=seen.tool,
        files={file: found.answers[answer] for file, answer in names.items() if answer in found.answers},
    )


def _ask(host: Host, directory: str, values: Mapping[str, str]) -> SourceState:
    variables = {"PROJECT": PROJECT, "DIRECTORY": directory, **values}
    return SourceState.parse(remote.run(host, shell.program(variables, *_SCRIPTS)))


def _choose(
    gateways: Sequence[tuple[str, ...]], seen: SourceState, wanted: str | None, directory: str
) -> tuple[str | None, str]:
    """The container, if there is one, and the directory of its data."""
    known = {name: data for name, data in gateways if not name.endswith(_PASSING)}
    if wanted is not None:
        if wanted in known:
            return wanted, known[wanted]
        there = f"; those that have are {', '.join(known)}" if known else ""
        raise SourceError(f"container={wanted}: no container of that name has a one-api.db at /data{there}")
    expected = [name for name, data in known.items() if data == f"{directory}/{DATA}"]
    if expected or len(known) == 1:
        name = (expected or list(known))[0]
        return name, known[name]
    if len(known) > 1:
        raise SourceError(
            f"several containers have a one-api.db at /data ({', '.join(known)}): say which one, --data"
            f" container={next(iter(known))}"
        )
    if seen.expected:
        return None, seen.expected
    raise SourceError(
        f"no gateway is found on it: no container has a one-api.db at /data, and {layout.database(directory)} is not"
        " there; name its directory, the one that holds data/, by gateway_directory in this host's data"
    )


def _refuse_other_databases(found: SourceState, data: str) -> None:
    settings = found.data_settings
    if named := other_databases.that_holds_all(settings):
        raise SourceError(
            f"it does not use {data}/{layout.DATABASE} ({named} is set), which is all that this can move: move that"
            " database by its own means"
        )
    if named := other_databases.that_holds_the_log(settings):
        raise SourceError(
            f"it keeps its log outside {data}/{layout.DATABASE} ({named} is set), which is all that this can move:"
            f" start it there without {named}, then run this again. What is in that log stays where it is"
        )
    if found.next_secrets:
        raise SourceError("new keys have been begun there (secrets.env.next): run deploy.py, which ends that, first")


def stop_script(source: Source, mark: str) -> str:
    """A shell script that stops the gateway for good, and marks it first: nothing starts it again by itself.

    Parameters: `mark`, what the mark says; its first word is the name of the host that the gateway moves to.
    """
    place = shlex.quote(source.mark)
    lines = [
        "set -eu",
        f"printf '%s\\n' {shlex.quote(mark)} > {place}.new && mv -fT {place}.new {place} && sync {place}",
    ]
    if source.is_ours:
        lines += [
            # A backup under way would be of a gateway that is none any more.
            f"systemctl disable --quiet --now {BACKUPS.timer} 2>/dev/null || :",
            f"systemctl stop {BACKUPS.service} 2>/dev/null || :",
            f"systemctl disable --quiet --now {UNIT}",
        ]
    if source.container is not None and source.is_running:
        name = shlex.quote(source.container)
        lines.append(  # ours goes with its unit
            f"if docker container inspect {name} >/dev/null 2>&1; then docker update --restart=no {name} >/dev/null;"
            f" docker stop --time 20 {name} >/dev/null; fi"
        )
    lines += [
        f"holders=$(find -L /proc/[0-9]*/fd -maxdepth 1 -samefile {shlex.quote(source.database)} 2>/dev/null |"
        ' cut -d / -f 3 | sort -un | while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null || :; done |'
        " grep -vx find || :)",  # which keeps open what it compares with
        '[ -z "$holders" ] || { echo "its database is still in use, by" $holders >&2; exit 1; }',
    ]
    return "\n".join(lines)


def undo_script(source: Source) -> str:
    """A shell script that takes back what `stop_script` has done, as far as it came.

    It waits for nothing: it may run at boot, before the units that it starts can.
    """
    lines = [
        f"rm -f {shlex.quote(source.mark)} {shlex.quote(source.mark)}.new",
        f"sync {shlex.quote(source.directory)}",
    ]
    if source.is_ours and source.is_enabled:
        lines.append(f"systemctl enable --quiet {UNIT}")
    if source.is_ours and source.is_running:
        lines.append(f"systemctl start --no-block {UNIT}")
    if source.backs_up:
        lines += [f"systemctl enable --quiet {BACKUPS.timer}", f"systemctl start --no-block {BACKUPS.timer}"]
    if not source.is_ours and source.container is not None and source.is_running:
        name = shlex.quote(source.container)
        lines += [f"docker update --restart={source.restart} {name} >/dev/null", f"docker start {name} >/dev/null"]
    return "\n".join(lines)
