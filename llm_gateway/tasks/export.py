"""What a gateway holds now, written as the declaration of it; read by what admin access there is, and nothing changed.

A gateway that was set up by a deployment is read with the access token in its `secrets.env`, any other by logging in
as root, once: gateways limit log-ins.
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
from llm_gateway.flavours import AdminError, RateLimited
from llm_gateway.flavours.change_plan import Actual
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Machine, Node
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


def machine_to_export(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    return survey.machine_for(state, host, PURPOSE)


def write(machine: Machine) -> None:
    """Write the declaration of a gateway. Raises DeployError where it cannot be read or written."""
    if (node := machine.node) is None:
        return
    place = run_options.read(node.host.state, OPTIONS).get("export_output") or DIRECTORY
    try:
        if place == STDOUT:
            _require_one(node)
        found = export(_look(node), _circumstances(node))
        content = export_text.text(node.name, found)
        if place == STDOUT:
            click.echo(content, nl=False)
        else:
            _keep(_file(node, Path(place)), content)
    except (ExportError, SecretsError) as problem:
        raise DeployError(f"{node.name}: {problem}") from None
    where = "" if place == STDOUT else f"{_file(node, Path(place))}: "
    _tell(node, found, where)


def _problems(machine: Machine) -> Iterator[str]:
    """A deployed gateway's secrets are root's alone; for another one any user will do who reaches it."""
    if machine.node and first_start.is_done(machine.node):
        yield from preflight.verification_problems(machine)


PURPOSE = survey.Purpose((preflight.group_problems,), (_problems,), lock=False)


def _gateways(node: Node) -> list[str]:
    """The gateway hosts of the run, by name."""
    return [name for name, machine in node.machine.run.machines.items() if machine.node]


def _require_one(node: Node) -> None:
    """Several files in one would declare the last gateway alone."""
    gateways = _gateways(node)
    if len(gateways) > 1:
        raise ExportError(f"only one gateway can be written to stdout; `--limit {node.name}` chooses this one")


def _look(node: Node) -> Actual:
    """Read what the gateway holds. Raises ExportError or SecretsError."""
    try:
        if first_start.is_done(node):
            with admin_api(node.gateway) as admin:
                return desired.look(admin)
        return _look_as_root(node)
    except RateLimited:
        raise ExportError("the gateway takes no more log-ins for now: run this again in 20 minutes") from None
    except (AdminError, RouteError) as problem:
        told = (
            explained(node.gateway, problem) if first_start.is_done(node) else f"the gateway cannot be read: {problem}"
        )
    raise ExportError(told)


def _look_as_root(node: Node) -> Actual:
    """By one log-in, with the password that was handed in, or else the default one."""
    handed_in = node.provided.get(ROOT_PASSWORD)
    address, port = _way(node)
    with (
        route(node.host, address, port) as transport,
        node.flavour.admin(f"http://{address}:{port}", transport=transport) as admin,
    ):
        if not admin.log_in("root", handed_in or first_start.DEFAULT_PASSWORD):
            wrong = "is not root's: correct it" if handed_in else "is missing: export it"
            raise ExportError(
                f"{ROOT_PASSWORD} {wrong} (`export {ROOT_PASSWORD}=...`, the password of the gateway's root, as in the"
                " admin page), and run again"
            )
        return Actual(admin.channels(), admin.tokens(), admin.options())


def _way(node: Node) -> tuple[str, int]:
    """Where the gateway listens, as its host sees it: in its container, else where the settings say."""
    container = node.state.container or {}
    networks = container.get("NetworkSettings", {}).get("Networks") or {}
    inside = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    if container.get("State", {}).get("Running") and inside:
        return inside[0], PORT
    port = node.settings.gateway_port
    local = [line.split()[3].rpartition(":")[0].partition("%")[0] for line in node.state.listeners]
    wanted = node.settings.gateway_tailscale_address
    for address in ([wanted] if wanted else []) + node.state.tailscale_addresses:
        if address in local:
            return address, port
    if any(each in (*_ANY, *_LOOPBACK) for each in local):
        return "127.0.0.1", port
    raise ExportError(
        f"no gateway runs there: there is no running container {PROJECT}, and nothing listens on port {port} of its"
        " Tailscale address; start it, or set gateway_port to the port that it has"
    )


def _circumstances(node: Node) -> Circumstances:
    users = [node.machine, *(agent.machine for agent in node.gateway.agents)]
    used = {
        f"{setting}{'' if user is node.machine else f' of {user.name}'}": getattr(user.settings, setting)
        for setting in ("llm_model", "embedding_model")
        for user in users
    }
    return Circumstances(
        own_tokens=tuple(desired.own_token(node.gateway, name) for name in desired.own_tokens(node.gateway)),
        declared=node.settings.gateway_channels,
        image=node.settings.gateway_image,
        is_set_up=first_start.is_done(node),
        used_models=used,
    )


def _file(node: Node, directory: Path) -> Path:
    """Where this host's declaration goes; hosts whose names differ only in odd characters get one each."""
    name = export_text.file_name(node.name)
    same = [other for other in _gateways(node) if export_text.file_name(other) == name]
    number = same.index(node.name)
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


def _tell(node: Node, found: Export, where: str) -> None:
    declared = [sum(not item.obstacles for item in items) for items in (found.channels, found.tokens)]
    channels, tokens = (
        f"{count} of {len(items)} {kind}"
        for count, items, kind in zip(declared, (found.channels, found.tokens), ("channels", "tokens"), strict=True)
    )
    for line in export_text.told(found):
        remote.tell(node.host, line)
    names = found.secrets
    remote.tell(node.host, f"{where}{channels}, {tokens}, {len(found.options.values)} options")
    remote.tell(node.host, f"secrets to hand in: {', '.join(names) or 'none'}")
