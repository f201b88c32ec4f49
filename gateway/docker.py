"""Docker on the gateway host: installed where it is missing, and told of mirrors and proxies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gateway import remote
from gateway.uninstall import before

if TYPE_CHECKING:
    from gateway.fleet import Member

DAEMON_JSON = "/etc/docker/daemon.json"
OURS = ("registry-mirrors", "proxies")
"""The keys of it that settings set."""

# Which release of a distribution is the first with Compose 2 among its own packages, and what they are called.
_PACKAGES = {
    "debian": (13, ("docker.io", "docker-cli", "docker-compose")),
    "ubuntu": (24, ("docker.io", "docker-compose-v2")),
}


def major(version: str) -> int:
    """The first number of a version such as "2.26.1" or "v2.26.1-4"; 0 where there is none."""
    digits = version.lstrip("v").split(".")[0]
    return int(digits) if digits.isdigit() else 0


def is_usable(member: Member) -> bool:
    """Whether the host has a Docker engine that answers, and Compose 2 or newer."""
    return bool(member.state.text("docker")) and major(member.state.text("compose")) >= 2


def problem(member: Member) -> str | None:
    """Why this host cannot get a usable Docker, with the mend; None when it can."""
    if is_usable(member):
        return None
    is_distributions = member.state.text("docker_package") not in ("", "not-installed", "config-files")
    if is_distributions and member.settings.docker_source == "distribution":
        return _release_problem(member)
    # Any other Docker is somebody's: the distribution's packages beside it would make apt remove it.
    if member.state.text("docker"):
        return (
            "Docker is there but Compose 2 is not (`docker compose version` must answer): install the package that"
            " belongs to this Docker, docker-compose-plugin for Docker's own, docker-compose for Debian's"
        )
    if member.state.text("docker_commands"):
        return (
            "Docker is installed but its engine does not answer: `systemctl enable --now docker` (after an interrupted"
            " installation `dpkg --configure -a` first)"
        )
    if member.settings.docker_source == "preinstalled":
        return (
            'docker_source is "preinstalled" but no Docker is there: install it, or set docker_source to "distribution"'
        )
    return _release_problem(member)


def _release_problem(member: Member) -> str | None:
    distribution = member.state.os.get("ID", "unknown")
    release = member.state.os.get("VERSION_ID", "")  # Debian testing and sid have none
    least, _ = _PACKAGES[distribution]
    if not release or major(release) >= least:
        return None
    return (
        f"the packages of {distribution} {release} have Compose 1 only: install Docker's own packages"
        f" (docs.docker.com/engine/install) and run again, or use {distribution} {least} or newer"
    )


def supported_distributions() -> tuple[str, ...]:
    """The distributions (ID of os-release) that the deployment knows."""
    return tuple(_PACKAGES)


def install(member: Member) -> None:
    """Install the distribution's packages where Docker is missing, and bring the daemon's settings into line."""
    if member.settings.docker_source == "preinstalled":
        return
    if not is_usable(member):
        _, packages = _PACKAGES[member.state.os["ID"]]
        remote.shell(
            name="Install Docker from the distribution's packages",
            command=(
                # An earlier run may have been cut off in the middle, its apt-get even be at work still.
                "export DEBIAN_FRONTEND=noninteractive && timeout 300 sh -c"
                " 'until dpkg --configure -a >/dev/null 2>&1; do sleep 1; done' &&"
                " apt-get update -qq -o DPkg::Lock::Timeout=120 &&"
                " apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120"
                f" iptables ca-certificates {' '.join(packages)} >/dev/null &&"
                # systemd does not start a Docker that ended too often before it is told to forget that.
                " { systemctl reset-failed docker; systemctl enable --quiet docker && systemctl start docker &&"
                " docker compose version >/dev/null; }"
            ),
        )
    _configure(member)


def _configure(member: Member) -> None:
    present = member.state.text("daemon_json")
    wanted = merged_daemon_json(member)
    if wanted is None or (present and json.loads(present) == wanted):
        return
    member.is_republished = True  # the restart below takes the gateway down and up again
    remote.shell(
        name="Tell the Docker daemon of its mirrors and proxy",
        command=before.write_script(DAEMON_JSON, "644"),
        stdin=remote.encoded((json.dumps(wanted, indent=2) + "\n").encode()),
    )
    remote.shell(name="Restart Docker with its new settings", command="systemctl restart docker")


def merged_daemon_json(member: Member) -> dict[str, Any] | None:
    """daemon.json as it must be, foreign keys kept; None when no setting asks for anything.

    Raises ValueError when the host's file is not a JSON object.
    """
    settings = member.settings
    proxies = {
        "http-proxy": settings.docker_http_proxy,
        "https-proxy": settings.docker_https_proxy,
        "no-proxy": settings.docker_no_proxy,
    }
    ours: dict[str, Any] = {}
    if settings.docker_registry_mirrors:
        ours["registry-mirrors"] = list(settings.docker_registry_mirrors)
    if chosen := {key: value for key, value in proxies.items() if value}:
        ours["proxies"] = chosen
    if not ours:
        return None
    try:
        present = json.loads(member.state.text("daemon_json") or "{}")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(present, dict):
        raise ValueError("it is not a JSON object")
    return {**present, **ours}
