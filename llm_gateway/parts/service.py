"""The gateway as a service of the host: whether it runs as its files say, and the moment when it is published."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.flavours import AdminError
from llm_gateway.flavours.admin_api import AdminAPI
from llm_gateway.hosts import remote
from llm_gateway.hosts.host_state import started_at
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT, UNIT
from llm_gateway.parts import image
from llm_gateway.parts.installation import differing_files, start_anew, wanted_files


def container_is_as_wanted(node: Node) -> bool:
    """Whether the container runs, unpaused, from the wanted image, on the wanted address and no other."""
    container = node.state.container
    if container is None or not container["State"]["Running"] or container["State"].get("Paused"):
        return False
    wanted = [{"HostIp": node.address, "HostPort": str(node.settings.gateway_port)}]
    # Not what was asked for (HostConfig): a container whose network was taken away runs on, and is bound to nothing.
    ports = container["NetworkSettings"]["Ports"] or {}
    bound = {port: bindings for port, bindings in ports.items() if bindings}
    present = node.state.image
    return bound == {layout.CONTAINER_PORT: wanted} and present is not None and container["Image"] == present[0]


def is_published(node: Node) -> bool:
    """Whether the unit runs what its files say, and will again after a reboot."""
    unit = node.state.gateway_unit
    if unit.get("ActiveState") != "active" or unit.get("UnitFileState") != "enabled":
        return False
    if unit.get("NeedDaemonReload") != "no" or not container_is_as_wanted(node):
        return False
    # A run that was cut off between writing a file and restarting is finished by the next one.
    started = started_at(unit) or 0.0
    files = (node.state.file(file.path) for file in wanted_files(node))
    return all(file is not None and file.modified <= started for file in files)


def publish(node: Node) -> None:
    """Start or restart the unit where it does not run what is wanted, and wait until it answers."""
    if node.is_restarted or differing_files(node) or not image.is_present(node) or not is_published(node):
        node.is_restarted = True
        _restart(name="Publish the gateway on its Tailscale address", node=node)
    elif not node.state.api_options:  # it runs and does not answer yet
        node.gateway.is_outdated = True
        _await(name="Wait until the gateway answers", node=node)


@operation()
def _restart(node: Node) -> Generator[StringCommand | FunctionCommand, None, None]:
    if node.is_taken_over:
        return  # and published with that
    yield StringCommand(_start_script(node))
    yield remote.Callback(_await_answer, (node,), {})


def _start_script(node: Node) -> str:
    present = remote.present_script(*(file.path for file in wanted_files(node)))
    return f"{present} && {start_anew(UNIT)}"


def publish_now(host: Host, node: Node) -> str | None:
    """Start the unit from within a step that runs Python. Raises RemoteError.

    Returns None once it answers, else why it does not.
    """
    remote.run(host, _start_script(node))
    return await_published(node)


@operation()
def _await(node: Node) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_await_answer, (node,), {})


def _await_answer(state: State, host: Host, node: Node) -> bool:
    if problem := await_published(node):
        remote.complain(host, problem)
    return problem is None


def await_published(node: Node, most_exits: int | None = None) -> str | None:
    """Wait until it answers where it is published, for as long as the settings say.

    Parameters: `most_exits`, how often the container may end until then; None: it may come later, as its address may.
    Returns None when it does, else why not, with its own words. Raises RemoteError.
    """

    def keeps_exiting() -> str | None:
        if most_exits is None:
            return None
        restarts = remote.run(node.host, f"systemctl show {UNIT} -p NRestarts --value")
        return "the container keeps exiting" if int(restarts[-1] or 0) >= most_exits else None

    port, seconds = node.settings.gateway_port, node.settings.gateway_start_timeout
    problem = await_answer(node.host, node.address, port, seconds, keeps_exiting)
    return problem and f"the gateway does not answer on {node.base_url}: {problem}. {last_words(node.host)}"


def address_inside(host: Host, container: str) -> str:
    """The address of a running container on its own network, which its host reaches; "" where it has ended.

    Raises RemoteError.
    """
    text = "{{.State.Running}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    found = remote.run(host, f"docker inspect {container} --format {shlex.quote(text)}")[-1]
    running, _, address = found.partition(" ")
    return address.strip() if running == "true" else ""


def last_words(host: Host, container: str = PROJECT) -> str:
    """The end of a container's log; of the gateway's own, its unit's too, and the command that shows it again.

    Raises RemoteError.
    """
    log, again = f"docker logs --tail 15 {container} 2>&1", ""
    if container == PROJECT:
        log = f"journalctl --no-pager --lines 10 --unit {UNIT}; {log}"
        again = f" (`{log}` on the host)"
    return f"Its log{again}:\n" + "\n".join(remote.run(host, f"{{ {log}; }} || true"))


def await_answer(
    host: Host, address: str, port: int, seconds: float, gives_up: Callable[[], str | None] = lambda: None
) -> str | None:
    """Wait until One API answers there, as seen from the machine that runs pyinfra.

    Parameters: `seconds`, how long at most; `gives_up`, which says why it is no use to wait any longer, if it is none.
    Returns None when it does, else why not.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with route(host, address, port) as transport:
                AdminAPI(f"http://{address}:{port}", transport=transport).status()
            return None
        except (RouteError, AdminError) as problem:
            if reason := gives_up():
                return reason
            if time.monotonic() > deadline:
                return f"after {seconds:.0f} s: {problem}"
        time.sleep(0.25)
