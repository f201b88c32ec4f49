"""What a migration is going to do, told before it does it."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.flavours import known
from llm_gateway.parts import image
from llm_gateway.tasks.migration.move import Move


def lines(wanted: Move) -> Iterator[str]:
    """What is to come."""
    found, target = wanted.found, wanted.target
    if wanted.is_over:
        yield f"{wanted.source_name}'s gateway was moved here already; what is left are the hosts that use it"
        return
    who = "ours" if found.generated is not None else f"set up by hand (container {found.container})"
    yield f"to come: the gateway of {wanted.source_name} ({who}, {found.database}, {found.size >> 20} MiB) moves here"
    yield from _image(wanted)
    yield "  while it serves: this host is made ready, and the database is copied"
    yield (
        f"  then it is stopped, what has changed is copied, and it serves on {target.base_url}; if it does not,"
        f" {wanted.source_name} serves again, after {wanted.limit} s at most"
    )
    agents = ", ".join(agent.name for agent in wanted.agents)
    yield f"  then {agents or 'no OpenClaw host'} {'is' if len(wanted.agents) < 2 else 'are'} pointed at it"
    if found.strangers:
        yield f"  not taken along: {', '.join(found.strangers)} in {found.data} on {wanted.source_name}"


def _image(wanted: Move) -> Iterator[str]:
    """One API changes the schema of an older database when it starts, and reads a newer one as well as it may."""
    here, there = image.reference(wanted.target.settings), wanted.found.image
    if here == there:
        yield f"  with {here}, as there"
        return
    yield f"  with {here} ({there or 'it is not known what'} serves on {wanted.source_name})"
    flavour = wanted.target.flavour
    if there and flavour.arrival and known.of_image(there) is not flavour:
        yield f"  which is another software: before it serves, it is given {flavour.arrival.told}"
        return
    yield (
        "  those may be different versions, and an older one may fail on the data of a newer one. To move"
        f" first and change later, pin the image of {wanted.source_name} in the inventory"
        + (f' (gateway_image = "{there}")' if there and "@" not in there else "")
    )
