"""When and how a running OpenClaw is restarted: once, in its own time, and with a word on what it waits for."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path

from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Agent
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready

_IDLE = "idle"
OWN_STOP_SECONDS = 330.0
"""How long OpenClaw 2026.9.6 takes to stop at most, where its unit allows more or does not say: 315 s for what it has
begun, the rest for its channels."""
_START_SECONDS = 120
"""How long systemd may take beyond the stop: 90 s is what it gives a start (TimeoutStartSec=)."""
_LOOK_SECONDS = 15
_PAUSE_SECONDS = 5
_MOMENT_SECONDS = 5
_SCRIPT = Path(__file__).with_name("openclaw_restart.sh")
_UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(w|d|h|min|ms|us|s)")


def stop_seconds(agent: Agent) -> float:
    """After how long systemd kills an OpenClaw that does not stop (TimeoutStopSec= of its unit)."""
    text = agent.state.openclaw_unit.get("TimeoutStopUSec", "")
    found = sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(text))
    return found or OWN_STOP_SECONDS  # "infinity", and a unit that was not there when the host was read


def problem(agent: Agent) -> str | None:
    """Why it cannot be restarted as `openclaw_restart` has it; None where it can."""
    if not waits(agent) or openclaw_config.has_command(agent):
        return None
    return (
        f'openclaw_restart is "idle", and ExecStart= of {agent.settings.openclaw_unit} names no OpenClaw'
        ' (`… gateway …`) that could tell whether a turn runs: set it to "now" or "never" for this host'
    )


def waits(agent: Agent) -> bool:
    """Whether it is asked for that a restart waits until no turn runs, and one might."""
    is_active = agent.state.openclaw_unit.get("ActiveState") == "active"
    return agent.settings.openclaw_restart == _IDLE and openclaw.has_unit(agent) and is_active


def await_idle(agent: Agent) -> str | None:
    """Wait until no turn runs, where that is asked for; why there is no end to it, None where nothing runs.

    Raises RemoteError.
    """
    if not waits(agent):
        return None
    limit, began = agent.settings.openclaw_idle_timeout, time.monotonic()
    port = [f"OPENCLAW_GATEWAY_PORT={openclaw_ready.port(agent)}"]
    command = openclaw_config.command(agent, ["gateway", "call", "gateway.restart.preflight", "--json"], port)
    while True:
        lines = remote.run(agent.host, f"{command} || true")  # it fails where it has something to say
        busy = _busy(lines)
        if busy == "":
            return None
        if busy is None:
            return (
                f"whether a turn runs cannot be seen: OpenClaw does not answer ({' '.join(lines[-6:])[:300]});"
                ' openclaw_restart = "now" does not ask'
            )
        waited = time.monotonic() - began
        if waited >= limit:
            return (
                f"it is not idle within {limit} s ({busy}): raise openclaw_idle_timeout, run again later, or restart it"
                ' all the same with openclaw_restart = "now", which gives what has begun the time that its unit allows'
            )
        step(agent.host, f"openclaw: waiting until it is idle, for {waited:.0f} of at most {limit} s ({busy})")
        remote.run(agent.host, f"sleep {_PAUSE_SECONDS}")


def _busy(lines: list[str]) -> str | None:
    """What runs, in counts; "" for nothing, None where it does not say.

    Its own summary is not told: it quotes what people have written to the agent (2026.9.6).
    """
    try:
        said = json.loads("\n".join(lines))
        counts = {name: int(count) for name, count in said["counts"].items() if name != "totalActive" and count}
        is_idle = said["safe"] is True
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return "" if is_idle else " ".join(f"{name}={count}" for name, count in counts.items()) or "it does not say what"


def restart(agent: Agent, reload: str, first: str = "true") -> None:
    """Have it restarted, and wait until its process is a new one.

    Parameters: `reload`, a shell command after which systemd has its unit as it is on the disk; `first`, one that is
    run at the moment of the restart. Raises RemoteError.
    """
    unit, limit = agent.settings.openclaw_unit, stop_seconds(agent)
    step(agent.host, f"openclaw: restarting {unit}, whose stop may take {limit:.0f} s (TimeoutStopSec= of the unit)")
    began = time.monotonic()
    asked = openclaw.systemctl(agent, f"restart --no-block {shlex.quote(unit)}")
    remote.run(agent.host, f"{reload} && {first} && {asked}")
    while (answer := _look(agent, time.monotonic() - began)) != "done":
        if answer == "failed":
            raise remote.RemoteError(f"{unit} {_why(agent)}")
        waited = time.monotonic() - began
        word, _, reason = answer.partition(" ")
        told = f": {reason.strip()}" if reason.strip() else ""
        if waited > limit + _START_SECONDS:
            raise remote.RemoteError(
                f"{unit} has not {'stopped' if word == 'stopping' else 'started'} within {waited:.0f} s{told}:"
                f" {openclaw_ready.journal(agent)}"
            )
        until = "stopped" if word == "stopping" else "started"
        step(agent.host, f"openclaw: waiting until it has {until}, for {waited:.0f} of at most {limit:.0f} s{told}")


def _why(agent: Agent) -> str:
    """Why it does not start. Raises RemoteError."""
    if openclaw_config.has_command(agent) and (found := openclaw_ready.look(agent, 1)).startswith("down "):
        return openclaw_ready.ended(agent, found)
    return f"does not start: {openclaw_ready.journal(agent)}"


def _look(agent: Agent, waited: float) -> str:
    # The log is read at the end of the look, which began a moment after OpenClaw was asked to stop, and said why.
    since = waited + _LOOK_SECONDS + _MOMENT_SECONDS
    values = {"SINCE": f"-{since:.0f}s", "SECONDS_TO_WAIT": str(_LOOK_SECONDS)}
    return openclaw_ready.ask(agent, _SCRIPT, values) or "done"
