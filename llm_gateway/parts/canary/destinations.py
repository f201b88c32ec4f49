"""What a host needs to send alarms by itself: the script that sends them, and where they go, for root alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import chain

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import alerts
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.model import layout
from llm_gateway.parts import timers
from llm_gateway.parts.installation import Wanted, render, sent

_CURL = ("curl", "ca-certificates")


def files(node: Node) -> list[Wanted]:
    """The script and its settings; none where no alarm is to be sent. Raises SecretsError."""
    wanted = node.settings.gateway_alerts
    if not wanted:
        return []
    found = [alerts.destination(each, node.provided) for each in wanted]
    fields = ((each.name, each.url, each.to, each.login, each.extra) for each in found)
    return [
        sent(node, layout.SEND_ALERTS, "the script that sends alarms"),
        Wanted(
            f"{node.directory}/{layout.ALERTS_CONF}",
            render(
                f"gateway_directory/{layout.ALERTS_CONF}.j2",
                language=node.settings.gateway_alerts_language,
                destinations=shlex.join(chain.from_iterable(fields)),
            ),
            "600",
            "the destinations of alarms",
        ),
    ]


def missing_packages(node: Node) -> list[str]:
    """Debian's packages without which no alarm can be sent from this host."""
    return [name for name in _CURL if name not in node.state.tools] if node.settings.gateway_alerts else []


def install(node: Node) -> None:
    """Put in place what sends alarms, or take it off with its secrets. Raises SecretsError."""
    timers.write(node, files(node))
    paths = [f"{node.directory}/{name}" for name in (layout.SEND_ALERTS, layout.ALERTS_CONF)]
    if not node.settings.gateway_alerts and any(map(node.state.file, paths)):
        remote.shell(name="Remove the destinations of alarms", command=f"rm -f {' '.join(map(shlex.quote, paths))}")


def problems(node: Node) -> Iterator[str]:
    """Secrets that were not handed in, or that are not of the form that their kind takes."""
    for each in node.settings.gateway_alerts:
        try:
            alerts.destination(each, node.provided)
        except SecretsError as problem:
            yield f"gateway_alerts: {problem}"
