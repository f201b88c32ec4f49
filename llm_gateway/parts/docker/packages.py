"""Docker on the gateway host: installed where it is missing."""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.hosts.topology import Node
from llm_gateway.parts import apt
from llm_gateway.parts.docker import engine, repository
from llm_gateway.parts.docker.engine import is_usable, major

# Which release of a distribution is the first with Compose 2 among its own packages, and what they are called.
_PACKAGES = {
    "debian": (13, ("docker.io", "docker-cli", "docker-compose")),
    "ubuntu": (24, ("docker.io", "docker-compose-v2")),
}
_MAIN = {"distribution": "docker.io", "docker": "docker-ce"}
"""By which package an installation of ours that was cut off is told, by docker_source."""


def problem(node: Node) -> str | None:
    """Why this host cannot get a usable Docker, with the fix; None when it can."""
    if is_usable(node):
        return None
    source, there = node.settings.docker_source, repository.installed(node)
    if _MAIN.get(source) in there:
        return _source_problem(node)
    # Any other Docker is somebody's: packages of another source beside it would make apt remove it.
    if "docker.io" in there and (text := _source_problem(node)):
        return text
    if engine.version(node.state):
        return (
            "Docker is there but Compose 2 is not (`docker compose version` must answer): install the package that"
            " belongs to this Docker, docker-compose-plugin for Docker's own, docker-compose for Debian's"
        )
    if node.state.docker_commands:
        said = f" ({words})" if (words := engine.words(node.state)) else ""
        return (
            f"Docker is installed but its engine does not answer{said}: `systemctl enable --now docker` (after an"
            " interrupted installation `dpkg --configure -a` first); an engine that another user runs, without root, is"
            " not enough"
        )
    if source == "preinstalled":
        return (
            'docker_source is "preinstalled" but no Docker is there: install it, or set docker_source to "distribution"'
            ' or "docker"'
        )
    return _source_problem(node)


def _source_problem(node: Node) -> str | None:
    """What is wrong with where Docker is to come from; any other than a distribution's own is asked as it is."""
    if node.settings.docker_source == "docker":
        return next(repository.problems(node), None)
    return _release_problem(node)


def _release_problem(node: Node) -> str | None:
    distribution = node.state.os.get("ID", "unknown")
    release = node.state.os.get("VERSION_ID", "")  # Debian testing and sid have none
    least, _ = _PACKAGES[distribution]
    if not release or major(release) >= least:
        return None
    return (
        f'the packages of {distribution} {release} have Compose 1 only: set docker_source to "docker" for this host'
        f" (Docker's own apt repository), or use {distribution} {least} or newer"
    )


def supported_distributions() -> tuple[str, ...]:
    """The distributions (ID of os-release) that the deployment knows."""
    return tuple(_PACKAGES)


def is_to_install(node: Node) -> bool:
    """Whether Docker is missing, and to come from packages."""
    return node.settings.docker_source != "preinstalled" and not is_usable(node)


def install(node: Node, beside: Sequence[str] = ()) -> None:
    """Install Docker from the chosen source, and other packages beside it."""
    if node.settings.docker_source == "docker":
        repository.install(node, beside)
        return
    _, packages = _PACKAGES[node.state.os["ID"]]
    others = f", and {', '.join(beside)}" if beside else ""
    apt.install(
        name=f"Install Docker from the distribution's packages{others}",
        packages=["iptables", "ca-certificates", *packages, *beside],
        then=repository.START,
    )
