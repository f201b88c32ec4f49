"""What a host is like, read in one round trip.

This is not a pyinfra fact on purpose: pyinfra prints a fact's output at -vvv, and what is read here holds
secrets. `host.run_shell_command` prints nothing unless asked to.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import other_databases
from gateway.checkout import CARRIER

PROJECT = "openclaw-llm-gateway"
"""The name of the container, of the compose project and of the systemd unit."""

_SCRIPTS = (CARRIER, other_databases.SCRIPT, Path(__file__).with_name("host_state.sh"))


@dataclass(frozen=True)
class FileState:
    """A file as it is on the host: mode as octal digits ("600"), owner as "user:group", mtime in seconds."""

    mode: str
    owner: str
    modified: float
    sha256: str | None = None


def script(roles: Sequence[str], values: Mapping[str, str], tracked: Sequence[str]) -> str:
    """The text of the shell script that reads the state.

    Parameters: `roles`, of "gateway" and "openclaw"; `values`, the script's other variables by name;
    `tracked`, paths (without blanks) of the files that are compared by their SHA-256.
    """
    variables = {
        "ROLES": " ".join(roles),
        **dict.fromkeys(("WHO", "RUN", "BEGUN", "USER_ID"), ""),
        "PROJECT": PROJECT,
        "TRACKED": " ".join(tracked),
        **values,
    }
    assignments = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*assignments, *(path.read_text(encoding="utf-8") for path in _SCRIPTS)])


class UnreadableError(ValueError):
    """The answer of the script is not whole."""


@dataclass(frozen=True)
class HostState:
    """The state of one host. `repr` shows nothing of it, since it holds secrets."""

    answers: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, lines: Sequence[str]) -> HostState:
        """Read the script's output. Raises UnreadableError when it is cut or garbled."""
        answers = {}
        for line in lines:
            name, _, encoded = line.strip().partition(" ")
            try:
                answers[name] = base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
            except ValueError:
                continue  # a login banner or a warning of sudo among the answers
        if answers.get("end") != "complete":
            raise UnreadableError("the host's answer broke off before its end")
        return cls(answers)

    def text(self, name: str) -> str:
        """The answer of that name without surrounding white space; "" where there is none."""
        return self.answers.get(name, "").strip()

    def lines(self, name: str) -> list[str]:
        """The non-empty lines of the answer of that name."""
        return [line for line in self.text(name).splitlines() if line.strip()]

    def properties(self, name: str) -> dict[str, str]:
        """The answer of that name as `KEY=value` lines, such as `systemctl show` prints."""
        return dict(line.split("=", 1) for line in self.lines(name) if "=" in line)

    # -- the machine -------------------------------------------------------------------------------

    @property
    def os(self) -> dict[str, str]:
        """`/etc/os-release`, unquoted."""
        return {key: value.strip("\"'") for key, value in self.properties("os_release").items()}

    @property
    def architecture(self) -> str:
        """Docker's name for the machine's architecture: amd64, arm64, or what `uname -m` says."""
        machine = self.text("machine")
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)

    @property
    def free_kib(self) -> int:
        """Free space in KiB where it is smallest: below the install directory or Docker's."""
        return min((int(line.split()[3]) for line in self.lines("disk")[1:]), default=0)

    @property
    def tailscale_addresses(self) -> list[str]:
        """The IPv4 addresses of `tailscale0`, else what `tailscale ip -4` says."""
        on_interface = [line.split("/")[0] for line in self.lines("tailscale0")]
        return on_interface or self.lines("tailscale_ip")

    @property
    def left_unfinished(self) -> str:
        """What an interrupted run has left and the host undoes, in words; "" where there is nothing."""
        return self.text("unfinished") or self.text("undoing")

    def file(self, path: str) -> FileState | None:
        """A tracked file, or None where there is none."""
        for line in self.lines("tracked_stat"):
            name, mode, owner, modified = line.rsplit(" ", 3)
            if name == path:
                return FileState(mode, owner, float(modified), self._sum(path))
        return None

    def _sum(self, path: str) -> str | None:
        for line in self.lines("tracked_sum"):
            digest, name = line.split(maxsplit=1)
            if name == path:
                return digest
        return None

    def stat(self, name: str) -> FileState | None:
        """A file whose `stat` is the answer of that name, or None where there is none."""
        if not (text := self.text(name)):
            return None
        mode, owner, modified = text.split()
        return FileState(mode, owner, float(modified))

    # -- Docker and the gateway --------------------------------------------------------------------

    @property
    def container(self) -> dict[str, Any] | None:
        """`docker container inspect` of the gateway's container, or None."""
        found = json.loads(self.text("container") or "[]")
        return found[0] if found else None

    @property
    def image(self) -> tuple[str, str, list[str]] | None:
        """The image on the host: its ID, its architecture and its digests; or None."""
        if not (text := self.text("image")):
            return None
        identifier, architecture, digests = text.split(maxsplit=2)
        return identifier, architecture, json.loads(digests) or []

    @property
    def data_source(self) -> str | None:
        """The directory on the host that the existing container has as /data, or None."""
        mounts = (self.container or {}).get("Mounts", [])
        return next((mount["Source"] for mount in mounts if mount["Destination"] == "/data"), None)


def started_at(unit: Mapping[str, str]) -> float | None:
    """When a unit's main process started, in seconds since the epoch, from its `systemctl show` properties."""
    text = unit.get("ExecMainStartTimestamp", "")
    try:
        # systemd.time(7): "Sun 2026-11-22 11:06:01.123456 UTC" with --timestamp=us+utc
        moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).timestamp()
