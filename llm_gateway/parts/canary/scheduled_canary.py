"""What a host needs to look after its own gateway: the script that asks it, its settings, and a timer that calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import chain

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout, real_requests
from llm_gateway.model.checks import in_seconds
from llm_gateway.model.layout import METRICS, METRICS_FILE
from llm_gateway.parts import timers
from llm_gateway.parts.canary import destinations
from llm_gateway.parts.installation import Wanted, render, sent
from llm_gateway.parts.timers import Timer

CANARY = Timer(layout.CANARY, "the canary")


def metrics_directory(node: Node) -> str:
    """Where the metrics are written on the host."""
    return node.settings.gateway_metrics_directory or METRICS


def deployed_metrics_directory(node: Node) -> str | None:
    """Where the canary that is on the host writes its metrics; None where there is none that says so."""
    try:
        return next(iter(shlex.split(node.state.canary_metrics)), None) or None
    except ValueError:  # somebody has edited it
        return None


def metrics_files(node: Node) -> list[str]:
    """The files of the metrics, where the canary that is on the host writes them and where it is to."""
    places = dict.fromkeys([deployed_metrics_directory(node), metrics_directory(node)])
    return [f"{place}/{METRICS_FILE}{end}" for place in places if place for end in ("", ".new")]


def script_files(node: Node) -> list[Wanted]:
    """The script that asks, and its settings; none where nothing is to be asked."""
    settings = node.settings
    if settings.gateway_canary_interval is None:
        return []
    values = {
        "address": node.address,
        "port": settings.gateway_port,
        # In ASCII, so that its length is its number of bytes.
        "body": json.dumps(real_requests.question(settings.llm_model)),
        "answered": real_requests.ANSWERED,
        "failures": settings.gateway_canary_failures,
        "command": settings.gateway_alert_command or "",
        "metrics": metrics_directory(node),
        "backups": "no" if settings.gateway_backup_schedule is None else "yes",
    }
    conf = {name: shlex.quote(str(value)) for name, value in values.items()}
    conf["alerts"] = shlex.join(settings.gateway_alerts)
    conf["live"] = "" if node.flavour.living == "1" else shlex.quote(node.flavour.living)
    conf["needs"] = shlex.join(chain.from_iterable(real_requests.needs_of_bash()))
    return [
        sent(node, layout.CANARY, "the script of the canary"),
        Wanted(
            f"{node.directory}/{layout.CANARY_CONF}",
            render(f"gateway_directory/{layout.CANARY_CONF}.j2", **conf),
            "600",
            "the settings of the canary",
        ),
    ]


def unit_files(node: Node) -> list[Wanted]:
    """The timer and what it starts; none where nothing is to be asked."""
    interval = node.settings.gateway_canary_interval
    if interval is None:
        return []
    return CANARY.files(
        directory=node.directory,
        metrics=metrics_directory(node),
        interval=interval,
        spread=max(1, in_seconds(interval) // 10),
    )


def install(node: Node) -> None:
    """Put in place what asks, and let the timer run as the settings say, or not at all."""
    if _leaves_metrics(node):  # before the settings that say where they are
        remote.shell(
            name="Remove the metrics, which would be out of date",
            command=f"rm -f {' '.join(map(shlex.quote, metrics_files(node)))}",
        )
    destinations.install(node)
    timers.write(node, script_files(node))
    timers.install(node, CANARY, unit_files(node))


def _leaves_metrics(node: Node) -> bool:
    """Whether the canary on the host has written metrics that nobody renews any more."""
    if node.settings.gateway_canary_interval is None:
        return node.state.file(CANARY.path) is not None
    return deployed_metrics_directory(node) not in (None, metrics_directory(node))


def problems(node: Node) -> Iterator[str]:
    """A directory for metrics that is not on the host; asked only where the setting is new there.

    Raises ConnectionLostError.
    """
    wanted = node.settings.gateway_metrics_directory
    if wanted is None or node.state.busy:
        return
    if not node.state.tailscale_addresses or not timers.differing(node, script_files(node)):
        return
    if remote.refusal(node.host, f"[ -d {shlex.quote(wanted)} ]") is not None:
        yield (
            f"gateway_metrics_directory: there is no directory {wanted} on this host: make it, name the one that your"
            f" node_exporter reads (--collector.textfile.directory), or leave it out ({METRICS})"
        )
