"""The gateway as a service of the host: its files, its unit, and the moment when it is published."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import image, remote, tiktoken
from gateway.host_state import PROJECT, started_at
from gateway.route import RouteError, route
from oneapi import AdminClient, OneAPIError

if TYPE_CHECKING:
    from gateway.fleet import Member

ROOT = Path(__file__).parent.parent
UNIT = f"{PROJECT}.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
FIRST_START_DONE = "first-start-done"
"""The file that says: the default password is gone and registration is closed, so publishing is allowed."""


@dataclass(frozen=True)
class Wanted:
    """A file as it must be on the host."""

    path: str
    content: bytes
    mode: str
    what: str


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


def wanted_files(member: Member) -> list[Wanted]:
    """The gateway's files as they must be, secrets included."""
    settings, directory = member.settings, member.directory
    values: dict[str, Any] = {
        "project": PROJECT,
        "directory": directory,
        "image": image.reference(member),
        "pull_policy": image.pull_policy(member),
        "port": settings.gateway_port,
        "timezone": settings.gateway_timezone,
        "address": member.address,
        "session_secret": member.generated.session_secret,
    }
    here = "gateway_directory"
    return [
        Wanted(
            f"{directory}/secrets.env",
            member.generated.render().encode(),
            "600",
            "the generated secrets",
        ),
        Wanted(
            f"{directory}/.env",
            render(f"{here}/dot-env.j2", **values),
            "600",
            "the compose environment",
        ),
        Wanted(
            f"{directory}/docker-compose.yml",
            render(f"{here}/docker-compose.yml.j2", **values),
            "644",
            "the compose file",
        ),
        Wanted(
            f"{directory}/first-start.yml",
            render(f"{here}/first-start.yml.j2", **values),
            "644",
            "the compose file of the first start",
        ),
        Wanted(
            f"{directory}/wait-for-address",
            (ROOT / "files/wait-for-address").read_bytes(),
            "755",
            "the script that waits for the Tailscale address",
        ),
        Wanted(
            UNIT_PATH,
            render(f"etc/systemd/system/{UNIT}.j2", **values),
            "644",
            "the systemd unit",
        ),
    ]


def tracked_files(directory: str) -> list[str]:
    """The paths whose state is read from the host, `wanted_files` and more."""
    names = ("secrets.env", ".env", "docker-compose.yml", "first-start.yml", "wait-for-address")
    data = ("data", FIRST_START_DONE, *(f"tiktoken/{name}" for name in tiktoken.FILES))
    return [f"{directory}/{name}" for name in (*names, *data)] + [UNIT_PATH]


def differing_files(member: Member) -> list[Wanted]:
    """Those that the host has not, or has otherwise."""
    return [file for file in wanted_files(member) if not _is_as_wanted(member, file)]


def _is_as_wanted(member: Member, file: Wanted) -> bool:
    found = member.state.file(file.path)
    return (
        found is not None
        and found.sha256 == hashlib.sha256(file.content).hexdigest()
        and found.mode == file.mode
        and found.owner == "root:root"
    )


def install_files(member: Member) -> None:
    """Put the directories and the files in place that differ."""
    data = member.state.file(f"{member.directory}/data")
    if data is None or data.mode != "700" or data.owner != "root:root":
        remote.shell(
            name="Make the data directory, readable by root alone",
            command=f"mkdir -p {member.directory} && install -d -m 700 -o root -g root {member.directory}/data",
        )
    for file in differing_files(member):
        remote.write_file(
            name=f"Write {file.what}",
            path=file.path,
            content=file.content,
            mode=file.mode,
        )


def container_is_as_wanted(member: Member) -> bool:
    """Whether the container runs, from the wanted image, on the wanted address and no other."""
    container = member.state.container
    if container is None or not container["State"]["Running"]:
        return False
    wanted = [{"HostIp": member.address, "HostPort": str(member.settings.gateway_port)}]
    bound = container["HostConfig"]["PortBindings"] or {}
    present = member.state.image
    return bound == {"3000/tcp": wanted} and present is not None and container["Image"] == present[0]


def is_published(member: Member) -> bool:
    """Whether the unit runs what its files say, and will again after a reboot."""
    unit = member.state.properties("gateway_unit")
    if unit.get("ActiveState") != "active" or unit.get("UnitFileState") != "enabled":
        return False
    if unit.get("NeedDaemonReload") != "no" or not container_is_as_wanted(member):
        return False
    # A run that was cut off between writing a file and restarting is finished by the next one.
    started = started_at(unit) or 0.0
    files = (member.state.file(file.path) for file in wanted_files(member))
    return all(file is not None and file.modified <= started for file in files)


def publish(member: Member) -> None:
    """Start or restart the unit where it does not run what is wanted, and wait until it answers."""
    if differing_files(member) or not image.is_present(member) or not is_published(member):
        member.is_republished = True
        _restart(name="Publish the gateway on its Tailscale address", member=member)


@operation()
def _restart(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    yield StringCommand(f"systemctl daemon-reload && systemctl enable --quiet {UNIT} && systemctl restart {UNIT}")
    yield FunctionCommand(_await_answer, (member,), {})


def _await_answer(state: State, host: Host, member: Member) -> bool:
    problem = await_answer(host, member.address, member.settings.gateway_port, member.settings.gateway_start_timeout)
    if problem is None:
        return True
    log = f"journalctl --no-pager --lines 10 --unit {UNIT}; docker logs --tail 15 {PROJECT} 2>&1"
    remote.complain(
        host,
        f"the gateway does not answer on {member.base_url}: {problem}. Its own words (`{log}` on the host):\n"
        + "\n".join(remote.run(host, f"{{ {log}; }} || true")),
    )
    return False


def await_answer(host: Host, address: str, port: int, seconds: float) -> str | None:
    """Wait until One API answers there, as seen from the machine that runs pyinfra.

    Parameters: `seconds`, how long at most.
    Returns None when it does, else why not.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with route(host, address, port) as transport:
                AdminClient(f"http://{address}:{port}", transport=transport).status()
            return None
        except (RouteError, OneAPIError) as problem:
            if time.monotonic() > deadline:
                return f"after {seconds:.0f} s: {problem}"
        time.sleep(0.25)
