"""What a gateway holds now, written as the declaration of it; read by what admin access there is, and nothing changed.

A gateway that was set up by a deployment is read with the access token in its `secrets.env`, any other by logging in
as root, once: One API takes 20 log-ins in 20 minutes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents import desired, export_text
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.export import Circumstances, Export, export
from llm_gateway.contents.provisioning import explained
from llm_gateway.flavours.oneapi import AdminClient, OneAPIError, RateLimited
from llm_gateway.flavours.oneapi.change_plan import Actual
from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.inputs import run_options
from llm_gateway.inputs.secrets import ROOT_PASSWORD, SecretsError
from llm_gateway.model.layout import PORT, PROJECT
from llm_gateway.parts import first_start
from llm_gateway.tasks import preflight, survey

DIRECTORY = "declared"
OPTIONS = {"export_output": f"a directory here that the files go to (default: {DIRECTORY}); -: stdout"}
STDOUT = "-"
_ANY = ("0.0.0.0", "*", "[::]")  # noqa: S104 - what ss prints
_LOOPBACK = ("127.0.0.1", "[::1]")


class ExportError(Exception):
    """A gateway cannot be read, or the file not be written; the text says why and what fixes it."""


def member_to_export(state: State, host: Host) -> Member:
    """The member for a host of this run. Raises DeployError with all problems of all hosts."""
    return survey.member_for(state, host, PURPOSE)


def write(member: Member) -> None:
    """Write the declaration of a gateway. Raises DeployError where it cannot be read or written."""
    if not member.is_gateway:
        return
    place = run_options.read(member.host.state, OPTIONS).get("export_output") or DIRECTORY
    try:
        if place == STDOUT:
            _require_one(member)
        found = export(_look(member), _circumstances(member))
        content = export_text.text(member.name, found)
        if place == STDOUT:
            click.echo(content, nl=False)
        else:
            _keep(_file(member, Path(place)), content)
    except (ExportError, SecretsError) as problem:
        raise DeployError(f"{member.name}: {problem}") from None
    where = "" if place == STDOUT else f"{_file(member, Path(place))}: "
    _tell(member, found, where)


def _problems(member: Member) -> Iterator[str]:
    """A deployed gateway's secrets are root's alone; for another one any user will do who reaches it."""
    if member.is_gateway and first_start.is_done(member):
        yield from preflight.verification_problems(member)


PURPOSE = survey.Purpose((preflight.group_problems,), (_problems,), lock=False)


def _require_one(member: Member) -> None:
    """Several files in one would declare the last gateway alone."""
    gateways = [other.name for other in member.fleet.members.values() if other.is_gateway]
    if len(gateways) > 1:
        raise ExportError(f"only one gateway can be written to stdout; `--limit {member.name}` chooses this one")


def _look(member: Member) -> Actual:
    """Read what the gateway holds. Raises ExportError or SecretsError."""
    try:
        if first_start.is_done(member):
            with admin_api(member) as admin:
                return desired.look(admin)
        return _look_as_root(member)
    except RateLimited:
        raise ExportError("One API takes 20 log-ins in 20 minutes, and no more now: run this again later") from None
    except (OneAPIError, RouteError) as problem:
        told = explained(member, problem) if first_start.is_done(member) else f"the gateway cannot be read: {problem}"
    raise ExportError(told)


def _look_as_root(member: Member) -> Actual:
    """By one log-in, with the password that was handed in, or else One API's own."""
    handed_in = member.provided.get(ROOT_PASSWORD)
    address, port = _way(member)
    with (
        route(member.host, address, port) as transport,
        AdminClient(f"http://{address}:{port}", transport=transport) as admin,
    ):
        if not admin.log_in("root", handed_in or first_start.DEFAULT_PASSWORD):
            wrong = "is not root's: correct it" if handed_in else "is missing: export it"
            raise ExportError(
                f"{ROOT_PASSWORD} {wrong} (`export {ROOT_PASSWORD}=...`, the password of the gateway's root, as in the"
                " admin page), and run again"
            )
        return Actual(admin.channels(), admin.tokens(), admin.options())


def _way(member: Member) -> tuple[str, int]:
    """Where the gateway listens, as its host sees it: in its container, else where the settings say."""
    container = member.state.container or {}
    networks = container.get("NetworkSettings", {}).get("Networks") or {}
    inside = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    if container.get("State", {}).get("Running") and inside:
        return inside[0], PORT
    port = member.settings.gateway_port
    local = [line.split()[3].rpartition(":")[0].partition("%")[0] for line in member.state.lines("listeners")]
    wanted = member.settings.gateway_tailscale_address
    for address in ([wanted] if wanted else []) + member.state.tailscale_addresses:
        if address in local:
            return address, port
    if any(each in (*_ANY, *_LOOPBACK) for each in local):
        return "127.0.0.1", port
    raise ExportError(
        f"no gateway runs there: there is no running container {PROJECT}, and nothing listens on port {port} of its"
        " Tailscale address; start it, or set gateway_port to the port that it has"
    )


def _circumstances(member: Member) -> Circumstances:
    users = [member, *member.fleet.agents_of(member)]
    used = {
        f"{setting}{'' if user is member else f' of {user.name}'}": getattr(user.settings, setting)
        for setting in ("llm_model", "embedding_model")
        for user in users
    }
    return Circumstances(
        own_tokens=tuple(desired.own_token(member, name) for name in desired.own_tokens(member)),
        declared=member.settings.gateway_channels,
        image=member.settings.gateway_image,
        is_set_up=first_start.is_done(member),
        used_models=used,
    )


def _file(member: Member, directory: Path) -> Path:
    """Where this host's declaration goes; hosts whose names differ only in odd characters get one each."""
    name = export_text.file_name(member.name)
    gateways = [other.name for other in member.fleet.members.values() if other.is_gateway]
    same = [other for other in gateways if export_text.file_name(other) == name]
    number = same.index(member.name)
    return directory / (name if not number else f"{name.removesuffix('.py')}-{number + 1}.py")


def _keep(file: Path, content: str) -> None:
    """Write a file, whole or not at all, and never over one that a person may have worked on."""
    try:
        if file.exists() and file.read_text(encoding="utf-8") != content:
            raise ExportError(
                f"{file} exists with other content: move it away, or choose another directory"
                " (`python deploys/export.py INVENTORY --output DIRECTORY`)"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        number, new = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                stream.write(content)
            Path(new).replace(file)
        finally:
            with suppress(FileNotFoundError):
                Path(new).unlink()
    except (OSError, UnicodeDecodeError) as problem:
        raise ExportError(f"{file} cannot be written: {problem}") from None


def _tell(member: Member, found: Export, where: str) -> None:
    declared = [sum(not item.obstacles for item in items) for items in (found.channels, found.tokens)]
    channels, tokens = (
        f"{count} of {len(items)} {kind}"
        for count, items, kind in zip(declared, (found.channels, found.tokens), ("channels", "tokens"), strict=True)
    )
    for line in export_text.told(found):
        remote.tell(member.host, line)
    names = found.secrets
    remote.tell(member.host, f"{where}{channels}, {tokens}, {len(found.options.values)} options")
    remote.tell(member.host, f"secrets to hand in: {', '.join(names) or 'none'}")
