"""The gateway software that a deployment knows."""

from __future__ import annotations

from llm_gateway.flavours.flavour import Flavour
from llm_gateway.flavours.oneapi import budgets, usage, versions
from llm_gateway.flavours.oneapi.admin import AdminClient

ONE_API = Flavour(
    name="One API",
    admin=AdminClient,
    version_of=versions.version_of,
    usage_log=usage.LOG,
    token_table=budgets.TABLE,
)


def of_image(image: str | None) -> Flavour:
    """The software in an image, by the name of its repository."""
    return ONE_API
