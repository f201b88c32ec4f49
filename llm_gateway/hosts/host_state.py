"""What a host is like, read in one round trip.

This is not a pyinfra fact on purpose: pyinfra prints a fact's output at -vvv, and what is read here holds
secrets. `host.run_shell_command` prints nothing unless asked to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_gateway.flavours import known
from llm_gateway.flavours.flavour import Reads
from llm_gateway.hosts import answers, other_databases
from llm_gateway.hosts.answers import Answers, Content, FileState, Flag, Lines, Properties, Stat, Text
from llm_gateway.model import layout, shell
from llm_gateway.model.checkout import CARRIER, TAILSCALE_PROBLEM
from llm_gateway.model.layout import PROJECT

_SCRIPTS = (
    answers.SCRIPT,
    CARRIER,
    TAILSCALE_PROBLEM,
    other_databases.SCRIPT,
    *(Path(__file__).parent / f"{name}.sh" for name in ("registry", "look", "old_gateway", "host_state")),
)


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
        **asked_of(known.ONE_API.reads),
        "PROJECT": PROJECT,
        "TRACKED": " ".join(tracked),
        **values,
    }
    return shell.program(variables, *_SCRIPTS)


def asked_of(reads: Reads) -> dict[str, str]:
    """The script's variables for what is read of a gateway's admin API."""
    return {f"READ_{name.upper()}": value for name, value in asdict(reads).items()}


@dataclass(frozen=True)
class HostState(Answers):
    """The state of one host; each fact is the answer of `host_state.sh` of its name. `repr` shows nothing of it."""

    # -- the run -------------------------------------------------------------------------------------

    last_run_is_bad = Flag()
    """Whether the last run that did something ended badly."""

    marks = Text()
    """By what other runs have left: which of them was at work, and whether one still is."""

    busy = Text()
    """Which other run has the host, in words; "" where this run may have it."""

    @property
    def is_root(self) -> bool:
        """Whether commands run as root."""
        return self.text("uid") == "0"

    # -- the machine -------------------------------------------------------------------------------

    systemd = Flag()
    """Whether it was booted with systemd."""
    disk_places = Lines()
    """The directories that Docker keeps images and containers in."""
    tailscale0 = Lines()
    """The addresses of the interface, each with its prefix."""
    tailscale_ip = Lines()
    """What `tailscale ip -4` says; asked only where the interface has no address."""
    listeners = Lines()
    """Who listens on the gateway's port, as `ss -ltnp` tells it."""

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
        return min(zip(free, [directory, *self.disk_places], strict=False), default=(0, directory))

    @property
    def tailscale_addresses(self) -> list[str]:
        """The IPv4 addresses of `tailscale0`, else what `tailscale ip -4` says."""
        on_interface = [line.split("/")[0] for line in self.tailscale0]
        return on_interface or self.tailscale_ip

    tools = Lines()
    """Which of the programs that runs can use are there: "sqlite3", "python3", "nft", "age", "nginx"."""

    tailscale_problem = Text()
    """What is wrong with Tailscale, with what to do; "" where nothing is."""

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

    # -- Docker and the gateway --------------------------------------------------------------------

    docker_endpoint = Text()
    """Where `docker` is pointed, where that is not this host's own engine."""
    docker_info = Text()
    """JSON: what the engine says of itself."""
    docker_says = Lines()
    """The version of `docker`, and what it says, where no engine answers."""
    docker_view = Text()
    """"same" or "elsewhere": whose files the daemon sees."""
    docker_flags = Text()
    """The command line of dockerd."""
    docker_commands = Lines()
    """Where `docker` and `dockerd` are."""
    docker_packages = Lines()
    """Packages that have to do with Docker: name, status and version."""
    masquerades = Text()
    """"yes" or "no": whether somebody else masquerades; asked where Docker is told not to."""
    apt_sources = Lines()
    """The URLs of the repositories that apt has; asked where Docker is missing."""
    apt_sources_file = Flag()
    """Whether there is a file of Docker's repository, whatever apt makes of it."""
    apt_keyring = Content()
    """The file with the key of Docker's repository."""
    registry = Lines()
    """"yes", or for each registry why it is not reached; asked where the image has to be pulled."""
    daemon_json = Text()
    """The daemon's settings."""
    daemon_stat = Stat()
    """The file of the daemon's settings."""
    daemon_link = Text()
    """Where that file leads to, where it is a link."""
    daemon_before = Content()
    """What they were before the first run that has set something; None where there were none."""
    daemon_ours = Text()
    """JSON: what earlier runs have set in it."""

    next_secrets = Text()
    """The secrets that a rotation is going over to."""
    session_secret = Text()
    """The one that the gateway runs with, where secrets.env is lost."""
    applied_keys = Text()
    """JSON: the record of what earlier runs made of its contents."""
    data = Lines()
    """The names in its data/."""
    data_path = Text()
    """Where data/ leads to."""
    data_users = Lines()
    """The containers that have data/ mounted."""
    user_of_data = Text()
    """The line of /etc/passwd of the user that the data are to belong to."""
    composed_image = Text()
    """ID and name of the image in the compose file, where the container is gone."""
    api_channels = Text()
    """The HTTP response of the admin API with its channels; "" where it does not answer."""
    api_tokens = Text()
    """The same with its tokens."""
    api_options = Text()
    """The same with its options."""
    api_token_keys = Lines()
    """The number and the key of each token, where its admin API does not list them."""
    firewall_table = Text()
    """The table as nft lists it."""
    firewall_rules = Text()
    """The rules that the host holds."""
    firewall_loaded = Text()
    """The digests of the table as it was loaded."""
    timer_units = Text()
    """What systemd says of the timers and their services, a block each."""
    backup_last = Text()
    """JSON: how the last backup ended."""
    canary_state = Lines()
    """What the canary remembers."""
    canary_metrics = Text()
    """Where it writes its metrics, quoted for a shell."""
    prune_last = Text()
    """JSON: how the last pruning of the log ended."""
    budgets_last = Text()
    """JSON: what the last look at the budgets found."""

    # A gateway that is to be taken over.

    data_settings = Lines()
    """Names of the settings by which it keeps data elsewhere than in data/one-api.db."""
    databases = Lines()
    """Directories below the install directory with a one-api.db."""
    gateways = Lines()
    """Containers with data of One API: name, settings that lead elsewhere or "-", and directory."""
    old_container = Text()
    """JSON: what Docker says of its container."""
    old_environment = Lines()
    """The variables of its process."""
    old_ports = Lines()
    """The ports that it listens on."""
    old_hosts = Lines()
    """The lines of its /etc/hosts."""
    old_compose = Lines()
    """What its compose file says, where it has no container."""
    old_compose_file = Text()
    """The compose file that could not be read."""

    secrets = Content()
    """The content of secrets.env; None where there is none."""
    database_conf = Content()
    """The content of database.conf, a password in it; None where the store is a file."""

    @property
    def has_secrets(self) -> bool:
        """Whether there is a secrets.env that is not empty: a gateway of ours was begun there."""
        return bool(self.text("secrets"))

    @property
    def database_size(self) -> int | None:
        """The size of the database's file in bytes; None where there is none."""
        size = self.text("database_size")
        return int(size) if size else None

    data_environment = Lines()
    """The names of the variables in the .env beside the database."""

    gateway_unit = Properties()
    """What systemd says of the gateway's unit, by property."""

    firewall_unit = Properties()
    """What systemd says of the firewall's unit, by property."""

    docker_unit = Properties()
    """What systemd says of docker.service, by property."""

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

    openclaw_user_units = Lines()
    """Users with a unit of that name, and whether their systemd runs."""
    openclaw_processes = Lines()
    """Processes of OpenClaw: number, user and control group."""
    openclaw_process = Lines()
    """The names of its process's variables."""
    openclaw_command = Lines()
    """The words by which its unit calls it, up to "gateway"."""
    openclaw_variables = Lines()
    """Its variables that say where it keeps what it has."""
    openclaw_config_path = Text()
    """Where its openclaw.json is."""
    openclaw_config = Content()
    """What is in it; None where there is none that its user can read."""
    openclaw_config_record = Content()
    """JSON: what earlier runs have set in it."""
    openclaw_dropin = Content()
    """What is in our drop-in; None where there is none."""
    openclaw_env_path = Text()
    """Where its .env is."""
    openclaw_env_exists = Flag()
    """Whether there is one, be it unreadable for its user."""
    openclaw_env_dangles = Flag()
    """Whether that is a link to nothing."""
    openclaw_env_stat = Stat()
    """The file .env."""
    openclaw_dropin_stat = Stat()
    """The file of our drop-in."""
    openclaw_other_env = Lines()
    """Names of variables in other files that OpenClaw reads, each with its file."""
    openclaw_kept = Flag()
    """Whether a run that was cut off has left copies behind."""
    openclaw_workspace_way = Lines()
    """Each directory and link on the way to the Skills, as `namei -l` tells it."""

    openclaw_unit = Properties()
    """What systemd says of OpenClaw's unit, by property."""

    @property
    def openclaw_account(self) -> Account | None:
        """The account that OpenClaw runs with; None where the host has no such account."""
        fields = self.text("openclaw_passwd").split(":")
        return Account(fields[0], fields[2], fields[3], fields[5]) if len(fields) > 5 else None

    openclaw_env = Content()
    """The content of OpenClaw's .env; None where there is none that its user can read."""

    openclaw_workspace = Properties()
    """What is known of the workspace and the client in it, by name; empty where there is no such directory."""

    openclaw_client_record = Text()
    """The SHA-256 of the client that was deployed last; "" where none was."""


def started_at(unit: Mapping[str, str]) -> float | None:
    """When a unit's main process started, in seconds since the epoch, from its `systemctl show` properties."""
    text = unit.get("ExecMainStartTimestamp", "")
    try:
        # systemd.time(7): "Sun 2026-11-22 11:06:01.123456 UTC" with --timestamp=us+utc
        moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).timestamp()
