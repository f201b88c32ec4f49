"""The gateway as a service of the host: whether it runs as its files say, and the moment when it is published."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import image, remote, replaced
from gateway.host_state import PROJECT, started_at
from gateway.installation import FIRST_START_DONE, UNIT, differing_files, wanted_files
from gateway.route import RouteError, route
from oneapi import AdminClient, OneAPIError

if TYPE_CHECKING:
    from gateway.fleet import Member


def container_is_as_wanted(member: Member) -> bool:
    """Whether the container runs, unpaused, from the wanted image, on the wanted address and no other."""
    container = member.state.container
    if container is None or not container["State"]["Running"] or container["State"].get("Paused"):
        return False
    wanted = [{"HostIp": member.address, "HostPort": str(member.settings.gateway_port)}]
    # Not what was asked for (HostConfig): a container whose network was taken away runs on, and is bound to nothing.
    ports = container["NetworkSettings"]["Ports"] or {}
    bound = {port: bindings for port, bindings in ports.items() if bindings}
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
    if member.is_republished or differing_files(member) or not image.is_present(member) or not is_published(member):
        member.is_republished = True
        _restart(name="Publish the gateway on its Tailscale address", member=member)
    elif not member.state.text("api_options") or member.state.text("kept_container"):
        # It runs and does not answer yet, or an earlier run was cut off before it was seen to answer.
        member.is_republished = True
        _await(name="Wait until the gateway answers", member=member)


@operation()
def _restart(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    present = remote.present_script(*(file.path for file in wanted_files(member)))
    yield StringCommand(
        f"{present} && systemctl daemon-reload && systemctl reenable --quiet {UNIT} && systemctl restart {UNIT}"
    )
    yield remote.Callback(_await_answer, (member,), {})


@operation()
def _await(member: Member) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_await_answer, (member,), {})


def _await_answer(state: State, host: Host, member: Member) -> bool:
    problem = await_answer(host, member.address, member.settings.gateway_port, member.settings.gateway_start_timeout)
    if problem is None:
        replaced.discard(host)
        return True
    log = f"journalctl --no-pager --lines 10 --unit {UNIT}; docker logs --tail 15 {PROJECT} 2>&1"
    remote.complain(
        host,
        f"the gateway does not answer on {member.base_url}: {problem}. Its own words (`{log}` on the host):\n"
        + "\n".join(remote.run(host, f"{{ {log}; }} || true")),
    )
    replaced.give_back(host, UNIT, f"{member.directory}/{FIRST_START_DONE}")
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
