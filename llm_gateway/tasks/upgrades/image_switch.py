"""The short time in which a gateway goes from one image to another: it serves with the new one, or with the old again.

What is replaced is kept beside it first (`switching/`): the files, the image's ID, and the data as they were when the
gateway had stopped. The way back is left on the host before anything is stopped (`hosts.undo`), so that it is
taken also where this run is killed, its connection breaks, or the host loses its power.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.asking import VerificationError
from llm_gateway.model.layout import PROJECT, UNIT, Role
from llm_gateway.parts import first_start, installation, service, serving
from llm_gateway.parts.serving import Serving
from llm_gateway.parts.takeover import old_schema
from llm_gateway.proof import proof

_HERE = Path(__file__).parent
_COPY_BYTES_PER_SECOND = 20e6
"""What a slow disk manages."""
_MOST_ENDS = 3
_RETRY_SECONDS = 0.5


class SwitchError(Exception):
    """The gateway does not serve with the other image; the text says what it does instead."""


@dataclass(frozen=True)
class Switch:
    """From one image to another.

    `purpose`: "upgrade", "rollback", or "change" of the image's name alone. `place` puts files (and data) in place
    while the gateway is stopped. `aside`: the name below `backups/` for a database whose schema one image has changed
    and the other is not to have. `holds` looks at what else must be so before there is no way back; it raises as
    `carry_out` does, or VerificationError.
    """

    purpose: str
    old: Serving
    new: Serving
    place: Callable[[], None]
    aside: str = field(default_factory=lambda: f"other-image-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    holds: Callable[[], None] = lambda: None


def carry_out(node: Node, switch: Switch) -> float:
    """Serve with the other image. Returns for how many seconds nobody was served.

    Raises SwitchError, RemoteError or UndoError once the old image has been given its place back.
    """
    what = f"{switch.purpose} of {node.name} to {switch.new.reference}"
    way_back = _undo_script(node, switch, _look(node))
    with undo.undoable(node.host, what, way_back, _most_seconds(node)):
        seconds = _switched(node, switch)
    try:
        settle(node)
    except remote.RemoteError as problem:
        remote.complain(node.host, f"the switch is made, and what it kept is put in its place by the next: {problem}")
    return seconds


def _most_seconds(node: Node) -> float:
    """How long it may take, on a slow disk and with models that hang."""
    size = node.state.database_size or 0
    return 300 + 4 * size / _COPY_BYTES_PER_SECOND + node.settings.gateway_start_timeout + proof.longest(node)


def _switched(node: Node, switch: Switch) -> float:
    host = node.host
    step(host, f"switch: keeping the files and the image of {switch.old}")
    remote.run(host, script("switch_keep.sh", **_values(node, switch), **_origin(switch)))
    step(host, "switch: stopping the gateway and keeping its data")
    began = time.monotonic()
    remote.run(host, script("switch_stop.sh", **_values(node, switch)))
    step(host, f"switch: putting the files for {switch.new} in place")
    switch.place()
    if "@" not in switch.new.reference:
        remote.run(host, f"docker image tag {switch.new.identifier} {shlex.quote(switch.new.reference)}")
    if old_schema.missing(node.gateway.store):
        step(host, "switch: bringing the database of an older version to the new schema, out of everybody's reach")
        try:
            first_start.make_safe(host, node)
        except first_start.FAILURES as problem:
            raise SwitchError(str(problem)) from None
    step(host, f"switch: starting {switch.new}")
    remote.run(host, f"systemctl daemon-reload && systemctl reenable --quiet {UNIT} && systemctl start {UNIT}")
    _await(node)
    seconds = time.monotonic() - began
    step(host, "switch: asking the gateway for a completion and an embedding")
    try:
        told = proof.prove(node, node.address, node.settings.gateway_port)
    except proof.ProofError as problem:
        raise SwitchError(f"{problem}. Its log:\n{_last_words(node)}") from None
    remote.tell(host, f"{switch.new} serves: {told}")
    try:
        switch.holds()
    except VerificationError as problem:
        raise SwitchError(str(problem)) from None
    step(host, "switch: the image serves, removing the undo")
    return seconds


def _await(node: Node) -> None:
    """Wait until it answers; not to the end of its time if the container keeps exiting."""
    deadline = time.monotonic() + node.settings.gateway_start_timeout
    while problem := service.await_answer(node.host, node.address, node.settings.gateway_port, _RETRY_SECONDS):
        restarts = remote.run(node.host, f"systemctl show {UNIT} -p NRestarts --value")
        if int(restarts[-1] or 0) >= _MOST_ENDS:
            raise SwitchError(f"the container keeps exiting. Its log:\n{_last_words(node)}")
        if time.monotonic() > deadline:
            raise SwitchError(
                f"it did not answer within {node.settings.gateway_start_timeout} s (gateway_start_timeout):"
                f" {problem.partition(': ')[2]}. Its log:\n{_last_words(node)}"
            )


def _last_words(node: Node) -> str:
    return "\n".join(remote.run(node.host, f"docker logs --tail 12 {PROJECT} 2>&1 || true"))


def _look(node: Node) -> dict[str, str]:
    """Whether the gateway runs just now, and whether it starts at boot. Raises RemoteError."""
    lines = remote.run(node.host, script("switch_look.sh", PROJECT=PROJECT, UNIT=UNIT))
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _undo_script(node: Node, switch: Switch, found: Mapping[str, str]) -> str:
    return schema_functions() + script("switch_undo.sh", **_values(node, switch), ASIDE=switch.aside, **found)


def _values(node: Node, switch: Switch) -> Mapping[str, str]:
    return {
        "DIRECTORY": node.directory,
        "UNIT": UNIT,
        "OLD": switch.old.identifier,
        "REFERENCE": switch.old.reference,
        "FILES": " ".join(_kept_paths(node.directory)),
    }


def _kept_paths(directory: str) -> list[str]:
    """The files by which the gateway runs, and those that belong to its data."""
    return [*installation.service_paths(directory), *layout.paths(Role.KEYS, directory)]


def _origin(switch: Switch) -> Mapping[str, str]:
    return {
        "PURPOSE": switch.purpose,
        "KEPT": serving.kept_tag(switch.old.identifier),
        "NEW": str(switch.new),
        "SWITCHED_AT": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def settle(node: Node) -> None:
    """Give what a switch kept its place, also where the run that switched did not come to it. Raises RemoteError."""
    names = {"KEPT_NAME": layout.PREVIOUS_IMAGE, "NEXT_NAME": layout.NEXT_IMAGE}
    remote.run(node.host, script("switch_settle.sh", PROJECT=PROJECT, DIRECTORY=node.directory, **names))


def schema_functions() -> str:
    """Shell functions that tell one schema from another."""
    return (_HERE / "schema.sh").read_text(encoding="utf-8")


def script(name: str, **values: str) -> str:
    """A script of this package with its variables before it."""
    assignments = "".join(f"{variable}={shlex.quote(value)}\n" for variable, value in values.items())
    return assignments + (_HERE / name).read_text(encoding="utf-8")
