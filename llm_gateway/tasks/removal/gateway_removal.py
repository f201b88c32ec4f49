"""What was installed on a gateway's host is taken off it: after a last backup, and nothing that was there before."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.layout import (
    BACKUPS,
    DATA,
    DATABASE,
    REPLACED,
    SECRETS,
    TAKEN_OVER_FILES,
    TIKTOKEN,
    UNIT,
    Role,
)
from llm_gateway.parts import firewall, page_server, tiktoken
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.docker import daemon_json
from llm_gateway.tasks import backup
from llm_gateway.tasks.removal import scope
from llm_gateway.tasks.removal.scope import Found

BACKUP_SECONDS = 3600.0
"""After so long the host starts the gateway again that was stopped for its last backup."""
_REMOVE_ARCHIVES = """
for each in images/????????????.tar; do
    case $each in images/*[!0-9a-f]*.tar) ;; *) rm -f "$each" ;; esac
done
rm -f images/served images/served.new
[ ! -d images ] || rmdir --ignore-fail-on-non-empty images"""
"""Those of images that have served, by twelve digits of their IDs; see `llm_gateway.parts.image`."""


def take_off(node: Node) -> None:
    """Take the gateway off a host."""
    found = scope.found_on(node.host)
    if node.state.has_secrets and (node.state.database_size or node.state.database_conf):
        _back_up(name="Stop the gateway and keep a last backup of it", node=node)
    if found.state.units:
        _remove_units(name="Remove the gateway's units", node=node)
    _remove_containers(name="Remove the gateway's containers and networks", node=node)
    if node.state.firewall_table:
        remote.shell(name="Remove the gateway's firewall", command=firewall.REMOVE)
    _restore_daemon(node)
    if _has_files(node, found):
        _remove_files(name="Remove the gateway's files", node=node)


def _has_files(node: Node, found: Found) -> bool:
    """Whether files of ours are there; without our secrets only in a directory that was made by a deployment."""
    noted = found.before.get(node.directory)
    is_made = noted is not None and noted.mode is None
    return node.state.has_secrets or (is_made and found.state.directory not in ([], [BACKUPS]))


@operation()
def _back_up(node: Node) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_back_up_now, (node,), {})


def _back_up_now(state: State, host: Host, node: Node) -> bool:
    """Stopped first, so that the backup has every row that was acknowledged. On a failure, the gateway serves again."""
    if failed := [agent.name for agent in scope.chosen_agents(node.gateway) if agent.host in state.failed_hosts]:
        remote.complain(host, f"{', '.join(failed)} still uses this gateway, so it stays: fix that host, run again")
        return False
    is_active = node.state.gateway_unit.get("ActiveState") == "active"
    start = f"systemctl start {UNIT}" if is_active else ":"
    try:
        step(host, "remove: stopping the gateway")
        with undo.undoable(host, f"the last backup of {node.name}", start, BACKUP_SECONDS):
            remote.run(host, f"systemctl stop {UNIT} 2>/dev/null || true")
            step(host, "remove: making the last backup")
            outcome = backup.make(node, "before it is removed")
            place = scope.of(node.host).fetch
            if place is not None:
                step(host, "remove: bringing the last backup here")
                remote.tell(host, f"the last backup, here: {backup.fetch(node, outcome.file, place)}")
    except (backup.BackupError, undo.UndoError, remote.RemoteError) as problem:
        remote.complain(host, f"nothing was removed, because there is no last backup: {problem}")
        return False
    remote.tell(host, f"the last backup: {node.directory}/{BACKUPS}/{backup.described(outcome)}")
    return True


@operation()
def _remove_units(node: Node) -> Generator[FunctionCommand | StringCommand, None, None]:
    paths = scope.found_on(node.host).state.units
    units = [path.rpartition("/")[2] for path in paths if path.startswith("/etc/")]
    # The boot's unit of the undo goes with the rest of what runs keep on the host, on hosts of every kind.
    ours = [unit for unit in units if unit not in (layout.UNDO_UNIT, layout.GUARD_UNIT)]
    gone = [path for path in paths if path.rpartition("/")[2] not in (layout.UNDO_UNIT, layout.GUARD_UNIT)]
    yield scope.tell("remove: removing the units")
    if ours:
        yield StringCommand(f"systemctl disable --quiet --now {' '.join(ours)} 2>/dev/null || true")
    if gone:
        yield StringCommand(
            f"rm -f {' '.join(map(shlex.quote, gone))} && systemctl daemon-reload &&"
            f" {{ systemctl reset-failed {' '.join(ours) or UNIT} 2>/dev/null || true; }}"
        )
    for place in scope.found_on(node.host).state.unit_drop_ins:
        scope.mention(node.host, f"{place} stays: it was put there by a person")


@operation()
def _remove_containers(node: Node) -> Generator[FunctionCommand | StringCommand, None, None]:
    found = scope.found_on(node.host).state
    names = [name for name in found.containers if name != REPLACED]
    networks, tags = found.networks, found.image_tags
    if not (names or networks or tags):
        return
    yield scope.tell("remove: removing the containers and networks")
    if names:
        yield StringCommand(f"docker rm --force {' '.join(names)} >/dev/null")
    for network in networks:
        # One that somebody else's container has joined stays.
        yield StringCommand(
            f"[ \"$(docker network inspect {network} --format '{{{{len .Containers}}}}' 2>/dev/null)\" != 0 ] ||"
            f" docker network rm {network} >/dev/null"
        )
    if tags:
        yield StringCommand(f"docker image rm --no-prune {' '.join(tags)} >/dev/null")


def _restore_daemon(node: Node) -> None:
    text = node.state.answers.get("daemon_json")
    wanted = restored_daemon_json(text, node.state)
    if wanted != text:
        _write_daemon(name="Give Docker's daemon its settings back", node=node, content=wanted)


def restored_daemon_json(text: str | None, state: HostState) -> str | None:
    """daemon.json, `text`, without what the settings have put into it, and with what stood there before.

    What somebody has changed since is left alone, and so is a file that cannot be read. None: no file.
    """
    ours, former_text = daemon_json.recorded(state.daemon_ours), state.daemon_before
    try:
        present = daemon_json.read(text or "")
    except ValueError:
        return text
    kept = daemon_json.without(present, ours, daemon_json.recorded(former_text or ""))
    return text if kept == present else daemon_json.text_of(kept, former_text)


@operation()
def _write_daemon(node: Node, content: str | None) -> Generator[FunctionCommand | StringCommand, None, None]:
    yield scope.tell("remove: giving Docker's daemon its settings back")
    if content is None:
        yield StringCommand(f"rm -f {daemon_json.PATH}")
    else:
        noted = scope.found_on(node.host).before.get(daemon_json.PATH)
        mode, owner = (noted.mode, noted.owner) if noted else (None, None)
        script = remote.write_script(daemon_json.PATH, mode or "644", owner or "root:root")
        yield StringCommand(script, _stdin=remote.encoded(content.encode()))
    # A restart would stop the containers of others; mirrors are read anew without one, and the proxy at the next.
    has_none = '[ -z "$(docker ps --quiet)" ]'
    yield StringCommand(f"if {has_none}; then systemctl restart docker; else systemctl reload docker; fi")


@operation()
def _remove_files(node: Node) -> Generator[FunctionCommand | StringCommand, None, None]:
    yield scope.tell("remove: removing the files")
    yield StringCommand(_files_script(node))
    yield remote.Callback(_tell_rest, (node,), {})


def _files_script(node: Node) -> str:
    """Known names alone: what a person has put there stays. What was there before the take-over is put back."""
    found = scope.found_on(node.host)
    given_back = found.state.taken_over_files
    # The metrics before the settings that say where they are.
    metrics = " ".join(map(shlex.quote, scheduled_canary.metrics_files(node)))
    lines = ["set -eu", f"rm -f {metrics}", f"cd {shlex.quote(node.directory)}"]
    for name in layout.names(Role.REMOVED):
        if name in given_back:
            noted = found.before.get(f"{node.directory}/{name}")
            mode, owner = (noted.mode, noted.owner) if noted else (None, None)
            lines.append(
                f"cp {TAKEN_OVER_FILES}/{name} {name}.new && chmod {mode or '600'} {name}.new &&"
                f" chown {owner or 'root:root'} {name}.new && sync {name}.new && mv -fT {name}.new {name}"
            )
        elif name != SECRETS:
            lines.append(f"rm -f {name}")
    ends = ("", *layout.HALF_DIRECTORIES)
    lines.append(f"rm -rf {' '.join(f'{name}{end}' for name in layout.names(Role.WORK) for end in ends)}")
    lines.append(f"rm -f {' '.join(layout.HALF_PLACED)}; rmdir {DATA}/older 2> /dev/null || :")
    lines.append(_REMOVE_ARCHIVES)
    # What a write that was cut off has left.
    for name in layout.names(Role.REMOVED):
        lines.append(f"rm -f {name}{remote.UNFINISHED}?????? {' '.join(f'{name}{end}' for end in layout.HALF_FILES)}")
    lines.append(f"rm -f {' '.join(f'{TIKTOKEN}/{name}' for name in tiktoken.FILES)}")
    lines.append(f"[ ! -d {TIKTOKEN} ] || rmdir --ignore-fail-on-non-empty {TIKTOKEN}")
    # Made by Docker, to mount what One API reads there.
    lines.append(f"[ -s {DATA}/.env ] || rm -f {DATA}/.env")
    if is_taken_over(node, found):
        lines.append(_owner_back(node, found))
        lines += [_modes_back(found, place) for place in (f"{node.directory}/{DATA}", node.directory)]
    else:
        lines += [f"rm -rf {DATA}/logs", f"rm -f {DATA}/{DATABASE} {DATA}/{DATABASE}-*"]
        lines.append(f"[ ! -d {DATA} ] || rmdir --ignore-fail-on-non-empty {DATA}")
    lines += [f"rm -f {SECRETS}", "sync .", f"cd / && {_remove_directory(node, found)}"]
    return "\n".join(lines)


def is_taken_over(node: Node, found: Found) -> bool:
    """Whether a person's gateway was there before, whose data are theirs."""
    noted = found.before.get(f"{node.directory}/{DATA}")
    had_data = noted is not None and noted.mode is not None
    return had_data or bool(found.state.taken_over_files)


def _owner_back(node: Node, found: Found) -> str:
    """The data belong to whom the database belonged to, and no longer to the user of One API."""
    places = (node.gateway.file.name, f"{node.directory}/{DATA}")
    owner = next((noted.owner for place in places if (noted := found.before.get(place)) and noted.owner), "root:root")
    ours = node.settings.gateway_user_id
    return f"[ ! -d {DATA} ] || find -P {DATA} -xdev -uid {ours} -execdir chown -h {owner} {{}} +"


def _modes_back(found: Found, place: str) -> str:
    noted = found.before.get(place)
    if noted is None or noted.mode is None:
        return ":"
    return f"chmod {noted.mode} {shlex.quote(place)} && chown {noted.owner} {shlex.quote(place)}"


def _remove_directory(node: Node, found: Found) -> str:
    """Where nothing is left in it, nor was before: it, and the directories above it that were made for it."""
    noted = found.before.get(node.directory)
    if noted is None or noted.mode is not None:
        return "true"
    made, place = [], node.directory
    while place and place != noted.nearest and place.startswith(f"{noted.nearest.rstrip('/')}/"):
        made.append(place)
        place = place.rpartition("/")[0]
    return f"rmdir --ignore-fail-on-non-empty {' '.join(map(shlex.quote, made))} 2>/dev/null || true"


def _tell_rest(state: State, host: Host, node: Node) -> bool:
    found = scope.found_on(node.host)
    here = shlex.quote(node.directory)
    theirs = [DATA, *found.state.taken_over_files] if is_taken_over(node, found) else []
    for line in remote.run(host, f"ls -A {here} 2>/dev/null || true"):
        if line not in (BACKUPS, *theirs):
            remote.tell(host, f"{node.directory}/{line} was kept: it is not part of the deployment")
    if is_taken_over(node, found):
        remote.tell(
            host,
            f"{node.directory} has the files and the data of the gateway that was there before the deployment, and"
            f" none runs: `cd {node.directory} && docker compose up -d` starts it. Root's password is the one in the"
            f" last backup: `tar -xOzf {node.directory}/{BACKUPS}/gateway-….tar.gz {SECRETS}`",
        )
    return True


def what_stays(node: Node) -> str:
    """For the end of a run: what a removal leaves on a gateway's host on purpose."""
    image = ((node.state.container or {}).get("Config") or {}).get("Image")
    told = f"what stays: {node.directory}/{BACKUPS} with all keys in it (remove it when nobody needs it)"
    told += f", the image {image} (`docker image rm {image}`)" if image else ""
    told += f", Docker's apt repository ({layout.DOCKER_SOURCES})" if node.settings.docker_source == "docker" else ""
    packages = ["Docker", "nftables", *(["nginx"] if page_server.is_wanted(node) else []), "sqlite3"]
    return f"{told}, and the packages of {', '.join(packages[:-1])} and {packages[-1]}"
