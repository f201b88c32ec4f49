"""From one image to another, with no way that ends in a gateway which does not serve.

A backup; then the new image on a copy of the database, unpublished, while the gateway serves on; then, where it has
answered there, a short switch, which is taken back where the new image does not answer. One API migrates its schema
when it starts, with no way back: so an image that was not tried is shown nothing but a copy.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.hosts.undo import UndoError
from llm_gateway.model import layout
from llm_gateway.parts import image, installation, service, serving, tiktoken
from llm_gateway.parts.serving import Serving
from llm_gateway.tasks import backup
from llm_gateway.tasks.upgrades import image_switch, trial
from llm_gateway.tasks.upgrades.image_switch import Switch, SwitchError
from llm_gateway.tasks.upgrades.trial import TrialError

ROLLBACK = "pyinfra inventory.py deploys/rollback.py"
"""What goes back to the image before, also later."""

is_due = serving.is_upgrade


def carry_out(node: Node) -> None:
    """Make a gateway that serves with another image serve with the wanted one, or leave it as it is."""
    old = serving.serving(node)
    if old is None:
        return
    node.is_republished = True
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
    yield remote.Callback(_run, (node, old), {})


def _run(state: State, host: Host, node: Node, old: Serving) -> bool:
    wanted = image.reference(node.settings)
    try:
        new = _tried(node, old)
    except (backup.BackupError, TrialError, UndoError, remote.RemoteError) as problem:
        did = "serves on, as it did all the time" if is_running(node) else "was left as it was"
        remote.complain(
            host, f"{old} {did}, and no file of it was changed; the upgrade to {wanted} was not made: {problem}"
        )
        return False
    purpose = "change" if new.identifier == old.identifier else "upgrade"
    switch = Switch(purpose, old, new, lambda: place_files(node))
    try:
        seconds = image_switch.carry_out(node, switch)
    except (SwitchError, UndoError, remote.RemoteError) as problem:
        remote.complain(host, f"the {purpose} to {new} was taken back: {problem}")
        tell_what_serves(node, switch)
        return False
    told = f"from {old} to {new}: nobody was served for {seconds:.1f} s"
    remote.tell(host, f"upgraded {told}. The way back: `{ROLLBACK}`" if purpose == "upgrade" else f"changed {told}")
    return True


def _tried(node: Node, old: Serving) -> Serving:
    """The new image, once it was tried on a copy of the data. Raises as its steps do."""
    host, wanted = node.host, image.reference(node.settings)
    image_switch.settle(node)
    archive = make_backup(node, f"before the upgrade to {wanted}")
    with trial.unpublished(node, old, f"trial of {wanted} on {node.name}"):
        new = Serving(trial.load(node, old), wanted)
        if new.identifier == old.identifier:
            step(host, f"{wanted} is the very image that serves: no trial is needed")
        else:
            trial.run(node, new, archive)
    return new


def is_running(node: Node) -> bool:
    """Whether a gateway ran when its host was read."""
    return bool((node.state.container or {}).get("State", {}).get("Running"))


def make_backup(node: Node, reason: str) -> str:
    """Have the host make a backup. Returns its path there. Raises BackupError."""
    step(node.host, "making a backup")
    path = f"{node.directory}/{layout.BACKUPS}/{backup.make(node, reason).file}"
    remote.tell(node.host, f"a backup: {path}")
    return path


def place_files(node: Node) -> None:
    """Put the files in place by which the gateway is to run. Raises RemoteError."""
    paths = installation.service_paths(node.directory)
    for file in installation.differing_files(node):
        if file.path in paths:
            file.write_now(node.host)


def tell_what_serves(node: Node, switch: Switch) -> None:
    """After a switch that was taken back: whether the old image answers, and where the other one's database is."""
    host = node.host
    aside = f"{node.directory}/{layout.BACKUPS}/{switch.aside}"
    try:
        if remote.run(host, f"[ ! -d {shlex.quote(aside)} ] || echo kept"):
            remote.tell(
                host,
                f"{switch.new} had changed the database's schema, so the data from before the switch are back; what"
                f" it made of them is kept in {aside}",
            )
        if not is_running(node) and node.state.gateway_unit.get("ActiveState") == "inactive":
            remote.tell(host, "the gateway is stopped, as it was before")
            return
        address, port = node.state.published
        if not port:
            return
        problem = service.await_answer(host, address, int(port), node.settings.gateway_start_timeout)
    except remote.RemoteError as lost:
        remote.complain(host, f"whether {switch.old} serves again cannot be seen: {lost}")
        return
    if problem:
        remote.complain(host, f"{switch.old} does not answer yet: {problem}. `systemctl status {layout.PROJECT}`")
    else:
        remote.tell(host, f"{switch.old} serves again")
