"""Which image a gateway serves with, and whether another one is wanted.

An image is what its ID says: a registry's tag may move, an archive may hold other bytes under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_gateway.hosts.topology import Node
from llm_gateway.model.layout import FIRST_START_DONE, PREVIOUS_IMAGE
from llm_gateway.parts import image


@dataclass(frozen=True)
class Serving:
    """An image that serves: its ID on the host ("sha256:…"), and its name as the compose file has it."""

    identifier: str
    reference: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.reference} ({short(self.identifier)})"


def short(identifier: str) -> str:
    """The twelve digits by which Docker shows an image ID."""
    return identifier.removeprefix("sha256:")[:12]


def kept_tag(identifier: str) -> str:
    """The tag that keeps an image on the host whatever becomes of its own."""
    return f"{PREVIOUS_IMAGE}:{short(identifier)}"


def serving(node: Node) -> Serving | None:
    """The image that a gateway which is set up serves with; None where there is none yet.

    A gateway that somebody has set up by hand is not ours before its first start, and goes the way of that.
    """
    if node.state.file(f"{node.directory}/{FIRST_START_DONE}") is None:
        return None
    if container := node.state.container:
        return Serving(container["Image"], container["Config"]["Image"])
    identifier, _, reference = node.state.composed_image.partition(" ")
    return Serving(identifier, reference) if reference else None


def is_upgrade(node: Node) -> bool:
    """Whether a gateway serves with another image than the wanted one.

    Where that can only be known once the image was pulled, it is taken to be another one.
    """
    found = serving(node)
    if found is None:
        return False
    if path := node.settings.gateway_image_archive:
        return found.identifier not in image.read_archive(path).identifiers
    present = node.state.image
    return present is None or not image.is_present(node) or present[0] != found.identifier
