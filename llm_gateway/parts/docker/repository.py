"""Docker's own packages, from its apt repository or a mirror of it, beside what a host's apt already has."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.layout import DOCKER_KEYRING, DOCKER_SOURCES
from llm_gateway.parts import apt
from llm_gateway.parts.docker import openpgp
from llm_gateway.parts.docker.engine import major

"""Both as Docker's documentation names them: a person who follows it later finds them there, and makes no second ones,
with which apt would refuse to work at all (`Conflicting values set for option Signed-By`).
"""
PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin")
IN_THE_WAY = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "runc", "podman-docker")
"""Packages of distributions that Docker's conflict with, or share files with."""
_PREPARE = Path(__file__).with_name("repository_prepare.sh")
COMPOSE = 2
_GONE = ("", "not-installed", "config-files")
_CODENAME = re.compile(r"[a-z][a-z0-9.-]*")
# The new file has another name until it is in place, by which apt would take it for no source at all.
_TRIED = f"{layout.RUNTIME}-docker.sources"
_TRIAL = (
    f'cp "$new" {_TRIED} && apt-get update -qq -o APT::Update::Error-Mode=any'
    " -o DPkg::Lock::Timeout=120 -o APT::Get::List-Cleanup=false -o Dir::Etc::SourceParts=/dev/null"
    f" -o Dir::Etc::SourceList={_TRIED}"
)
START = (
    # systemd does not start a Docker that ended too often before it is told to forget that.
    "systemctl reset-failed docker 2>/dev/null; systemctl enable --quiet docker && systemctl start docker &&"
    " docker compose version >/dev/null"
)


def installed(node: Node) -> dict[str, str]:
    """The packages that have to do with Docker, installed or half so, by name, with their versions."""
    fields = (line.split() for line in node.state.docker_packages)
    return {each[0]: each[2] for each in fields if len(each) == 3 and each[1] not in _GONE}


def url(node: Node) -> str:
    """The repository for the host's distribution."""
    return f"{node.settings.docker_apt_url.rstrip('/')}/{node.state.os.get('ID', '')}"


def is_there(node: Node) -> bool:
    """Whether the host's apt has a repository of Docker's already, be it its own or a mirror."""
    own = node.settings.docker_apt_url.rstrip("/")
    return any(
        each.startswith(f"{own}/") or "//download.docker.com/" in each or "/docker-ce/" in each
        for each in node.state.apt_sources
    )


def problems(node: Node) -> Iterator[str]:
    """What prevents an installation from there; asked where Docker is to be installed."""
    packages = installed(node)
    if major(packages.get("docker-compose", "")) < COMPOSE:
        packages.pop("docker-compose", None)  # of Compose 1, which is a program beside Docker's command
    if names := " ".join(name for name in IN_THE_WAY if name in packages):
        yield (
            f'docker_source is "docker", and {names} would be in the way of its packages: `apt-get remove {names}`'
            " (images and data in /var/lib/docker stay; what runs stops until this has ended), and run again"
        )
    if not _CODENAME.fullmatch(node.state.os.get("VERSION_CODENAME", "")):
        yield 'docker_source is "docker", and /etc/os-release names no release (VERSION_CODENAME): use "distribution"'
    if is_there(node):
        return
    if node.state.apt_sources_file:
        yield (
            f"{DOCKER_SOURCES} is there, and apt takes no repository of Docker's from it (`Enabled: no`?): correct it,"
            " or remove it, and run again"
        )
    if (text := node.state.apt_keyring) is None:
        return
    try:
        found = openpgp.fingerprints(text.encode("utf-8", "surrogateescape"))
    except openpgp.KeyFileError as problem:
        yield f"{DOCKER_KEYRING} is there, and is not a key ({problem}): remove it, and run again"
    else:
        if found != [_wanted(node)]:
            there = ", ".join(found)
            yield (
                f"{DOCKER_KEYRING} is there, with the key {there}, not {_wanted(node)} (docker_apt_key): look whose"
                " it is"
            )


def install(node: Node, beside: Sequence[str]) -> None:
    """Install Docker from there, and other packages beside it."""
    _install(name="Install Docker from its own repository", node=node, beside=beside)


@operation()
def _install(node: Node, beside: Sequence[str]) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_carry_out, (node, beside), {})


def _carry_out(state: State, host: Host, node: Node, beside: Sequence[str]) -> bool:
    if not is_there(node):
        step(host, f"adding the apt repository {url(node)}")
        if not _add(host, node):
            return False
    packages = (*PACKAGES, *beside)
    step(host, f"installing {', '.join(packages)}")
    # Nothing of what is there goes, whatever else is in the way.
    apt.install_now(host, ["iptables", "ca-certificates", *packages], "--no-remove")
    remote.run(host, START)
    return True


def _add(host: Host, node: Node) -> bool:
    if node.state.apt_keyring is None:
        where = f"{url(node)}/gpg"
        try:
            encoded = "".join(remote.run(host, f"URL={shlex.quote(where)}\n{_PREPARE.read_text(encoding='utf-8')}"))
        except remote.ConnectionLostError:
            raise
        except remote.RemoteError as problem:
            remote.complain(host, f"docker_apt_url: {where} cannot be fetched: {problem}")
            return False
        key = base64.b64decode(encoded)
        try:
            found = openpgp.fingerprints(key)
        except openpgp.KeyFileError as problem:
            remote.complain(host, f"docker_apt_url: {where} is not a key ({problem}); nothing was installed")
            return False
        if found != [_wanted(node)]:
            told = f"the key at {where} is {', '.join(found)}, not {_wanted(node)} (docker_apt_key)"
            remote.complain(host, f"{told}; nothing was installed")
            return False
        remote.write_now(host, DOCKER_KEYRING, key, "644")
    try:
        remote.write_now(host, DOCKER_SOURCES, _sources(node).encode(), "644", trial=_TRIAL)
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError:
        if node.state.apt_keyring is None:
            remote.run(host, f"rm -f {DOCKER_KEYRING}")
        raise
    return True


def _sources(node: Node) -> str:
    """As Docker's documentation has it."""
    codename = node.state.os["VERSION_CODENAME"]
    return (
        f"Types: deb\nURIs: {url(node)}\nSuites: {codename}\nComponents: stable\n"
        f"Architectures: {node.state.architecture}\nSigned-By: {DOCKER_KEYRING}\n"
    )


def _wanted(node: Node) -> str:
    return node.settings.docker_apt_key.replace(" ", "").upper()
