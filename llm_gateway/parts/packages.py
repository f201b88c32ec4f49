"""All packages that a gateway's host lacks, Docker among them, by one call of apt-get."""

from __future__ import annotations

from llm_gateway.hosts.topology import Node
from llm_gateway.parts import apt, firewall, postgresql
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import destinations
from llm_gateway.parts.docker import daemon_settings
from llm_gateway.parts.docker import packages as docker


def install(node: Node) -> None:
    """Install what is missing, and bring the Docker daemon's settings into line."""
    if docker.is_to_install(node):
        docker.install(node, beside=_beside_docker(node))
    else:
        install_beside_docker(node)
    if node.settings.docker_source != "preinstalled":
        daemon_settings.bring_into_line(node)


def install_beside_docker(node: Node) -> None:
    """Install what is missing but Docker."""
    if missing := _beside_docker(node):
        apt.install(name=f"Install {', '.join(missing)}", packages=missing)


def _beside_docker(node: Node) -> list[str]:
    parts = (firewall, scheduled_backups, destinations, postgresql)
    return [package for part in parts for package in part.missing_packages(node)]
