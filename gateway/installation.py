"""The gateway's files on its host: rendered here, compared with what is there, put in place where they differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from gateway import image, remote, tiktoken
from gateway.host_state import PROJECT, FileState

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
    data = ("data", "tiktoken", "applied-keys.json", FIRST_START_DONE, *(f"tiktoken/{name}" for name in tiktoken.FILES))
    return [directory, *(f"{directory}/{name}" for name in (*names, *data)), UNIT_PATH]


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
    directory = member.directory
    if not all(_is_safe(member, path, others) for path, others in _guarded(directory)):
        remote.shell(
            name="Make the directories, writable by root alone",
            command=(
                f"mkdir -p {directory}/data {directory}/tiktoken && cd {directory} &&"
                " chown root:root . data tiktoken && chmod go-w . tiktoken && chmod 700 data &&"
                " for file in applied-keys.json; do"
                ' [ ! -e "$file" ] || { chown root:root "$file" && chmod 600 "$file"; }; done'
            ),
        )
    if member.state.file(f"{directory}/docker-compose.yml") and not member.state.text("secrets"):
        remote.shell(
            name="Keep the files of the gateway that was there before",
            command=(
                f"umask 077 && cd {directory} && mkdir -p backups/taken-over-files &&"
                " for file in docker-compose.yml .env; do"
                ' if [ -f "$file" ] && [ ! -e "backups/taken-over-files/$file" ]; then'
                ' cp "$file" backups/taken-over-files/ || exit 1; fi; done'
            ),
        )
    for file in differing_files(member):
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
    return found.owner == "root:root" and not int(found.mode, 8) & others
