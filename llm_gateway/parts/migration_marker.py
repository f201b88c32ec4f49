"""What a host is told by files beside its gateway: that it was moved away, or that one is on its way here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Machine, Node
from llm_gateway.model.layout import MOVED_AWAY, MOVING_IN


def target_path(node: Node) -> str:
    """The path of the file that says that the gateway was moved away."""
    return f"{node.directory}/{MOVED_AWAY}"


def origin_path(node: Node) -> str:
    """The path of the file that says that one is on its way here."""
    return f"{node.directory}/{MOVING_IN}"


def target(node: Node) -> str:
    """The host that the gateway was moved to, "" where it was not. Raises RemoteError."""
    return _first_word(node, target_path(node))


def origin(node: Node) -> str:
    """The host whose gateway is on its way here, "" where none is. Raises RemoteError."""
    return _first_word(node, origin_path(node))


def problems(machine: Machine) -> Iterator[str]:
    """Why a host that has moved its gateway, or has not got it yet, is not to be deployed. Raises RemoteError."""
    if (node := machine.node) is None:
        return
    if target_host := target(node):
        yield (
            f"its gateway was moved to {target_host}, and is stopped here for good: take this host out of the group"
            f" `gateways`. To go back to the database of that day, remove {target_path(node)} on it"
        )
    if origin_host := origin(node):
        yield (
            f"the gateway of {origin_host} is on its way here, and has not arrived: run deploys/migrate.py --data"
            f" source={origin_host} again to resume. To cancel, remove {origin_path(node)} on this host"
        )


def _first_word(node: Node, path: str) -> str:
    if node.state.file(path) is None:
        return ""
    lines = remote.run(node.host, f"cat {shlex.quote(path)}")
    return " ".join(lines).split(maxsplit=1)[0] if any(line.strip() for line in lines) else "another host"
