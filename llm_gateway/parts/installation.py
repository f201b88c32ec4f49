"""The gateway's files on its host: rendered here, compared with what is there, put in place where they differ."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from pyinfra.api.host import Host

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.answers import FileState
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout, shell
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.dsn import CONNECTIONS, SQLITE
from llm_gateway.model.layout import FIRST_START_DONE, PROJECT, UNIT, UNIT_PATH, Role
from llm_gateway.parts import image, tiktoken

_OF_POSTGRESQL = ROOT / "files" / "start-gateway-postgresql"
_BEGIN = b"\nmounted="
"""The line of start-gateway behind its functions."""
_TRIAL_SCRIPT = Path(__file__).with_name("trials.sh")
_ROOM = Path(__file__).with_name("make_room.sh")


@dataclass(frozen=True)
class Wanted:
    """A file as it must be on the host."""

    path: str
    content: bytes
    mode: str
    what: str

    @property
    def trial(self) -> str:
        """The shell program by which a host tries it, as "$new", before it takes the place of one that is in use."""
        found = (trial for ending, trial in _TRIALS.items() if self.path.endswith(ending))
        call = "try_script" if self.mode == "755" else next(found, "")
        return shell.program({}, _TRIAL_SCRIPT, call=call) if call else ""

    def write(self) -> None:
        """Put it in place, as a step of its own."""
        remote.write_file(
            name=f"Write {self.what}", path=self.path, content=self.content, mode=self.mode, trial=self.trial
        )

    def write_now(self, host: Host) -> None:
        """Put it in place from within a step that runs Python. Raises RemoteError."""
        remote.write_now(host, self.path, self.content, self.mode, self.trial)


_TRIALS = {
    f"/{layout.TAILSCALE_PROBLEM}": "try_part_of_a_script",
    f"/{layout.SCRIPT_FUNCTIONS}": "try_part_of_a_script",
    f"/{layout.DATABASE_SETTINGS}": "try_part_of_a_script",
    f"/{layout.DATABASE_ACCESS}": "try_part_of_a_script",
    layout.FIREWALL_RULES: "try_firewall_rules",
    f"/{layout.COMPOSE_FILE}": "try_compose_file",
}
"""By the end of a path. Not of units: what `systemd-analyze verify` fails for depends on systemd's version."""


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, units and dotenv, whose values the settings have checked
    )


def render(template: str, **values: Any) -> bytes:
    """Render a template of `templates/`; an undefined variable is an error."""
    return _environment().get_template(template).render(**values).encode()


def _values(node: Node) -> dict[str, Any]:
    """What the templates are filled with."""
    return {
        "project": PROJECT,
        "directory": node.directory,
        "image": image.reference(node.settings),
        "pull_policy": image.pull_policy(node),
        "port": node.settings.gateway_port,
        "timezone": node.settings.gateway_timezone,
        "environment": {
            name: _composed(value) for name, value in node.settings.gateway_environment.items() if value is not None
        },
        "extra_hosts": {name: each for name, each in node.settings.gateway_extra_hosts.items() if each is not None},
        "address": node.address,
        "session_secret": node.gateway.generated.session_secret,
        "user_id": node.settings.gateway_user_id,
        "memory_mb": node.settings.gateway_memory_mb,
        "cpus": node.settings.gateway_cpus,
        "bridge": layout.BRIDGE,
        "flavour": node.flavour,
        **_database_values(node),
    }


def _database_values(node: Node) -> dict[str, Any]:
    """Where it keeps what it knows: None, and a text without anything, where that is a file."""
    dsn = node.gateway.dsn
    if dsn is None:
        return {"sql_dsn": "", "connections": None}
    return {"sql_dsn": dsn.uri(node.settings.gateway_timezone), "connections": CONNECTIONS}


def _composed(value: str) -> str:
    """A text as Compose reads it: JSON is YAML, and a lone $ would begin the name of a variable."""
    return json.dumps(value).replace("$", "$$")


