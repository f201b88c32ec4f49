"""A gateway that somebody else has set up, as it is before it is stopped: how it runs, and where it is reached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from llm_gateway.hosts.host_state import HostState
from llm_gateway.model.layout import PORT, PROJECT, REPLACED

SCRIPT = Path(__file__).parents[2] / "hosts" / "old_gateway.sh"
"""Defines the shell function `old_gateway CONTAINER`, which emits what is read here."""


@dataclass(frozen=True)
class OldGateway:
    """A container of a person's that holds a One API."""

    name: str
    is_running: bool
    restart: str
    """Docker's restart policy: "always", "on-failure:3"."""
    port: int
    """What One API listens on in the container."""
    published: tuple[str, int] | None
    """Where it is reached, as its host sees it."""
    environment: Mapping[str, str | None] = field(repr=False)
    """What a person has given it besides what its image has; None for what may be a secret, which stays on the host."""
    hosts: Mapping[str, str]
    """Names that it was given addresses for (extra_hosts)."""
    image: str
    """As its container names it: "justsong/one-api:v0.6.10"."""
    labels: Mapping[str, str]


def of(state: HostState) -> OldGateway | None:
    """The gateway that a host's answers tell of, if they do."""
    text = state.old_container
    if not text:
        return None
    details: dict[str, Any] = json.loads(text)
    host = details.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    retries = policy.get("MaximumRetryCount")
    variables = dict(map(variable, state.old_environment))
    port = _port(variables.get("PORT"), details.get("Args") or [], [int(each) for each in state.old_ports])
    name = str(details.get("Name") or "").removeprefix("/")
    return OldGateway(
        name=PROJECT if name == REPLACED else name,
        is_running=bool(details.get("State", {}).get("Running")),
        restart=(policy.get("Name") or "no") + (f":{retries}" if retries else ""),
        port=port,
        published=_published(details, port),
        environment=variables,
        hosts=dict(hosts(host.get("ExtraHosts") or [], state.old_hosts)),
        image=(details.get("Config") or {}).get("Image") or "",
        labels=(details.get("Config") or {}).get("Labels") or {},
    )


def variable(line: str) -> tuple[str, str | None]:
    """The name of a variable, and its value, None for one that was hidden."""
    name, has_value, value = line.partition("=")
    return name, value if has_value else None


def _port(chosen_by: str | None, arguments: Sequence[str], listening: Sequence[int]) -> int:
    """As One API chooses it: PORT before --port (main.go); what a running one listens on is beyond doubt."""
    words = " ".join(arguments).replace("=", " ").split()
    after = [value for flag, value in pairwise(words) if flag in ("--port", "-port")]
    chosen = next((int(text) for text in (chosen_by or "", *after) if text.isdigit()), PORT)
    return chosen if not listening or chosen in listening else listening[0]


def _published(details: Mapping[str, Any], port: int) -> tuple[str, int] | None:
    """Where it is reached from its host: where it is published, else its container's own address."""
    settings, host = details.get("NetworkSettings") or {}, details.get("HostConfig") or {}
    # What Docker has bound first: `ports: ["3000"]` asks for any port, so the wish says none.
    for bound in (settings.get("Ports") or {}, host.get("PortBindings") or {}):
        for binding in bound.get(f"{port}/tcp") or []:
            if text := binding.get("HostPort"):
                address = binding.get("HostIp") or ""
                is_any = address in ("", "0.0.0.0", "::")  # noqa: S104 - what Docker says for all addresses
                return ("127.0.0.1" if is_any else address), int(text)
    if host.get("NetworkMode") == "host":
        return "127.0.0.1", port
    networks = settings.get("Networks") or {}
    return next(((each["IPAddress"], port) for each in networks.values() if each.get("IPAddress")), None)


def hosts(wanted: Sequence[str], lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names with their addresses; `host-gateway` as Docker has written it there.

    Parameters: `wanted`, entries of extra_hosts; `lines`, those of the container's /etc/hosts.
    """
    known = {name: words[0] for line in lines if (words := line.split("#")[0].split()) for name in words[1:]}
    for entry in wanted:
        name, _, address = entry.replace("=", ":", 1).partition(":")
        yield name, known.get(name) or known.get(address) or address
