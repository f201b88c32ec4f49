"""The gateway as a service of the host: whether it runs as its files say, and the moment when it is published."""

from __future__ import annotations

import time
from collections.abc import Generator

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.flavours.oneapi import AdminClient, OneAPIError
from llm_gateway.hosts import remote
from llm_gateway.hosts.host_state import started_at
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT, UNIT
from llm_gateway.parts import image
from llm_gateway.parts.installation import differing_files, wanted_files


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
    return bound == {layout.CONTAINER_PORT: wanted} and present is not None and container["Image"] == present[0]


def is_published(member: Member) -> bool:
    """Whether the unit runs what its files say, and will again after a reboot."""
    unit = member.state.gateway_unit
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
    elif not member.state.text("api_options"):  # it runs and does not answer yet
        member.is_republished = True
        _await(name="Wait until the gateway answers", member=member)


@operation()
def _restart(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    if member.is_taken_over:
        return  # and published with that
    yield StringCommand(_start_script(member))
    yield remote.Callback(_await_answer, (member,), {})


def _start_script(member: Member) -> str:
    present = remote.present_script(*(file.path for file in wanted_files(member)))
    return f"{present} && systemctl daemon-reload && systemctl reenable --quiet {UNIT} && systemctl restart {UNIT}"


def publish_now(host: Host, member: Member) -> str | None:
    """Start the unit from within a step that runs Python. Raises RemoteError.

    Returns None once it answers, else why it does not.
    """
    remote.run(host, _start_script(member))
    return _problem(host, member)


@operation()
def _await(member: Member) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_await_answer, (member,), {})


def _await_answer(state: State, host: Host, member: Member) -> bool:
    if problem := _problem(host, member):
        remote.complain(host, problem)
    return problem is None


def _problem(host: Host, member: Member) -> str | None:
    """Wait until it answers where it is published. Returns None when it does, else why not, with its own words."""
    problem = await_answer(host, member.address, member.settings.gateway_port, member.settings.gateway_start_timeout)
    if problem is None:
        return None
    log = f"journalctl --no-pager --lines 10 --unit {UNIT}; docker logs --tail 15 {PROJECT} 2>&1"
    words = "\n".join(remote.run(host, f"{{ {log}; }} || true"))
    return f"the gateway does not answer on {member.base_url}: {problem}. Its log (`{log}` on the host):\n{words}"


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
