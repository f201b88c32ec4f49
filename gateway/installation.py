"""The gateway's files on its host: rendered here, compared with what is there, put in place where they differ."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from gateway import image, remote, tiktoken
from gateway.checkout import ROOT
from gateway.host_state import PROJECT, FileState
from gateway.uninstall import before

if TYPE_CHECKING:
    from gateway.fleet import Member

UNIT = f"{PROJECT}.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
FIRST_START_DONE = "first-start-done"
"""The file that says: the default password is gone and registration is closed, so publishing is allowed."""


MOVED_AWAY = "migrated-to"
"""The file that says: the gateway serves on another host, and may not be started here (the unit asserts so)."""
MOVING_IN = "migrating-from"
"""The file that says: another host's gateway is on its way here, and what is here may be older."""


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


def _values(member: Member) -> dict[str, Any]:
    """What the templates are filled with."""
    return {
        "project": PROJECT,
        "directory": member.directory,
        "image": image.reference(member),
        "pull_policy": image.pull_policy(member),
        "port": member.settings.gateway_port,
        "timezone": member.settings.gateway_timezone,
        "address": member.address,
        "session_secret": member.generated.session_secret,
        "user_id": member.settings.gateway_user_id,
        "memory_mb": member.settings.gateway_memory_mb,
        "cpus": member.settings.gateway_cpus,
        "bridge": "llmgw0",
    }


def unpublished_compose_file(member: Member, project: str, image: str) -> bytes:
    """The compose file of the same service without a port, of another project, for an image that is on the host."""
    values = {**_values(member), "project": project, "image": image, "pull_policy": "never", "port": None}
    values["bridge"] = "llmgw-trial"
    return render("gateway_directory/docker-compose.yml.j2", **values)


def service_paths(directory: str) -> list[str]:
    """The paths of the files by which the gateway runs: they are replaced while it stands still, or not at all."""
    names = (".env", "docker-compose.yml", "first-start.yml", "start-gateway")
    return [*(f"{directory}/{name}" for name in names), UNIT_PATH]


def wanted_files(member: Member) -> list[Wanted]:
    """The gateway's files as they must be, secrets included."""
    directory, values = member.directory, _values(member)
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
        own_data(member),
        Wanted(
            f"{directory}/start-gateway",
            (ROOT / "files/start-gateway").read_bytes(),
            "755",
            "the script that starts the gateway",
        ),
        Wanted(
            UNIT_PATH,
            render(f"etc/systemd/system/{UNIT}.j2", **values),
            "644",
            "the systemd unit",
        ),
    ]


def own_data(member: Member) -> Wanted:
    """The script that gives data to the user of One API, which every start of a container on data needs."""
    content = (ROOT / "files/own-data").read_bytes()
    return Wanted(f"{member.directory}/own-data", content, "755", "the script that gives the data to One API's user")


def own_data_command(member: Member, data: str) -> str:
    """The command that gives data to the user of One API.

    Parameters: `data`, a directory relative to the gateway's.
    """
    return f"cd {shlex.quote(member.directory)} && ./own-data {member.settings.gateway_user_id} {data}"


def limit_processors(member: Member) -> str:
    """The shell command that sets what compose files take for `cpus`; start-gateway does it for the one that serves.

    Docker refuses more than the host has.
    """
    most = member.settings.gateway_cpus
    count = f"awk -v has=$(nproc) 'BEGIN {{ print {most} < has ? {most} : has }}'"
    return f"GATEWAY_CPUS=$({count}) && export GATEWAY_CPUS"  # an export of the answer would hide a failure


def tracked_files(directory: str) -> list[str]:
    """The paths whose state is read from the host, `wanted_files` and more."""
    names = ("secrets.env", ".env", "docker-compose.yml", "first-start.yml", "own-data", "start-gateway")
    data = ("data", "tiktoken", "applied-keys.json", FIRST_START_DONE, *(f"tiktoken/{name}" for name in tiktoken.FILES))
    marks = (MOVED_AWAY, MOVING_IN)
    backups = ("make-backup", "backup.conf", "canary", "canary.conf")
    timers = ("backup", "canary")
    units = (f"/etc/systemd/system/{PROJECT}-{name}.{kind}" for name in timers for kind in ("service", "timer"))
    home = f"/var/lib/{PROJECT}"
    firewall = (f"{home}/firewall/rules.nft", f"{home}/firewall/hold-firewall")
    firewall_unit = f"/etc/systemd/system/{PROJECT}-firewall.service"
    ours = (*names, *data, *marks, *backups)
    return [directory, *(f"{directory}/{name}" for name in ours), UNIT_PATH, *units, *firewall, firewall_unit]


def differing_files(member: Member) -> list[Wanted]:
    """Those that the host has not, or has otherwise."""
    return [file for file in wanted_files(member) if not is_as_wanted(member, file)]


def is_as_wanted(member: Member, file: Wanted) -> bool:
    """Whether a file is on the host with this content, mode and owner."""
    found = member.state.file(file.path)
    return (
        found is not None
        and found.sha256 == hashlib.sha256(file.content).hexdigest()
        and found.mode == file.mode
        and found.owner == "root:root"
    )


def install_files(member: Member) -> None:
    """Put the directories and the files in place that differ."""
    _make_room(member)
    _write(differing_files(member))


def install_beside(member: Member) -> None:
    """The same without the files by which the gateway runs."""
    _make_room(member)
    _write(file for file in differing_files(member) if file.path not in service_paths(member.directory))


def _make_room(member: Member) -> None:
    directory = member.directory
    if not all(_is_safe(member, path, others) for path, others in _guarded(directory)):
        remote.shell(
            name="Make the directories, writable by root alone",
            command=(
                f"{before.note(directory)} && {before.note(f'{directory}/data')} &&"
                f" mkdir -p {directory}/data {directory}/tiktoken && cd {directory} &&"
                " chown root:root . tiktoken && chmod go-w . tiktoken && chmod 700 data &&"
                " for file in applied-keys.json; do"
                ' [ ! -e "$file" ] || { chown root:root "$file" && chmod 600 "$file"; }; done'
            ),
        )
    if member.state.file(f"{directory}/docker-compose.yml") and not member.state.text("secrets"):
        remote.shell(
            name="Keep the files of the gateway that was there before",
            command=(
                f"{before.note(f'{directory}/docker-compose.yml')} && {before.note(f'{directory}/.env')} &&"
                f" umask 077 && cd {directory} && mkdir -p backups/taken-over-files &&"
                " for file in docker-compose.yml .env; do"
                ' if [ -f "$file" ] && [ ! -e "backups/taken-over-files/$file" ]; then'
                ' cp "$file" backups/taken-over-files/ || exit 1; fi; done'
            ),
        )


def _write(files: Iterable[Wanted]) -> None:
    for file in files:
        remote.write_file(
            name=f"Write {file.what}",
            path=file.path,
            content=file.content,
            mode=file.mode,
        )


def _guarded(directory: str) -> list[tuple[str, int]]:
    """Paths, and the bits that nobody but root may have there: what systemd runs as root lies among them."""
    return [
        (directory, 0o022),
        (f"{directory}/tiktoken", 0o022),
        (f"{directory}/data", 0o077),
        (f"{directory}/applied-keys.json", 0o077),
    ]


def _is_safe(member: Member, path: str, others: int) -> bool:
    found: FileState | None = member.state.file(path)
    if found is None:
        return path.endswith("/applied-keys.json")  # made when the first channel is
    # Whom the data belong to is seen to at every start.
    is_owned = found.owner == "root:root" or path.endswith("/data")
    return is_owned and not int(found.mode, 8) & others
