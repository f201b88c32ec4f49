"""Docker's daemon is told of its mirrors and proxy: tried before it is put in place, and given back where it fails."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import before, host_state, remote, undo
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.model import shell
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts.docker import daemon_json, engine

RESTART_SECONDS = 300.0
"""After so long without an end the host gives the former settings back."""
_UNFINISHED = "unfinished"
"""Beside the keys in the record: it was put in place, and Docker need not have been restarted with it yet."""
_FORMER = f"{before.place_of(daemon_json.PATH)}.former"
_CONFIG_FILE = re.compile(r"(?:^|\s)--config-file[= ](\S+)")
_HERE = Path(__file__).parent
# Names and IDs of what runs, without what is ours, which our unit starts again, and a swarm's, which the swarm does.
_FORMAT = (
    '{{.Id}} {{.HostConfig.AutoRemove}} {{.Name}} {{with index .Config.Labels "com.docker.swarm.task.id"}}task{{end}}'
)
_LOOK = (
    "systemctl show docker.service -p MainPID --value && running=$(docker ps --quiet --no-trunc) &&"
    f" {{ [ -z \"$running\" ] || docker container inspect $running --format '{_FORMAT}'; }}"
)


@dataclass(frozen=True)
class Change:
    """What daemon.json is to hold, None for no file, and what of it is ours."""

    content: bytes | None
    ours: daemon_json.Document


@dataclass(frozen=True)
class Running:
    """What runs on a host: the process of the daemon, and the containers that are not ours."""

    pid: str
    others: Mapping[str, str]
    """Their names by ID."""
    passing: tuple[str, ...]
    """The names of those that are removed when they end."""


def change(node: Node) -> Change | None:
    """What has to be changed; None where nothing has. Raises ValueError where the file there cannot be merged."""
    if node.settings.docker_source == "preinstalled":
        return None
    ours = daemon_json.asked(node.settings)
    record = daemon_json.recorded(node.state.daemon_ours)
    if not ours and not record:
        return None
    former_text = node.state.daemon_before
    present = daemon_json.read(node.state.daemon_json)
    theirs = daemon_json.without(present, record, daemon_json.recorded(former_text or ""))
    wanted = daemon_json.merged(theirs, ours)
    if wanted == present and _UNFINISHED not in record:
        return None
    text = daemon_json.text_of(wanted, former_text)
    return Change(None if text is None else text.encode(), ours)


def problems(node: Node) -> Iterator[str]:
    """What prevents a restart of Docker with other settings; asked only where they change.

    Raises ConnectionLostError.
    """
    if node.state.busy or not node.state.is_root:
        return
    try:
        wanted = change(node)
    except ValueError as problem:
        yield f"{daemon_json.PATH} cannot be merged with the docker_ settings ({problem}); fix it by hand"
        return
    if wanted is None or not engine.is_usable(node):
        return  # the daemon that is yet to be installed is asked once it is
    is_ours = _UNFINISHED in node.state.daemon_ours
    unit = node.state.docker_unit
    stat = node.state.daemon_stat
    started = host_state.started_at(unit)
    elsewhere = _CONFIG_FILE.search(node.state.docker_flags)
    if elsewhere and elsewhere[1] != daemon_json.PATH:
        yield (
            f"Docker is started with --config-file {elsewhere[1]} and does not read {daemon_json.PATH}: put the docker_"
            " settings there by hand and leave them out here, or take that out of docker.service"
        )
    elif where := node.state.daemon_link:
        yield f"{daemon_json.PATH} is a link to {where}: put the docker_ settings into that, or replace the link"
    elif stat and started and stat.modified > started + 1 and not is_ours:
        yield (
            f"{daemon_json.PATH} was changed after Docker was started, and nobody knows yet whether Docker starts with"
            " it: `systemctl restart docker` once its containers can bear that, and run again"
        )
    elif (words := _refusal(node.host, wanted)) is not None:
        yield f"Docker would not start with {daemon_json.PATH} and the docker_ settings; correct one of them: {words}"
    elif not _is_live(node) and (names := _running(node.host).passing):
        yield (
            f"the docker_ settings take a restart of Docker, which would end and remove {', '.join(names)} (started"
            " with --rm): run again once that has ended, or stop it"
        )


def _is_live(node: Node) -> bool:
    """Whether containers go on while the daemon is restarted (its live-restore)."""
    return engine.info(node.state).get("LiveRestoreEnabled") is True


def _refusal(host: Host, wanted: Change) -> str | None:
    script = _script("daemon_trial", {"DAEMON_JSON": daemon_json.PATH})
    return remote.refusal(host, script, remote.encoded(wanted.content if wanted.content is not None else b"{}"))


def _running(host: Host) -> Running:
    pid, *lines = remote.run(host, _LOOK)
    found = [(each, passing, name.lstrip("/"), task) for each, passing, name, task in (_fields(line) for line in lines)]
    others = [(each, passing, name) for each, passing, name, task in found if not task and not name.startswith(PROJECT)]
    return Running(
        pid.strip(),
        {each: name for each, _, name in others},
        tuple(name for _, passing, name in others if passing == "true"),
    )


def _fields(line: str) -> tuple[str, str, str, str]:
    each, passing, name, *task = line.split()
    return each, passing, name, "".join(task)


def bring_into_line(node: Node) -> None:
    """Change daemon.json where settings ask for that, and restart Docker with it."""
    if (wanted := change(node)) is None:
        return
    node.is_restarted = True  # the restart takes the gateway down and up again
    _bring_into_line(name="Tell the Docker daemon of its mirrors and proxy", node=node, wanted=wanted)


@operation()
def _bring_into_line(node: Node, wanted: Change) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_carry_out, (node, wanted), {})


def _carry_out(state: State, host: Host, node: Node, wanted: Change) -> bool:
    if (words := _refusal(host, wanted)) is not None:
        remote.complain(host, f"{daemon_json.PATH} was left unchanged, because Docker would not start with it: {words}")
        return False
    running = _running(host)
    if running.others and not _is_live(node):
        names = ", ".join(running.others.values())
        remote.tell(host, f"Docker is restarted now, and with it what else it runs: {names}")
    step(host, "restarting Docker with its new settings")
    record = daemon_json.recorded(node.state.daemon_ours)
    present = daemon_json.PATH
    remote.run(
        host, f"{before.keep(present)} && rm -f {_FORMER} && {{ [ ! -f {present} ] || cp -p {present} {_FORMER}; }}"
    )
    _write_record(host, {**daemon_json.merged(record, wanted.ours), _UNFINISHED: True})
    try:
        with undo.undoable(host, "the change of Docker's settings", _undo_script(running), RESTART_SECONDS):
            _restart(host, node, wanted)
            remote.run(host, _script("start_again", {"CONTAINERS": " ".join(running.others)}))
    except undo.UndoError as problem:
        remote.complain(host, str(problem))
        return False
    except remote.ConnectionLostError:
        raise  # the host gives back what was there; the record says that this is unfinished
    except remote.RemoteError:
        _end(host, record)
        raise
    _end(host, wanted.ours)
    return True


def _end(host: Host, ours: daemon_json.Document) -> None:
    _write_record(host, ours)
    remote.run(host, f"rm -f {_FORMER}")


def _restart(host: Host, node: Node, wanted: Change) -> None:
    stat = node.state.daemon_stat
    values = {
        "DAEMON_JSON": daemon_json.PATH,
        "MODE": stat.mode if stat else "644",
        "OWNER": stat.owner if stat else "root:root",
    }
    remote.run(
        host,
        _script("daemon_restart", values),
        "none\n" if wanted.content is None else remote.encoded(wanted.content),
    )


def _undo_script(running: Running) -> str:
    values = {
        "DAEMON_JSON": daemon_json.PATH,
        "FORMER": _FORMER,
        "PID": running.pid,
        "CONTAINERS": " ".join(running.others),
    }
    return "\n".join([_script("daemon_undo", values), _script("start_again", {})])


def _script(name: str, values: Mapping[str, str]) -> str:
    return shell.program(values, _HERE / f"{name}.sh")


def _write_record(host: Host, ours: daemon_json.Document) -> None:
    remote.write_now(host, before.ours_of(daemon_json.PATH), (json.dumps(ours) + "\n").encode(), "600")
