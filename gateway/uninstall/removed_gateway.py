"""What was installed on a gateway's host is taken off it: after a last backup, and nothing that was there before."""

from __future__ import annotations

import json
import shlex
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import docker, firewall, remote, replaced, tiktoken
from gateway.backups import backup
from gateway.canary import scheduled_canary
from gateway.installation import FIRST_START_DONE, MOVED_AWAY, MOVING_IN, UNIT
from gateway.runs import undo
from gateway.runs.progress import step
from gateway.uninstall import removal
from gateway.uninstall.removal import Found

if TYPE_CHECKING:
    from gateway.fleet import Member

BACKUP_SECONDS = 3600.0
"""After so long the host starts the gateway again that was stopped for its last backup."""
FILES = (
    *(".env", "docker-compose.yml", "first-start.yml", "own-data", "start-gateway", "make-backup", "backup.conf"),
    *("canary", "canary.conf"),
    *("image.tar", "wait-for-address"),  # the last is of earlier versions
    *("applied-keys.json", FIRST_START_DONE, MOVED_AWAY, MOVING_IN, "secrets.env.next"),
)
"""Ours in the install directory, whatever is in them."""
DIRECTORIES = ("incoming", "replaced", "previous", "switching", "trial", "arriving")
"""Ours too, with all that is in them: what runs keep there while they are at work, or to go back."""
_REMOVE_ARCHIVES = """
for each in images/????????????.tar; do
    case $each in images/*[!0-9a-f]*.tar) ;; *) rm -f "$each" ;; esac
done
rm -f images/served images/served.new
[ ! -d images ] || rmdir --ignore-fail-on-non-empty images"""
"""Those of images that have served, by twelve digits of their IDs; see `gateway.image`."""
SECRETS = "secrets.env"
"""The last to go: as long as it is there, the host has a gateway of ours."""


def take_off(member: Member) -> None:
    """Take the gateway off a host, if it has one."""
    if not member.is_gateway:
        return
    found = removal.found_on(member)
    if member.state.text("secrets") and member.state.text("database_size") not in ("", "0"):
        _back_up(name="Stop the gateway and keep a last backup of it", member=member)
    if found.state.text("units"):
        _remove_units(name="Remove the gateway's units", member=member)
    _remove_containers(name="Remove the gateway's containers and networks", member=member)
    if member.state.text("firewall_table"):
        remote.shell(name="Remove the gateway's firewall", command=firewall.REMOVE)
    _restore_daemon(member, found)
    if _has_files(member, found):
        _remove_files(name="Remove the gateway's files", member=member)


def _has_files(member: Member, found: Found) -> bool:
    """Whether files of ours are there; without our secrets only in a directory that was made by a deployment."""
    noted = found.before.get(member.directory)
    is_made = noted is not None and noted.mode is None
    return bool(member.state.text("secrets")) or (is_made and found.state.lines("directory") not in ([], ["backups"]))


@operation()
def _back_up(member: Member) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_back_up_now, (member,), {})


def _back_up_now(state: State, host: Host, member: Member) -> bool:
    """Stopped first, so that the backup has every row that was acknowledged. On a failure, the gateway serves again."""
    if failed := [agent.name for agent in _agents(member) if agent.host in state.failed_hosts]:
        remote.complain(host, f"{', '.join(failed)} still uses this gateway, so it stays: mend that host, run again")
        return False
    is_active = member.state.properties("gateway_unit").get("ActiveState") == "active"
    start = f"systemctl start {UNIT}" if is_active else ":"
    try:
        step(host, "remove: stopping the gateway")
        with undo.undoable(host, f"the last backup of {member.name}", start, BACKUP_SECONDS):
            remote.run(host, f"systemctl stop {UNIT} 2>/dev/null || true")
            step(host, "remove: making the last backup")
            outcome = backup.make(member, "before it is removed")
            place = removal.of(member).fetch
            if place is not None:
                step(host, "remove: bringing the last backup here")
                remote.tell(host, f"the last backup, here: {backup.fetch(member, outcome.file, place)}")
    except (backup.BackupError, undo.UndoError, remote.RemoteError) as problem:
        remote.complain(host, f"nothing was removed, since there is no last backup: {problem}")
        return False
    remote.tell(host, f"the last backup: {member.directory}/backups/{backup.described(outcome)}")
    return True


def _agents(member: Member) -> list[Member]:
    return [agent for agent in member.fleet.agents_of(member) if removal.is_chosen(agent)]


