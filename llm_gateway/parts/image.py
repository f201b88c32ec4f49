"""The gateway's image: pulled by its pin, or sent as an archive and never pulled."""

from __future__ import annotations

import hashlib
import json
import shlex
import tarfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import progress, remote, streams
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.settings import Settings
from llm_gateway.model import layout, shell

_LOAD = Path(__file__).with_name("image_load.sh")
KEPT_IN = "images"
"""In the install directory: the archives of images that serve or have served, by their IDs."""
HUB = "docker.io"
"""The registry of images whose name names none (github.com/distribution/reference)."""
_OF_HUB = (HUB, f"index.{HUB}", f"registry-1.{HUB}")
_FIX = (
    "name mirrors of Docker Hub in `docker_registry_mirrors` or a proxy in `docker_https_proxy`, or send the image from"
    " here by `gateway_image_archive` (`docker save IMAGE -o FILE` where it is)"
)
_UNREADABLE = (tarfile.TarError, zlib.error, OSError, EOFError)


class ArchiveError(ValueError):
    """The archive cannot be used; the text says why and what fixes it."""


@dataclass(frozen=True)
class Archive:
    """What a file made by `docker save` holds."""

    path: Path
    identifiers: frozenset[str]
    """The IDs that a host may know the image by: of its config (Docker's classic store) or of its manifest
    (the containerd store, default from Docker 29)."""
    architecture: str
    references: tuple[str, ...]


@cache
def read_archive(path: str) -> Archive:
    """Look into an archive. Raises ArchiveError when it is missing or not one of a single image."""
    file = Path(path).expanduser()
    try:
        if file.exists() and not file.is_file():  # a pipe or a device might never end
            raise ArchiveError(f"{file} is not a file made by `docker save`: it is a directory or a device")
        with tarfile.open(file) as archive:
            manifests = _json_member(archive, "manifest.json")
            if len(manifests) != 1:
                raise ArchiveError(f"{file} holds {len(manifests)} images; save one: docker save IMAGE -o {file}")
            config_name = manifests[0]["Config"]
            config = _json_member(archive, config_name)
            identifiers = {"sha256:" + Path(config_name).name.removesuffix(".json")}
            if "index.json" in archive.getnames():
                index = _json_member(archive, "index.json")
                identifiers |= {manifest["digest"] for manifest in index["manifests"]}
            return Archive(
                file,
                frozenset(identifiers),
                str(config.get("architecture", "unknown")),
                tuple(manifests[0].get("RepoTags") or ()),
            )
    except FileNotFoundError:
        raise ArchiveError(
            f"{file} is not there; make it on a machine with the image: docker save IMAGE -o {file}"
        ) from None
    except ArchiveError:
        raise
    except (*_UNREADABLE, LookupError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise ArchiveError(f"{file} is not a file made by `docker save`: {problem}") from None


def _json_member(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    return json.load(member)


def reference(settings: Settings) -> str:
    """The image as the compose file names it: with its digest where one is pinned and it is pulled.

    `docker load` drops digests (moby#43570), so an image from an archive goes by tag, checked by its ID.
    """
    digest = settings.gateway_image_digest
    image = settings.gateway_image
    return image if digest is None or settings.gateway_image_archive else f"{image}@{digest}"


def pull_sources(settings: Settings) -> dict[str, str]:
    """Where the image would be pulled from, as `host_state.sh` takes it; nowhere where an archive is sent."""
    if settings.gateway_image_archive:
        return {}
    first, slash, _ = settings.gateway_image.partition("/")
    is_hubs = not slash or not ("." in first or ":" in first or first == "localhost") or first in _OF_HUB
    return {
        "REGISTRY": f"https://registry-1.{HUB}" if is_hubs else first,
        "MIRRORS": " ".join(settings.docker_registry_mirrors) if is_hubs else "none",
        "REGISTRY_PROXY": settings.docker_https_proxy or "",
    }


def pull_problem(node: Node) -> str | None:
    """Why the image cannot be pulled, with the fix; None where it can be, or need not."""
    said = node.state.registry
    if not said or said == ["yes"]:
        return None
    return (
        f"gateway_image: {reference(node.settings)} is not on this host, and no registry can be reached from it"
        f" ({'; '.join(said)}): {_FIX}"
    )


def pull_policy(node: Node) -> str:
    """compose's pull policy: the deployment provides the image, so compose never pulls by itself."""
    return "never" if node.settings.gateway_image_archive else "missing"


def is_present(node: Node) -> bool:
    """Whether the host has the very image."""
    if node.state.image is None:
        return False
    identifier, _, digests = node.state.image
    if path := node.settings.gateway_image_archive:
        return identifier in read_archive(path).identifiers
    digest = node.settings.gateway_image_digest
    return digest is None or any(known.endswith(f"@{digest}") for known in digests)


def provide(node: Node) -> None:
    """Send and load the archive, or pull the image; nothing where the host has it."""
    fetch(node)
    if node.settings.gateway_image_archive and not is_present(node):
        remote.shell(name="Load the image from the archive", command=load_script(node))


def fetch(node: Node) -> None:
    """Pull the image, or send its archive and leave it unloaded: loading it may take another image's name."""
    if is_present(node):
        return
    if path := node.settings.gateway_image_archive:
        _send(name="Send the image archive", node=node, archive=read_archive(path).path)
    else:
        told = shlex.quote(f"the image was not pulled; if its registry cannot be reached, {_FIX}")
        remote.shell(
            name="Pull the image",
            command=f"docker pull --quiet {shlex.quote(reference(node.settings))} || {{ echo {told} >&2; exit 1; }}",
        )


@operation()
def _send(node: Node, archive: Path) -> Generator[FunctionCommand, None, None]:
    """Entered only where the host has not the image; it may have the archive, of a run that was cut off."""
    if not _is_sent(node, archive):
        yield remote.Callback(_send_now, (node, archive), {})


def _is_sent(node: Node, archive: Path) -> bool:
    sent = shlex.quote(_sent(node))
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        return remote.run(node.host, f"[ ! -f {sent} ] || sha256sum < {sent}") == [f"{digest}  -"]
    except remote.RemoteError:
        return False  # nor can it be sent then, which says why


def _send_now(state: State, host: Host, node: Node, archive: Path) -> bool:
    try:
        moved = progress.Moved(host, f"sending {archive.name}", archive.stat().st_size)
        streams.upload(host, archive, _sent(node), moved)
    except remote.RemoteError as problem:
        remote.complain(host, f"{archive} was not sent: {problem}")
        return False
    return True


def load_script(node: Node) -> str:
    """The shell program that loads the archive that was sent, and keeps it by its ID for files/start-gateway."""
    values = {
        "sent": _sent(node),
        "image": node.settings.gateway_image,
        "wanted": " ".join(sorted(read_archive(str(node.settings.gateway_image_archive)).identifiers)),
        "kept": f"{node.directory}/{KEPT_IN}",
    }
    return shell.program(values, _LOAD)


def _sent(node: Node) -> str:
    return f"{node.directory}/{layout.SENT_IMAGE}"
