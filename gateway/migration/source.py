"""The gateway that is to be moved, as it is found on its host: one of ours, or one that somebody has set up by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host

from gateway import other_databases, remote
from gateway.host_state import PROJECT, HostState
from gateway.installation import UNIT
from gateway.secrets import Generated

_SCRIPTS = (other_databases.SCRIPT, Path(__file__).with_name("find_gateway.sh"))
PORT = 3000
_TIMER = f"{PROJECT}-backup.timer"
_PASSING = ("-first-start", "-replaced", "-trial", "-next")
"""What the names of our containers end with that are there for a moment only."""


class SourceError(Exception):
    """There is no gateway that could be moved; the text says why and what mends it."""


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
    files: Mapping[str, str] = field(repr=False)
    """What of `secrets.env`, `applied-keys.json` and `first-start-done` is there, by name."""

    @property
    def database(self) -> str:
        """The database's path."""
        return f"{self.data}/one-api.db"

    @property
    def mark(self) -> str:
        """The path of the file that says that it was moved."""
        return f"{self.directory}/migrated-to"

    @property
    def generated(self) -> Generated | None:
        """The secrets that it was set up with; None where that was not by us. Raises SecretsError."""
        text = self.files.get("secrets.env")
        return Generated.read(text) if text else None


def find(host: Host, directory: str, container: str | None) -> Source:
    """Look for the gateway of a host; nothing is changed.

    Parameters: `directory`, where it is if it is one of ours; `container`, its name where a person has said it.
    Raises SourceError, RemoteError and UnreadableError.
    """
    seen = _ask(host, directory, {"READ": "", "CONTAINER": "", "DATA": ""})
    name, data = _choose([tuple(line.split(" ", 1)) for line in seen.lines("gateways")], seen, container, directory)
    place, _, last = data.rpartition("/")
    place = place if last == "data" else data
    found = _ask(host, directory, {"READ": place, "CONTAINER": name or "", "DATA": data})
    inspected: list[dict[str, Any]] = json.loads(found.text("container") or "[]")
    details = inspected[0] if inspected else {}
    _refuse_other_databases(found, data)
    unit = seen.properties("unit")
    # systemd shows a WorkingDirectory=- with "!"; earlier versions of ours had none.
    is_ours = unit.get("LoadState") == "loaded" and unit.get("WorkingDirectory", "").removeprefix("!") == place
    policy = details.get("HostConfig", {}).get("RestartPolicy") or {}
    retries = policy.get("MaximumRetryCount")
    names = {"secrets.env": "secrets", "applied-keys.json": "applied_keys", "first-start-done": "first_start_done"}
    return Source(
        directory=place,
        data=data,
        container=name,
        image=details.get("Config", {}).get("Image") or "",
        is_ours=is_ours,
        is_enabled=is_ours and unit.get("UnitFileState") == "enabled",
        is_running=bool(details.get("State", {}).get("Running")),
        restart=(policy.get("Name") or "no") + (f":{retries}" if retries else ""),
        backs_up=found.properties("timer").get("UnitFileState") == "enabled",
        published=_published(details),
        size=int(found.text("database_size") or 0),
        moved_to=next(iter(found.text("migrated_to").split()), None),
        strangers=tuple(found.lines("strangers")),
        has_tool=bool(seen.text("tool")),
        files={file: found.answers[answer] for file, answer in names.items() if answer in found.answers},
    )


def _ask(host: Host, directory: str, values: Mapping[str, str]) -> HostState:
    variables = {"PROJECT": PROJECT, "DIRECTORY": directory, **values}
    assignments = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    script = "\n".join([*assignments, *(path.read_text(encoding="utf-8") for path in _SCRIPTS)])
    return HostState.parse(remote.run(host, script))


def _choose(
    gateways: Sequence[tuple[str, ...]], seen: HostState, wanted: str | None, directory: str
) -> tuple[str | None, str]:
    """The container, if there is one, and the directory of its data."""
    known = {name: data for name, data in gateways if not name.endswith(_PASSING)}
    if wanted is not None:
        if wanted in known:
            return wanted, known[wanted]
        there = f"; those that have are {', '.join(known)}" if known else ""
        raise SourceError(f"container={wanted}: no container of that name has a one-api.db at /data{there}")
    expected = [name for name, data in known.items() if data == f"{directory}/data"]
    if expected or len(known) == 1:
        name = (expected or list(known))[0]
        return name, known[name]
    if len(known) > 1:
        raise SourceError(
            f"several containers have a one-api.db at /data ({', '.join(known)}): say which one, --data"
            f" container={next(iter(known))}"
        )
    if seen.text("expected"):
        return None, seen.text("expected")
    raise SourceError(
        f"no gateway is found on it: no container has a one-api.db at /data, and {directory}/data/one-api.db is not"
        " there; name its directory, the one that holds data/, by gateway_directory in this host's data"
    )


def _refuse_other_databases(found: HostState, data: str) -> None:
    settings = found.lines("data_settings")
    if named := other_databases.that_holds_all(settings):
        raise SourceError(
            f"it does not use {data}/one-api.db ({named} is set), which is all that this can move: move that"
            " database by its own means"
        )
    if named := other_databases.that_holds_the_log(settings):
        raise SourceError(
            f"it keeps its log outside {data}/one-api.db ({named} is set), which is all that this can move: start it"
            f" there without {named}, then run this again. What is in that log stays where it is"
        )
    if found.text("next_secrets"):
        raise SourceError("new keys have been begun there (secrets.env.next): run deploy.py, which ends that, first")


def _published(details: Mapping[str, Any]) -> tuple[str, int] | None:
    """Where the gateway is reached from its host: where it is published, else its container's own address."""
    networks = details.get("NetworkSettings", {}).get("Networks") or {}
    bindings = (details.get("HostConfig", {}).get("PortBindings") or {}).get("3000/tcp") or []
    for binding in bindings:
        address = binding.get("HostIp") or ""
        return ("127.0.0.1" if address in ("", "0.0.0.0") else address), int(binding["HostPort"])  # noqa: S104
    if details.get("HostConfig", {}).get("NetworkMode") == "host":
        return "127.0.0.1", PORT
    return next(((each["IPAddress"], PORT) for each in networks.values() if each["IPAddress"]), None)


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
            f"systemctl disable --quiet --now {_TIMER} 2>/dev/null || :",
            f"systemctl stop {PROJECT}-backup.service 2>/dev/null || :",
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
        lines += [f"systemctl enable --quiet {_TIMER}", f"systemctl start --no-block {_TIMER}"]
    if not source.is_ours and source.container is not None and source.is_running:
        name = shlex.quote(source.container)
        lines += [f"docker update --restart={source.restart} {name} >/dev/null", f"docker start {name} >/dev/null"]
    return "\n".join(lines)