@operation()
def _remove_units(member: Member) -> Generator[FunctionCommand | StringCommand, None, None]:
    paths = removal.found_on(member).state.lines("units")
    units = [path.rpartition("/")[2] for path in paths if path.startswith("/etc/")]
    # The boot's unit of the undo goes with the rest of what runs keep on the host, on hosts of every kind.
    ours = [unit for unit in units if unit not in (undo.BOOT_UNIT, undo.GUARD_UNIT)]
    gone = [path for path in paths if path.rpartition("/")[2] not in (undo.BOOT_UNIT, undo.GUARD_UNIT)]
    yield removal.tell("remove: removing the units")
    if ours:
        yield StringCommand(f"systemctl disable --quiet --now {' '.join(ours)} 2>/dev/null || true")
    if gone:
        yield StringCommand(
            f"rm -f {' '.join(map(shlex.quote, gone))} && systemctl daemon-reload &&"
            f" {{ systemctl reset-failed {' '.join(ours) or UNIT} 2>/dev/null || true; }}"
        )
    for place in removal.found_on(member).state.lines("unit_drop_ins"):
        removal.mention(member, f"{place} stays: it was put there by a person")


@operation()
def _remove_containers(member: Member) -> Generator[FunctionCommand | StringCommand, None, None]:
    found = removal.found_on(member).state
    names = [name for name in found.lines("containers") if name != replaced.KEPT]
    networks, tags = found.lines("networks"), found.lines("image_tags")
    kept = bool(member.state.text("kept_container"))
    if not (names or networks or tags or kept):
        return
    yield removal.tell("remove: removing the containers and networks")
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
    if kept:
        yield remote.Callback(_give_container_back, (member,), {})


def _give_container_back(state: State, host: Host, member: Member) -> None:
    """The one that a person had started, where no deployment in its place has come to its end."""
    replaced.give_back(host, UNIT, f"{member.directory}/{FIRST_START_DONE}")


def _restore_daemon(member: Member, found: Found) -> None:
    wanted = restored_daemon_json(member.state.answers.get("daemon_json"), found)
    if wanted != member.state.answers.get("daemon_json"):
        _write_daemon(name="Give Docker's daemon its settings back", member=member, content=wanted)


def restored_daemon_json(text: str | None, found: Found) -> str | None:
    """daemon.json, `text`, without what the settings have put into it, and with what stood there before.

    A key that somebody has changed since is left alone, and so is a file that cannot be read. None: no file.
    """
    ours_text = found.state.text("daemon_ours")
    if not text or not ours_text:
        return text
    try:
        present, former, ours = json.loads(text), json.loads(found.daemon_json or "{}"), json.loads(ours_text)
        changed = {key: former.get(key) for key in docker.OURS if key in present and present[key] == ours.get(key)}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return text
    if not changed:
        return text
    kept = {key: value for key, value in {**present, **changed}.items() if value is not None}
    if kept == former:
        return found.daemon_json
    return json.dumps(kept, indent=2) + "\n" if kept else None


@operation()
def _write_daemon(member: Member, content: str | None) -> Generator[FunctionCommand | StringCommand, None, None]:
    yield removal.tell("remove: giving Docker's daemon its settings back")
    if content is None:
        yield StringCommand(f"rm -f {docker.DAEMON_JSON}")
    else:
        noted = removal.found_on(member).before.get(docker.DAEMON_JSON)
        mode, owner = (noted.mode, noted.owner) if noted else (None, None)
        script = remote.write_script(docker.DAEMON_JSON, mode or "644", owner or "root:root")
        yield StringCommand(script, _stdin=remote.encoded(content.encode()))
    # A restart would stop the containers of others; mirrors are read anew without one, and the proxy at the next.
    has_none = '[ -z "$(docker ps --quiet)" ]'
    yield StringCommand(f"if {has_none}; then systemctl restart docker; else systemctl reload docker; fi")


@operation()
def _remove_files(member: Member) -> Generator[FunctionCommand | StringCommand, None, None]:
    yield removal.tell("remove: removing the files")
    yield StringCommand(_files_script(member))
    yield remote.Callback(_tell_rest, (member,), {})