def unpublished_compose_file(node: Node, project: str, image: str) -> bytes:
    """The compose file of the same service without a port, of another project, for an image that is on the host."""
    values = {**_values(node), "project": project, "image": image, "pull_policy": "never", "port": None}
    values["bridge"] = layout.TRIAL_BRIDGE
    return render("gateway_directory/docker-compose.yml.j2", **values)


def service_paths(directory: str) -> list[str]:
    """The paths of the files by which the gateway runs: they are replaced while it stands still, or not at all."""
    return layout.paths(Role.RESTARTS, directory)


def wanted_files(node: Node) -> list[Wanted]:
    """The gateway's files as they must be, secrets included."""
    directory, values = node.directory, _values(node)
    here = "gateway_directory"
    return [
        Wanted(
            f"{directory}/{layout.SECRETS}",
            node.gateway.generated.render().encode(),
            "600",
            "the generated secrets",
        ),
        Wanted(
            f"{directory}/{layout.ENVIRONMENT}",
            render(f"{here}/dot-env.j2", **values),
            "600",
            "the compose environment",
        ),
        Wanted(
            f"{directory}/{layout.COMPOSE_FILE}",
            render(f"{here}/docker-compose.yml.j2", **values),
            "644",
            "the compose file",
        ),
        Wanted(
            f"{directory}/{layout.FIRST_START_FILE}",
            render(f"{here}/first-start.yml.j2", **values),
            "644",
            "the compose file of the first start",
        ),
        *_database_files(node),
        own_data(node),
        sent(node, layout.TAILSCALE_PROBLEM, "what tells what is wrong with Tailscale", "644"),
        _start_gateway(node),
        Wanted(
            UNIT_PATH,
            render(f"etc/systemd/system/{UNIT}.j2", **values),
            "644",
            "the systemd unit",
        ),
    ]


def _database_files(node: Node) -> list[Wanted]:
    """What leads psql to the database; none where the store is a file."""
    dsn = node.gateway.dsn
    path = f"{node.directory}/{layout.DATABASE_CONF}"
    return [] if dsn is None else [Wanted(path, dsn.service().encode(), "600", "what leads psql to the database")]


def _start_gateway(node: Node) -> Wanted:
    """The script that starts the gateway, with what it does otherwise where the store is no file."""
    found = sent(node, layout.START_GATEWAY, "the script that starts the gateway")
    if node.settings.gateway_database == SQLITE:
        return found
    above, begin, below = found.content.partition(_BEGIN)
    return replace(found, content=b"".join((above, b"\n", _OF_POSTGRESQL.read_bytes(), begin, below)))


def sent(node: Node, name: str, what: str, mode: str = "755") -> Wanted:
    """A file of `files/` as it must be in the gateway's directory."""
    return Wanted(f"{node.directory}/{name}", (ROOT / "files" / name).read_bytes(), mode, what)


def start_anew(unit: str) -> str:
    """The shell command that starts a unit whose file was written, now and at each boot.

    Without --no-reload, `systemctl reenable` has all units read once more, which takes a busy host a second.
    """
    return f"systemctl reenable --quiet --no-reload {unit} && systemctl daemon-reload && systemctl restart {unit}"


def own_data(node: Node) -> Wanted:
    """The script that gives data to the container's user, which every start of a container on data needs."""
    return sent(node, layout.OWN_DATA, "the script that gives the data to the gateway's user")


OWN_BACKUPS = ROOT / "files" / layout.OWN_BACKUPS


def own_backups_command(directory: str) -> str:
    """The shell command that makes a gateway's backups/ for root alone, or says why that cannot be."""
    return f"sh -c {shlex.quote(OWN_BACKUPS.read_text(encoding='utf-8'))} {layout.OWN_BACKUPS} {shlex.quote(directory)}"


def own_data_command(node: Node, data: str) -> str:
    """The command that gives data to the user of One API.

    Parameters: `data`, a directory relative to the gateway's.
    """
    return f"cd {shlex.quote(node.directory)} && ./{layout.OWN_DATA} {node.settings.gateway_user_id} {data}"


