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

from llm_gateway.hosts import other_databases
from llm_gateway.model import layout
from llm_gateway.model.checkout import CARRIER, TAILSCALE_PROBLEM
from llm_gateway.model.layout import PROJECT

_SCRIPTS = (
    CARRIER,
    TAILSCALE_PROBLEM,
    other_databases.SCRIPT,
    *(Path(__file__).parent / f"{name}.sh" for name in ("registry", "look", "old_gateway", "host_state")),
)


@dataclass(frozen=True)
class FileState:
    """A file as it is on the host: mode as octal digits ("600"), owner as "user:group", mtime in seconds."""

    mode: str
    owner: str
    modified: float
    sha256: str | None = None


@dataclass(frozen=True)
class Account:
    """An account of a host: its name, its numbers as digits, and its home directory."""

    user: str
    uid: str
    gid: str
    home: str


def script(roles: Sequence[str], values: Mapping[str, str], tracked: Sequence[str]) -> str:
    """The text of the shell script that reads the state.

    Parameters: `roles`, of "gateway" and "openclaw"; `values`, the script's other variables by name;
    `tracked`, paths (without blanks) of the files that are compared by their SHA-256.
    """
    variables = {
        "ROLES": " ".join(roles),
        **dict.fromkeys(("WHO", "RUN", "BEGUN", "USER_ID", "REGISTRY", "MIRRORS", "REGISTRY_PROXY"), ""),
        **dict.fromkeys(("DAEMON_BEFORE", "DAEMON_OURS"), ""),
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

    # -- the run -------------------------------------------------------------------------------------

    @property
    def busy(self) -> str:
        """Which other run has the host, in words; "" where this run may have it."""
        return self.text("busy")

    @property
    def is_root(self) -> bool:
        """Whether commands run as root."""
        return self.text("uid") == "0"

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

    def least_free(self, directory: str) -> tuple[int, str]:
        """Free space in KiB where it is smallest, and which directory that is: the install directory, or Docker's.

        Parameters: `directory`, the install directory.
        """
        free = [int(line.split()[3]) for line in self.lines("disk")[1:]]
        return min(zip(free, [directory, *self.lines("disk_places")], strict=False), default=(0, directory))

    @property
    def tailscale_addresses(self) -> list[str]:
        """The IPv4 addresses of `tailscale0`, else what `tailscale ip -4` says."""
        on_interface = [line.split("/")[0] for line in self.lines("tailscale0")]
        return on_interface or self.lines("tailscale_ip")

    @property
    def tools(self) -> list[str]:
        """Which of the programs that runs can use are there: "sqlite3", "python3", "nft", "age"."""
        return self.lines("tools")

    @property
    def tailscale_problem(self) -> str:
        """What is wrong with Tailscale, with what to do; "" where nothing is."""
        return self.text("tailscale_problem")

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
    def secrets(self) -> str | None:
        """The content of secrets.env; None where there is none."""
        return self.answers.get("secrets")

    @property
    def has_secrets(self) -> bool:
        """Whether there is a secrets.env that is not empty: a gateway of ours was begun there."""
        return bool(self.text("secrets"))

    @property
    def database_size(self) -> int | None:
        """The size of the database's file in bytes; None where there is none."""
        size = self.text("database_size")
        return int(size) if size else None

    @property
    def data_environment(self) -> list[str]:
        """The names of the variables in the .env beside the database."""
        return self.lines("data_environment")

    @property
    def gateway_unit(self) -> dict[str, str]:
        """What systemd says of the gateway's unit, by property."""
        return self.properties("gateway_unit")

    @property
    def firewall_unit(self) -> dict[str, str]:
        """What systemd says of the firewall's unit, by property."""
        return self.properties("firewall_unit")

    @property
    def docker_unit(self) -> dict[str, str]:
        """What systemd says of docker.service, by property."""
        return self.properties("docker_unit")

    @property
    def container(self) -> dict[str, Any] | None:
        """`docker container inspect` of the gateway's container, or None."""
        found = json.loads(self.text("container") or "[]")
        return found[0] if found else None

    @property
    def bindings(self) -> list[tuple[str, str]]:
        """The addresses and ports that the gateway's container is to be published on."""
        bindings = ((self.container or {}).get("HostConfig", {}).get("PortBindings") or {}).get(layout.CONTAINER_PORT)
        return [(entry["HostIp"], entry["HostPort"]) for entry in bindings or []]

    @property
    def published(self) -> tuple[str, str]:
        """Address and port that the gateway's container is published on now; both "" where it is not."""
        return self.bindings[0] if self.bindings else ("", "")

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

    # -- OpenClaw ------------------------------------------------------------------------------------

    @property
    def openclaw_unit(self) -> dict[str, str]:
        """What systemd says of OpenClaw's unit, by property."""
        return self.properties("openclaw_unit")

    @property
    def openclaw_account(self) -> Account | None:
        """The account that OpenClaw runs with; None where the host has no such account."""
        fields = self.text("openclaw_passwd").split(":")
        return Account(fields[0], fields[2], fields[3], fields[5]) if len(fields) > 5 else None

    @property
    def openclaw_env(self) -> str | None:
        """The content of OpenClaw's .env; None where there is none that its user can read."""
        return self.answers.get("openclaw_env")

    @property
    def openclaw_workspace(self) -> dict[str, str]:
        """What is known of the workspace and the client in it, by name; empty where there is no such directory."""
        return self.properties("openclaw_workspace")

    @property
    def openclaw_client_record(self) -> str:
        """The SHA-256 of the client that was deployed last; "" where none was."""
        return self.text("openclaw_client_record")


def started_at(unit: Mapping[str, str]) -> float | None:
    """When a unit's main process started, in seconds since the epoch, from its `systemctl show` properties."""
    text = unit.get("ExecMainStartTimestamp", "")
    try:
        # systemd.time(7): "Sun 2026-11-22 11:06:01.123456 UTC" with --timestamp=us+utc
        moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).timestamp()