def _files_script(member: Member) -> str:
    """Known names alone: what a person has put there stays. What was there before the take-over is put back."""
    found = removal.found_on(member)
    given_back = found.state.lines("taken_over_files")
    # The metrics before the settings that say where they are.
    metrics = " ".join(map(shlex.quote, scheduled_canary.metrics_files(member)))
    lines = ["set -eu", f"rm -f {metrics}", f"cd {shlex.quote(member.directory)}"]
    for name in (*FILES, SECRETS):
        if name in given_back:
            noted = found.before.get(f"{member.directory}/{name}")
            mode, owner = (noted.mode, noted.owner) if noted else (None, None)
            lines.append(
                f"cp backups/taken-over-files/{name} {name}.new && chmod {mode or '600'} {name}.new &&"
                f" chown {owner or 'root:root'} {name}.new && sync {name}.new && mv -fT {name}.new {name}"
            )
        elif name != SECRETS:
            lines.append(f"rm -f {name}")
    lines.append(f"rm -rf {' '.join(f'{name} {name}.new {name}.partial' for name in DIRECTORIES)}")
    lines.append(_REMOVE_ARCHIVES)
    # What a write that was cut off has left.
    for name in (*FILES, SECRETS):
        lines.append(f"rm -f {name}{remote.UNFINISHED}?????? {name}.partial")
    lines.append(f"rm -f {' '.join(f'tiktoken/{name}' for name in tiktoken.FILES)}")
    lines.append("[ ! -d tiktoken ] || rmdir --ignore-fail-on-non-empty tiktoken")
    # Made by Docker, to mount what One API reads there.
    lines.append("[ -s data/.env ] || rm -f data/.env")
    if is_taken_over(member, found):
        lines.append(_owner_back(member, found))
        lines += [_modes_back(found, place) for place in (f"{member.directory}/data", member.directory)]
    else:
        lines += ["rm -rf data/logs", "rm -f data/one-api.db data/one-api.db-*"]
        lines.append("[ ! -d data ] || rmdir --ignore-fail-on-non-empty data")
    lines += [f"rm -f {SECRETS}", "sync .", f"cd / && {_remove_directory(member, found)}"]
    return "\n".join(lines)


def is_taken_over(member: Member, found: Found) -> bool:
    """Whether a person's gateway was there before, whose data are theirs."""
    noted = found.before.get(f"{member.directory}/data")
    had_data = noted is not None and noted.mode is not None
    return had_data or bool(found.state.lines("taken_over_files") or member.state.text("kept_container"))


def _owner_back(member: Member, found: Found) -> str:
    """The data belong to whom the database belonged to, and no longer to the user of One API."""
    places = (f"{member.directory}/data/one-api.db", f"{member.directory}/data")
    owner = next((noted.owner for place in places if (noted := found.before.get(place)) and noted.owner), "root:root")
    ours = member.settings.gateway_user_id
    return f"[ ! -d data ] || find -P data -xdev -uid {ours} -execdir chown -h {owner} {{}} +"


def _modes_back(found: Found, place: str) -> str:
    noted = found.before.get(place)
    if noted is None or noted.mode is None:
        return ":"
    return f"chmod {noted.mode} {shlex.quote(place)} && chown {noted.owner} {shlex.quote(place)}"


def _remove_directory(member: Member, found: Found) -> str:
    """Where nothing is left in it, nor was before: it, and the directories above it that were made for it."""
    noted = found.before.get(member.directory)
    if noted is None or noted.mode is not None:
        return "true"
    made, place = [], member.directory
    while place and place != noted.nearest and place.startswith(f"{noted.nearest.rstrip('/')}/"):
        made.append(place)
        place = place.rpartition("/")[0]
    return f"rmdir --ignore-fail-on-non-empty {' '.join(map(shlex.quote, made))} 2>/dev/null || true"


def _tell_rest(state: State, host: Host, member: Member) -> bool:
    found = removal.found_on(member)
    here = shlex.quote(member.directory)
    theirs = ["data", *found.state.lines("taken_over_files")] if is_taken_over(member, found) else []
    for line in remote.run(host, f"ls -A {here} 2>/dev/null || true"):
        if line not in ("backups", *theirs):
            remote.tell(host, f"{member.directory}/{line} stays: it is not from here")
    if is_taken_over(member, found):
        remote.tell(
            host,
            f"{member.directory} has the files and the data of the gateway that was there before the deployment, and"
            f" none runs: `cd {member.directory} && docker compose up -d` starts it. Root's password is the one in the"
            f" last backup: `tar -xOzf {member.directory}/backups/gateway-….tar.gz {SECRETS}`",
        )
    return True


def what_stays(member: Member) -> str:
    """For the end of a run: what a removal leaves on a gateway's host on purpose."""
    image = ((member.state.container or {}).get("Config") or {}).get("Image")
    told = f"what stays: {member.directory}/backups with all keys in it (remove it when nobody needs it)"
    told += f", the image {image} (`docker image rm {image}`)" if image else ""
    return f"{told}, and the packages of Docker, nftables and sqlite3"
