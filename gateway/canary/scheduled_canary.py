"""What a host needs to look after its own gateway: the script that asks it, its settings, and a timer that calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import remote, timers
from gateway.checkout import ROOT
from gateway.checks import in_seconds
from gateway.host_state import PROJECT
from gateway.installation import Wanted, render
from gateway.timers import Timer

if TYPE_CHECKING:
    from gateway.fleet import Member

CANARY = Timer("canary", "the canary")
HOME = f"/var/lib/{PROJECT}"
METRICS_FILE = "openclaw_llm_gateway.prom"
QUESTION = [{"role": "user", "content": "Say ok."}]


def metrics_directory(member: Member) -> str:
    """Where the metrics are written on the host."""
    return member.settings.gateway_metrics_directory or f"{HOME}/metrics"


def deployed_metrics_directory(member: Member) -> str | None:
    """Where the canary that is on the host writes its metrics; None where there is none that says so."""
    try:
        return next(iter(shlex.split(member.state.text("canary_metrics"))), None) or None
    except ValueError:  # somebody has edited it
        return None


def metrics_files(member: Member) -> list[str]:
    """The files of the metrics, where the canary that is on the host writes them and where it is to."""
    places = dict.fromkeys([deployed_metrics_directory(member), metrics_directory(member)])
    return [f"{place}/{METRICS_FILE}{end}" for place in places if place for end in ("", ".new")]


def script_files(member: Member) -> list[Wanted]:
    """The script that asks, and its settings; none where nothing is to be asked."""
    settings = member.settings
    if settings.gateway_canary_interval is None:
        return []
    values = {
        "address": member.address,
        "port": settings.gateway_port,
        # In ASCII, so that its length is its number of bytes.
        "body": json.dumps({"model": settings.llm_model, "messages": QUESTION, "max_tokens": 1}),
        "failures": settings.gateway_canary_failures,
        "command": settings.gateway_alert_command or "",
        "metrics": metrics_directory(member),
        "backups": "no" if settings.gateway_backup_schedule is None else "yes",
    }
    conf = {name: shlex.quote(str(value)) for name, value in values.items()}
    return [
        Wanted(f"{member.directory}/canary", (ROOT / "files/canary").read_bytes(), "755", "the script of the canary"),
        Wanted(
            f"{member.directory}/canary.conf",
            render("gateway_directory/canary.conf.j2", **conf),
            "600",
            "the settings of the canary",
        ),
    ]


def unit_files(member: Member) -> list[Wanted]:
    """The timer and what it starts; none where nothing is to be asked."""
    interval = member.settings.gateway_canary_interval
    if interval is None:
        return []
    return CANARY.files(
        directory=member.directory,
        metrics=metrics_directory(member),
        interval=interval,
        spread=max(1, in_seconds(interval) // 10),
    )


def install(member: Member) -> None:
    """Put in place what asks, and let the timer run as the settings say, or not at all."""
    if _leaves_metrics(member):  # before the settings that say where they are
        remote.shell(
            name="Remove the metrics, which would be out of date",
            command=f"rm -f {' '.join(map(shlex.quote, metrics_files(member)))}",
        )
    timers.write(member, script_files(member))
    timers.install(member, CANARY, unit_files(member))


def _leaves_metrics(member: Member) -> bool:
    """Whether the canary on the host has written metrics that nobody renews any more."""
    if member.settings.gateway_canary_interval is None:
        return member.state.file(CANARY.path) is not None
    return deployed_metrics_directory(member) not in (None, metrics_directory(member))


def problems(member: Member) -> Iterator[str]:
    """A directory for metrics that is not on the host; asked only where the setting is new there.

    Raises ConnectionLostError.
    """
    wanted = member.settings.gateway_metrics_directory
    if not member.is_gateway or wanted is None or member.state.text("busy"):
        return
    if not member.state.tailscale_addresses or not timers.differing(member, script_files(member)):
        return
    if remote.refusal(member.host, f"[ -d {shlex.quote(wanted)} ]") is not None:
        yield (
            f"gateway_metrics_directory: there is no directory {wanted} on this host: make it, name the one that your"
            f" node_exporter reads (--collector.textfile.directory), or leave it out ({HOME}/metrics)"
        )
