"""Whether what answers to `docker` on a host is a Docker that a gateway can run on: judged by what it says of itself.

Much answers to that name: podman's wrapper, a snap, an engine in a virtual machine or on another host, one that maps
users. Files of ours would be written, and a container started that cannot read them, or listens elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Node

LOOK = Path(__file__).parents[2] / "hosts" / "look.sh"
"""Functions in sh that look at the Docker of a host."""
LEAST = 20
"""Compose 2 speaks to engines from 20.10 on."""
_NO_IPTABLES = re.compile(r"(?:^|\s)--iptables=(?:false|0|f|F|FALSE|False)(?:\s|$)")
_OWN_ENGINE = "the gateway needs a Docker Engine of this host's own, run by root as docker.service"


def major(version: str) -> int:
    """The first number of a version such as "2.26.1" or "v2.26.1-4"; 0 where there is none."""
    digits = version.lstrip("v").split(".")[0]
    return int(digits) if digits.isdigit() else 0


def info(state: HostState) -> dict[str, Any]:
    """What `docker info` says; empty where that is no JSON object."""
    try:
        found = json.loads(state.docker_info or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def version(state: HostState) -> str:
    """The version of the engine that answers; "" where none does."""
    found = info(state).get("ServerVersion")
    return found if isinstance(found, str) else ""


def compose(state: HostState) -> str:
    """The version of the plugin that `docker compose` is; "" where there is none."""
    client = info(state).get("ClientInfo")
    plugins = client.get("Plugins") if isinstance(client, dict) else None
    for plugin in plugins if isinstance(plugins, list) else []:
        if isinstance(plugin, dict) and plugin.get("Name") == "compose" and not plugin.get("Err"):
            return str(plugin.get("Version") or "")
    return ""


def is_usable(node: Node) -> bool:
    """Whether the host has a Docker engine that answers, and Compose 2 or newer."""
    return bool(version(node.state)) and major(compose(node.state)) >= 2


def words(state: HostState) -> str:
    """Why no engine answers, in `docker`'s own words; "" where it has none."""
    errors = info(state).get("ServerErrors")
    told = errors if isinstance(errors, list) else []
    lines = [str(each).strip() for each in told] or state.docker_says[1:]
    return lines[-1][:300] if lines else ""


def problem(state: HostState) -> str | None:
    """Why what answers to `docker` is no Docker to run a gateway on, with the fix.

    None where nothing speaks against it, or nothing is there.
    """
    return next(_problems(state), None)


def _problems(state: HostState) -> Iterator[str]:
    if where := state.docker_endpoint:
        yield (
            f"`docker` is pointed at {where}, not at this host's own engine: take DOCKER_HOST and DOCKER_CONTEXT out of"
            " root's environment (/etc/environment, sudo's env_keep), or `docker context use default`"
        )
    found = info(state)
    root = found.get("DockerRootDir")
    root = root if isinstance(root, str) else ""
    if _is_podman(state, found, root):
        yield (
            "podman answers to `docker` (podman-docker, a wrapper, or its service on Docker's socket):"
            f" {_OWN_ENGINE}; `apt-get remove podman-docker`, or remove the wrapper, and run again"
        )
    if root.startswith("/var/snap/") or "/snap/bin/docker" in state.docker_commands:
        yield (
            f"its Docker is the snap's, which sees nothing below /opt or /srv: {_OWN_ENGINE}; `snap remove docker` (its"
            " containers and volumes are gone with it: save them first), and run again"
        )
    if version(state):
        yield from _engine_problems(state, found, root)


def _is_podman(state: HostState, found: dict[str, Any], root: str) -> bool:
    is_its_own = "host" in found and "store" in found
    says_so = any("podman" in line.lower() for line in state.docker_says)
    return is_its_own or says_so or root.endswith("/containers/storage")


def _engine_problems(state: HostState, found: dict[str, Any], root: str) -> Iterator[str]:
    kind = found.get("OperatingSystem")
    unit = state.docker_unit
    options = found.get("SecurityOptions")
    isolation = [str(option) for option in options] if isinstance(options, list) else []
    if kind == "Docker Desktop" or found.get("Name") == "docker-desktop":
        yield f"its Docker is Docker Desktop's, in a virtual machine: {_OWN_ENGINE}; quit Desktop and install that"
    if not root:
        yield f"what answers to `docker` is no Docker Engine (nerdctl, or another's): {_OWN_ENGINE}"
    if "name=rootless" in isolation:
        yield (
            f"its Docker runs rootless ({root}), so it can neither publish on Tailscale's address with the callers'"
            f" addresses kept nor read the gateway's files: {_OWN_ENGINE}"
        )
    if "name=userns" in isolation:
        yield (
            f"its Docker maps users (userns-remap, {root}), so no container could read the gateway's files: take"
            " userns-remap out of /etc/docker/daemon.json, or use another host"
        )
    if found.get("OSType", "linux") != "linux":
        yield f"its Docker runs containers of {found['OSType']}: {_OWN_ENGINE}"
    if unit and unit.get("LoadState") != "loaded":
        yield f"Docker answers, but no docker.service runs it, which the gateway's unit waits for: {_OWN_ENGINE}"
    if unit and unit.get("LoadState") == "loaded" and unit.get("ActiveState") not in ("active", "reloading"):
        yield (
            f"Docker answers, but docker.service is {unit.get('ActiveState')}, so something else runs it: end that, and"
            " `systemctl enable --now docker`"
        )
    if state.docker_view == "elsewhere":
        yield (
            f"its Docker sees other files than the host has (its root directory is {root}), because it runs in a"
            f" container, a virtual machine or a sandbox: {_OWN_ENGINE}"
        )
    if major(version(state)) < LEAST:
        yield f"its Docker is {version(state)}, too old for Compose 2: update it to {LEAST}.10 or newer"
    if found.get("CpuCfsQuota") is False:
        yield (
            "its kernel cannot limit the processors of a container (`docker info`: no cpu cfs quota support), so none"
            " with a limit (gateway_cpus) starts: boot a kernel with CONFIG_CFS_BANDWIDTH"
        )
    if _is_without_nat(state):
        yield (
            "Docker is told to make no rules (iptables: false) and nothing else masquerades, so no container reaches"
            " its provider: take that out of /etc/docker/daemon.json or docker.service, and restart Docker"
        )


def _is_without_nat(state: HostState) -> bool:
    try:
        told = json.loads(state.daemon_json or "{}")
    except (ValueError, RecursionError):
        told = {}
    is_off = isinstance(told, dict) and told.get("iptables") is False
    return (is_off or bool(_NO_IPTABLES.search(state.docker_flags))) and state.masquerades == "no"
