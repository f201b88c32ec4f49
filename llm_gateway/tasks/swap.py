"""Others in the place of a gateway's data, image or both: wholly, and proven by a real completion, or not at all.

What the host had is kept beside it (`switching/`) until the new has proven itself. Until then every failure puts it
back: by this run, or by the host itself where the run was killed, its connection lost, or the power gone
(`hosts.undo`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from llm_gateway.flavours import Token
from llm_gateway.hosts import remote, tables, undo
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Generated
from llm_gateway.model import layout
from llm_gateway.model.asking import VerificationError
from llm_gateway.model.layout import PROJECT, UNIT, Role
from llm_gateway.model.shell import program
from llm_gateway.parts import arrival, first_start, installation, service, serving
from llm_gateway.parts.backups.scheduled_backups import BACKUPS
from llm_gateway.parts.serving import Serving
from llm_gateway.parts.takeover import old_schema
from llm_gateway.proof import proof

_PROGRAM = Path(__file__).with_name("swap.sh")
_SLACK_SECONDS = 300.0
"""What all that has no bound of its own may take together."""
_COPY_BYTES_PER_SECOND = 20e6
"""What a slow disk manages."""
_MOST_EXITS = 3
"""How often the container may end before the new is given up."""


class SwapError(Exception):
    """The new does not serve; the text says why. What was there before is put back."""


@dataclass(frozen=True)
class Staged:
    """What lies in `incoming` on the host, checked: `one-api.db`, and beside it what belongs to it.

    Args:
        counts: the number of rows by table.
        generated: the secrets that belong to it, `incoming/secrets.env`; None where it comes without, and gets those
            of the host. Only with them can there be an `incoming/first-start-done` and an `applied-keys.json`.
        record: what is known of its contents, `incoming/applied-keys.json`.
        is_secured: whether it was safe to publish, `incoming/first-start-done`; else it goes through a first start.
        catch_up: brings it to what the gateway was left with, once that is stopped. Raises as `first_start.make_safe`.
    """

    counts: Mapping[str, int]
    generated: Generated | None = field(default=None, repr=False)
    record: Record = field(default_factory=lambda: Record(is_lost=True))
    is_secured: bool = False
    catch_up: Callable[[], None] | None = None


@dataclass(frozen=True)
class Swap:
    """What takes the place of what, and what has to hold before there is no way back.

    Args:
        purpose: "restore", "migration", "upgrade", "rollback", or "change" of the image's name alone; every step is
            told under it, and what was kept finds its place by it.
        source: what comes, in words: "gateway-20261122T101100Z.tar.gz", "one-api:v2 (1234567890ab)".
        data: what is staged; None where the data stay.
        images: the one that serves and the one that is to; None where it stays.
        aside: the name below `backups/` for data that the new one has used, where the old ones are given back.
        prove: asks the new one what its users ask it. Returns what it answered, in words.
        proofs: what has to hold besides. Each raises as `prove` does: SwapError, VerificationError, RemoteError, ….
    """

    purpose: str
    source: str
    data: Staged | None = None
    images: tuple[Serving, Serving] | None = None
    aside: str = ""
    prove: Callable[[Node], str] | None = None
    proofs: Sequence[Callable[[Node], None]] = ()

    @property
    def old(self) -> str:
        """What was there, in words."""
        return str(self.images[0]) if self.images else "the gateway that was there"


@dataclass(frozen=True)
class Swapped:
    """How it went: seconds without a gateway that answers (None: there was none before), what the new one answered, and
    where on the host replaced data are kept (None: there were none, or they stay)."""

    outage: float | None
    proof: str
    kept: str | None


_FAILURES = (SwapError, undo.UndoError, *first_start.FAILURES, proof.ProofError, VerificationError)


def staging_directory(node: Node) -> str:
    """Where data have to be staged on the host (mode 700)."""
    return f"{node.directory}/{layout.INCOMING}"


def aside_name() -> str:
    """A name for data that a switch to another image sets aside, by which a restore knows them."""
    return f"other-image-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def carry_out(node: Node, swap: Swap) -> Swapped:
    """Have the gateway serve with what is described. A new image and the tiktoken files are on the host already.

    Raises SwapError: what was there before serves again, or is about to, by the host's own doing; that was told.
    """
    gateway = node.gateway
    before = gateway.generated, gateway.record, dict(gateway.token_keys), set(gateway.changed_channels)
    found = _look(node)
    way_back = host_program(node, "undo", swap, **found)
    try:
        with undo.undoable(node.host, f"the {swap.purpose} of {node.name}", way_back, _longest(node)):
            outage = _replace(node, swap)
            answered = _prove(node, swap)
    except _FAILURES as problem:
        gateway.generated, gateway.record, keys, channels = before
        gateway.token_keys.clear()  # a copy of the gateway may share these
        gateway.token_keys.update(keys)
        gateway.changed_channels.clear()
        gateway.changed_channels.update(channels)
        _tell_what_serves(node, swap, was_active=found["was_active"] == "yes")
        raise SwapError(str(problem)) from None
    step(node.host, f"{swap.purpose}: keeping what was replaced")
    kept = None
    try:
        kept = settle(node)
        remote.run(node.host, host_program(node, "discard_images"))
    except remote.RemoteError as problem:
        remote.complain(node.host, f"it serves, and the next run tidies up what it has replaced: {problem}")
    return Swapped(outage if found["was_active"] == "yes" else None, answered, kept)


def settle(node: Node) -> str | None:
    """Give what a swap has kept its place, also where its run did not come to it.

    Returns the directory among the backups that replaced data are in; None where there are none. Raises RemoteError.
    """
    lines = remote.run(node.host, host_program(node, "settle"))
    return next((line.removeprefix("kept=") for line in lines if line.startswith("kept=")), None)


def ask(node: Node, purpose: str, tokens: Sequence[Token] | None = None) -> str:
    """Ask the gateway for what its users ask it; parameters and result as of `proof.prove`. Raises ProofError."""
    step(node.host, f"{purpose}: asking for a completion and an embedding")
    return proof.prove(node, node.address, node.settings.gateway_port, tokens)


def host_program(node: Node, function: str, swap: Swap | None = None, **found: str) -> str:
    """The program of the host, to run one of its functions."""
    values = {
        "directory": node.directory,
        "project": PROJECT,
        "service": store.service if isinstance(store := node.gateway.store, PostgreSQLStore) else "",
        "claim": layout.CLAIM_TABLE,
        "unit": UNIT,
        "timer": BACKUPS.timer,
        "own_backups": installation.OWN_BACKUPS.read_text(encoding="utf-8"),
        "files": " ".join(kept_paths(node.directory)),
        "belongings": " ".join(layout.names(Role.DISPLACED)),
        "half_ends": " ".join(layout.HALF_FILES),
        "half_placed": " ".join(layout.HALF_PLACED),
        "kept_name": layout.PREVIOUS_IMAGE,
        "next_name": layout.NEXT_IMAGE,
        **(_described(swap) if swap else {}),
        **found,
    }
    return program(values, _PROGRAM, call=function)


def kept_paths(directory: str) -> list[str]:
    """The files by which the gateway runs, those that a run writes with them, and those that belong to its data."""
    written = (f"{directory}/{name}" for name in (layout.OWN_DATA, layout.TAILSCALE_PROBLEM))
    return [*layout.paths(Role.RESTARTS, directory), *written, *layout.paths(Role.DISPLACED, directory)]


def _described(swap: Swap) -> Mapping[str, str]:
    old, new = swap.images or (Serving("", ""), Serving("", ""))
    return {
        "purpose": swap.purpose,
        "source": swap.source,
        "aside": swap.aside,
        "replaces": "yes" if swap.data else "no",
        "old_id": old.identifier,
        "old_name": old.reference,
        "new_id": new.identifier,
        "new_name": new.reference,
        "kept_tag": serving.kept_tag(old.identifier),
    }


def _longest(node: Node) -> float:
    """How many seconds it may take, on a slow disk and with models that hang, until the host undoes it by itself."""
    copying = 4 * (node.state.database_size or 0) / _COPY_BYTES_PER_SECOND
    return 2 * node.settings.gateway_start_timeout + proof.longest(node) + copying + _SLACK_SECONDS


def _look(node: Node) -> dict[str, str]:
    """How the gateway is just now: `was_active` and `was_enabled`, each "yes" or "no". Raises SwapError."""
    try:
        if busy := undo.is_pending(node.host):
            raise SwapError(f"{busy}: run again when it has ended")
        lines = remote.run(node.host, host_program(node, "look"))
        return dict(line.split("=", 1) for line in lines if line.startswith("was_"))
    except remote.RemoteError as problem:
        raise SwapError(f"the gateway cannot be looked at: {problem}") from None


def _replace(node: Node, swap: Swap) -> float:
    """From the old gateway to one that answers. Returns the seconds between. Raises as `carry_out` catches it."""
    host, gateway, data = node.host, node.gateway, swap.data

    def on_host(what: str, function: str, **values: str) -> None:
        step(host, f"{swap.purpose}: {what}")
        remote.run(host, host_program(node, function, swap, **values))

    on_host("keeping what is replaced", "keep")
    is_safe = _is_safe(node, data)
    stopped = time.monotonic()
    on_host("stopping the gateway", "stop")
    if data and data.catch_up:
        data.catch_up()
    on_host(f"putting {swap.source} in its place", "place", is_safe="yes" if is_safe else "no")
    step(host, f"{swap.purpose}: writing the gateway's files")
    if data:
        gateway.generated, gateway.record = data.generated or gateway.generated, data.record
    node.is_restarted = True
    for file in installation.differing_files(node):
        file.write_now(host)
    if not is_safe:
        step(host, f"{swap.purpose}: starting it out of everybody's reach, to make it safe to publish")
        first_start.make_safe(host, node)
    on_host("starting the gateway", "start")
    if problem := service.await_published(node, _MOST_EXITS):
        raise SwapError(problem)
    return time.monotonic() - stopped


def _is_safe(node: Node, data: Staged | None) -> bool:
    """Whether nobody but its users gets anything of what comes as soon as it starts. Raises DatabaseError, RemoteError.

    One of an older version takes two starts, one of another software is brought to this: nobody is to see that.
    """
    if data and data.catch_up:
        return data.is_secured  # by what that does
    is_secured = data is None or data.is_secured
    if isinstance(node.gateway.store, PostgreSQLStore):
        return is_secured  # there was no version of those without, and no other software
    store = SQLiteStore(node.host, f"{staging_directory(node)}/{layout.DATABASE}") if data else node.gateway.file
    return is_secured and not old_schema.missing(store) and arrival.due(node, store) is None


def _prove(node: Node, swap: Swap) -> str:
    """All that has to hold does. Returns what the models answered. Raises as `carry_out` catches it."""
    if swap.data:
        step(node.host, f"{swap.purpose}: comparing the numbers of rows")
        if lost := tables.lost(swap.data.counts, node.gateway.store.counts()):
            raise SwapError(f"rows of {swap.source} are missing from the started gateway: {'; '.join(lost)}")
    try:
        answered = swap.prove(node) if swap.prove else ask(node, swap.purpose)
    except proof.ProofError as problem:
        raise SwapError(f"{problem}. {service.last_words(node.host)}") from None
    for holds in swap.proofs:
        holds(node)
    return answered


def _tell_what_serves(node: Node, swap: Swap, *, was_active: bool) -> None:
    """Once it was undone: where the data are that the new one has used, and whether the old one serves again."""
    host, settings = node.host, node.settings
    try:
        aside = f"{node.directory}/{layout.BACKUPS}/{swap.aside}"
        if swap.aside and remote.run(host, f"[ ! -d {shlex.quote(aside)} ] || echo kept"):
            changed = "" if swap.data else f"{swap.source} had changed the database's schema, so "
            remote.tell(host, f"{changed}the data from before are back; what it made of them is kept in {aside}")
        if not was_active:
            remote.tell(host, "no gateway runs there, as before")
            return
        address, port = node.state.published
        address, port = address or node.address, port or str(settings.gateway_port)
        problem = service.await_answer(host, address, int(port), settings.gateway_start_timeout)
    except remote.RemoteError as lost:
        remote.complain(host, f"whether {swap.old} serves again cannot be seen: {lost}")
        return
    if problem:
        remote.complain(host, f"{swap.old} does not answer yet: {problem}. `systemctl status {PROJECT}`")
    else:
        remote.tell(host, f"{swap.old} serves again, with all that it had")
