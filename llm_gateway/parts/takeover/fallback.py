"""The gateway that served before a take-over: put aside until the new one does its work, given back where it does not.

How to give it back is on the host before it is stopped (`hosts.undo`), so that a run that is killed gives it
back, too.
"""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.host import Host

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout, shell
from llm_gateway.model.layout import PROJECT, REPLACED, Role
from llm_gateway.parts import installation, service
from llm_gateway.parts.takeover.old_gateway import OldGateway

_PUT_ASIDE = Path(__file__).with_name("put_aside.sh")
_RESTORE = Path(__file__).with_name("fallback.sh")


def put_aside(node: Node, old: OldGateway | None = None) -> str:
    """A shell command that stops what holds the database."""
    return _program(node, "put_aside", old)


def put_aside_and_keep(node: Node, old: OldGateway | None, copies: str) -> str:
    """A shell command that stops what holds the database, and keeps that with whom it belongs to, and whom data/ does.

    Parameters: `copies`, a directory that is not there yet: once it is, it is whole.
    """
    keep = f"{installation.own_backups_command(node.directory)} && keep_data"
    return _program(node, f"put_aside && {keep}", old, copies)


def _program(node: Node, call: str, old: OldGateway | None, copies: str = "") -> str:
    values = {
        "unit": layout.UNIT,
        "project": PROJECT,
        "kept": REPLACED,
        "container_environment": layout.CONTAINER_ENVIRONMENT,
        "name": old.name if old else "",
        "directory": node.directory,
        "copies": copies,
    }
    return shell.program(values, _PUT_ASIDE, call=call)


def restore_script(node: Node, old: OldGateway | None, copies: str) -> str:
    """A shell script that takes a take-over back, as far as it came: the undo of `llm_gateway.parts.first_start`."""
    noted = {"noted": "", "noted_compose": f"/{layout.COMPOSE_FILE}", "noted_env": f"/{layout.ENVIRONMENT}"}
    # Not the secrets, which the next run goes on with, nor what is given back.
    stays = (layout.SECRETS, *layout.names(Role.THEIRS))
    paths = [file.path for file in installation.wanted_files(node) if node.state.file(file.path) is None]
    new = [path.removeprefix(f"{node.directory}/") for path in paths if path.startswith(f"{node.directory}/")]
    values = {
        "unit": layout.UNIT,
        "new_files": " ".join(name for name in new if name not in stays),
        "new_unit": layout.UNIT_PATH if node.state.file(layout.UNIT_PATH) is None else "",
        "project": PROJECT,
        "kept": REPLACED,
        "directory": node.directory,
        "uid": str(node.settings.gateway_user_id),
        "copies": copies,
        **{variable: before.place_of(f"{node.directory}{name}") for variable, name in noted.items()},
        "name": old.name if old else "",
        "policy": old.restart if old else "",
        "was_running": "yes" if old and old.is_running else "no",
    }
    return shell.program(values, _RESTORE)


def tell_what_serves(host: Host, node: Node, old: OldGateway | None) -> None:
    """After a take-over was taken back: say that the old gateway serves again once it answers."""
    if old is None or not old.is_running:
        remote.tell(host, f"no gateway served here before; its data in {node.directory}/data are as they were")
        return
    log = f"`docker logs --tail 20 {old.name}` on the host"
    if old.published is None:
        remote.complain(host, f"the old gateway was started again; whether it serves is not known, see {log}")
        return
    if problem := service.await_answer(host, *old.published, node.settings.gateway_start_timeout):
        remote.complain(host, f"the old gateway was started again and does not answer yet, see {log}: {problem}")
    else:
        remote.tell(host, f"the old gateway ({old.name}) serves again, with all that it had")


def discard(host: Host) -> None:
    """The new gateway does its work: the old container goes. Its data was the same directory, and stays."""
    remote.run(host, f"docker rm --force {REPLACED} >/dev/null 2>&1 || true")
