"""From one image to another, with no way that ends in a gateway which does not serve.

A backup; then the new image on a copy of the database, unpublished, while the gateway serves on; then, where it has
answered there, a short switch, which is taken back where the new image does not answer. One API migrates its schema
when it starts, with no way back: so an image that was not tried is shown nothing but a copy.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.hosts.undo import UndoError
from llm_gateway.model import layout
from llm_gateway.parts import arrival, database, image, installation, serving, tiktoken
from llm_gateway.parts.serving import Serving
from llm_gateway.tasks import backup, swap
from llm_gateway.tasks.swap import Staged, Swap, SwapError, Swapped
from llm_gateway.tasks.upgrades import carried, trial
from llm_gateway.tasks.upgrades.trial import TrialError

ROLLBACK = "pyinfra inventory.py deploys/rollback.py"
"""What goes back to the image before, also later."""

is_due = serving.is_upgrade


def carry_out(node: Node) -> None:
    """Make a gateway that serves with another image serve with the wanted one, or leave it as it is."""
    old = serving.serving(node)
    if old is None:
        return
    node.is_restarted = True
    installation.install_beside(node)
    image.fetch(node)
    tiktoken.place(node)
    _upgrade(name="Upgrade the gateway: the new image on a copy first, then the switch", node=node, old=old)


@operation()
def _upgrade(node: Node, old: Serving) -> Generator[FunctionCommand, None, None]:
    if not node.host.state.is_executing:
        remote.tell(
            node.host, f"to come: upgrade {old} -> {image.reference(node.settings)}, after a backup and a trial"
        )
        for line in _foreseen(node):
            remote.tell(node.host, line)
    yield remote.Callback(_run, (node, old), {})


def _foreseen(node: Node) -> list[str]:
    """What is to be said of its database, and what prevents it that can be seen there, also why nothing can be."""
    try:
        found, notes = arrival.problems(node), arrival.notes(node)
    except (database.DatabaseError, remote.RemoteError) as problem:
        found, notes = [str(problem)], []
    return [*notes, *(f"which will be refused as it is now: {problem}" for problem in found)]


def _run(state: State, host: Host, node: Node, old: Serving) -> bool:
    wanted = image.reference(node.settings)
    try:
        new, staged = _tried(node, old)
    except (backup.BackupError, TrialError, UndoError, database.DatabaseError, remote.RemoteError) as problem:
        did = "serves on, as it did all the time" if is_running(node) else "was left as it was"
        remote.complain(
            host, f"{old} {did}, and no file of it was changed; the upgrade to {wanted} was not made: {problem}"
        )
        return False
    purpose = "change" if new.identifier == old.identifier else "upgrade"
    wanted_swap = Swap(purpose, str(new), staged, images=(old, new), aside=swap.aside_name())
    if staged:
        wanted_swap = replace(wanted_swap, proofs=(carried.require_rows,))
    try:
        done = swap.carry_out(node, wanted_swap)
    except SwapError as problem:
        if staged:
            carried.discard(node)
        remote.complain(host, f"the {purpose} to {new} was taken back: {problem}")
        return False
    remote.tell(host, f"{new} serves: {done.proof}")
    told = f"from {old} to {new}{outage_words(done)}"
    is_file = isinstance(node.gateway.store, SQLiteStore)
    back = f"`{ROLLBACK}`" if is_file else "gateway_image as it was, and the backup from before restored"
    remote.tell(host, f"upgraded {told}. The way back: {back}" if purpose == "upgrade" else f"changed {told}")
    return True


def outage_words(done: Swapped) -> str:
    """What follows what was done: for how long nobody was served."""
    return "" if done.outage is None else f": nobody was served for {done.outage:.1f} s"


def _tried(node: Node, old: Serving) -> tuple[Serving, Staged | None]:
    """The new image, once it was tried on a copy of the data; and data that take the place of those, if they are to be
    of another software. Raises as its steps do.
    """
    host, wanted = node.host, image.reference(node.settings)
    swap.settle(node)
    if problems := arrival.problems(node):
        raise TrialError("; ".join(problems))
    arriving, staged = carried.look(node), None
    archive = make_backup(node, f"before the upgrade to {wanted}")
    with trial.unpublished(node, old, f"trial of {wanted} on {node.name}"):
        new = Serving(trial.load(node, old), wanted)
        if new.identifier == old.identifier:
            step(host, f"{wanted} is the very image that serves: no trial is needed")
        else:
            trial.run(node, new, archive, arriving)
            if arriving:
                staged = carried.stage(node, arriving)
    return new, staged


def is_running(node: Node) -> bool:
    """Whether a gateway ran when its host was read."""
    return bool((node.state.container or {}).get("State", {}).get("Running"))


def make_backup(node: Node, reason: str) -> str:
    """Have the host make a backup. Returns its path there. Raises BackupError."""
    step(node.host, "making a backup")
    path = f"{node.directory}/{layout.BACKUPS}/{backup.make(node, reason).file}"
    remote.tell(node.host, f"a backup: {path}")
    return path