def limit_processors(node: Node) -> str:
    """The shell command that sets what compose files take for `cpus`; start-gateway does it for the one that serves.

    Docker refuses more than the host has.
    """
    most = node.settings.gateway_cpus
    count = f"awk -v has=$(nproc) 'BEGIN {{ print {most} < has ? {most} : has }}'"
    return f"GATEWAY_CPUS=$({count}) && export GATEWAY_CPUS"  # an export of the answer would hide a failure


def tracked_files(directory: str) -> list[str]:
    """The paths whose state is read from the host, `wanted_files` and more."""
    downloaded = (f"{directory}/{layout.TIKTOKEN}/{name}" for name in tiktoken.FILES)
    return [directory, *layout.paths(Role.TRACKED, directory), *downloaded]


def differing_files(node: Node) -> list[Wanted]:
    """Those that the host has not, or has otherwise."""
    return [file for file in wanted_files(node) if not is_as_wanted(node, file)]


def is_as_wanted(node: Node, file: Wanted) -> bool:
    """Whether a file is on the host with this content, mode and owner."""
    found = node.state.file(file.path)
    return (
        found is not None
        and found.sha256 == hashlib.sha256(file.content).hexdigest()
        and found.mode == file.mode
        and found.owner == "root:root"
    )


def install_files(node: Node) -> None:
    """Put the directories and the files in place that differ."""
    _make_room(node)
    _write(differing_files(node))


def install_beside(node: Node) -> None:
    """The same without the files by which the gateway runs."""
    _make_room(node)
    _write(file for file in differing_files(node) if file.path not in service_paths(node.directory))


def _make_room(node: Node) -> None:
    directory = node.directory
    values = {
        "directory": directory,
        "keys": layout.APPLIED_KEYS,
        "taken_over": layout.TAKEN_OVER_FILES,
        "theirs": " ".join(layout.names(Role.THEIRS)),
        # An old gateway's data stay as they are until it is stopped: its user may have no other way in than it has now.
        "close": "" if _has_old_data(node) else "yes",
    }
    if not all(_is_safe(node, path, others) for path, others in _guarded(node)):
        noted = f"{before.note(directory)} && {before.note(f'{directory}/data')}"
        remote.shell(
            name="Make the directories, writable by root alone",
            command=shell.program(values, _ROOM, call=f"{noted} && make_directories"),
        )
    theirs = layout.paths(Role.THEIRS, directory)
    if any(map(node.state.file, theirs)) and node.state.file(f"{directory}/{FIRST_START_DONE}") is None:
        noted = " && ".join(before.note(path) for path in theirs)
        remote.shell(
            name="Keep the files of the gateway that was there before",
            command=shell.program(values, _ROOM, call=f"{noted} && keep_files"),
        )


def _has_old_data(node: Node) -> bool:
    is_set_up = node.state.file(f"{node.directory}/{FIRST_START_DONE}") is not None
    return node.state.database_size is not None and not is_set_up


def _write(files: Iterable[Wanted]) -> None:
    for file in files:
        file.write()


def _guarded(node: Node) -> list[tuple[str, int]]:
    """Paths, and the bits that nobody but root may have there: what systemd runs as root lies among them."""
    directory = node.directory
    return [
        (directory, 0o022),
        (f"{directory}/tiktoken", 0o022),
        *([] if _has_old_data(node) else [(f"{directory}/data", 0o077)]),
        (f"{directory}/{layout.APPLIED_KEYS}", 0o077),
    ]


def _is_safe(node: Node, path: str, others: int) -> bool:
    found: FileState | None = node.state.file(path)
    if found is None:
        return path.endswith(f"/{layout.APPLIED_KEYS}")  # made when the first channel is
    # Whom the data belong to is seen to at every start.
    is_owned = found.owner == "root:root" or path.endswith("/data")
    return is_owned and not int(found.mode, 8) & others
