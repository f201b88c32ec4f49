"""Back to the image that served before the last upgrade, on request.

The same way as forward: a backup, a trial on a copy, a short switch that is taken back where it fails. The data stay as
they are where the newer image has left the schema as it was. Where it has changed it, the data of the day of the
upgrade come back, and what was written since is lost to the gateway: only where that is asked for.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.flavours import known
from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.hosts.undo import UndoError
from llm_gateway.inputs import run_options
from llm_gateway.inputs.secrets import Generated, SecretsError
from llm_gateway.model import layout
from llm_gateway.parts import database, migration_marker, postgresql, serving
from llm_gateway.parts.serving import Serving
from llm_gateway.proof import agent_path
from llm_gateway.tasks import backup, preflight, survey, swap
from llm_gateway.tasks.swap import Staged, Swap, SwapError
from llm_gateway.tasks.upgrades import rollback_tokens, trial, upgrade
from llm_gateway.tasks.upgrades.trial import TrialError

OPTIONS = {"yes": "the hosts, by a comma list, that may lose what was written since the upgrade"}


class RollbackError(Exception):
    """There is nothing to go back to; the text says why and what fixes it."""


@dataclass(frozen=True)
class Kept:
    """What a gateway can go back to.

    `place`: its directory on the host; `since`: when it was left, in words; `is_there`: whether the host still has the
    image; `is_other`: whether the data have another schema now.
    """

    place: str
    image: Serving
    since: str
    is_there: bool
    is_other: bool


def machine_to_roll_back(state: State, host: Host) -> Machine:
    """The machine for a host of this run. Raises DeployError with all problems of all hosts."""
    run_options.read(state, OPTIONS)  # a mistyped one is told before anything else
    return survey.machine_for(state, host, PURPOSE)


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents going back on one host."""
    if busy := machine.state.busy:
        yield preflight.busy_problem(busy)
        return
    if found := [*preflight.verification_problems(machine), *migration_marker.problems(machine)]:
        yield from found
        return
    if user := user_on(machine):
        yield from preflight.openclaw_problems(user)
    if (node := machine.node) is None:
        return
    way = "set gateway_image back, deploy, and restore the backup from before the upgrade"
    if refused := [*postgresql.not_yet(node, "going back", way)]:
        yield from refused
        return
    try:
        kept = look(node)
        if kept.is_other and node.name not in _may_lose(node.host.state):
            yield _loss(node, kept)
    except (RollbackError, remote.RemoteError, tables.TablesError) as problem:
        yield str(problem)


PURPOSE = survey.Purpose((preflight.group_problems,), (_problems,), lock=True)


def user_on(machine: Machine) -> Agent | None:
    """The OpenClaw on this host, if a gateway of its is one of this run."""
    return machine.agent if machine.agent and any(node.is_reached for node in machine.agent.nodes) else None


def roll_back(machine: Machine) -> None:
    """Have a gateway serve with the image before, or leave it as it is; on other hosts, wait until that is done.

    Raises DeployError.
    """
    kept = None
    if node := machine.node:
        try:
            kept = look(node)
        except (RollbackError, remote.RemoteError) as problem:
            raise DeployError(f"{node.name}: {problem}; nothing was changed") from None
        node.is_restarted = True
    _roll_back(name="Go back to the image that served before the upgrade", node=node, kept=kept)


def look(node: Node) -> Kept:
    """What there is to go back to. Raises RollbackError where there is nothing, and RemoteError."""
    found = remote.run(node.host, swap.host_program(node, "look_back"))
    if not found:
        raise RollbackError(
            f"there is nothing to go back to: {node.directory}/previous is made by an upgrade and used"
            " up by a rollback. Another image is served after a change of gateway_image: deploy.py"
        )
    place, identifier, reference, _, since, is_there, is_other = (line.strip() for line in found[:7])
    kept = Kept(
        f"{node.directory}/{place}", Serving(identifier, reference), since, is_there == "there", is_other == "other"
    )
    newer = serving.serving(node)
    if newer is None:
        raise RollbackError("no image serves there that one could go back from: run deploy.py")
    if newer.identifier == kept.image.identifier:
        raise RollbackError(
            f"there is nothing to go back to: {newer} serves already, and {kept.place} is what was kept of it at"
            f" {kept.since}. Data are brought back by deploys/restore.py"
        )
    if not kept.is_there:
        raise RollbackError(
            f"the image {kept.image} is not on the host any more: pin it in the inventory"
            f" (gateway_image) and run deploy.py, which gets it; the data of {since} are in {kept.place}/{layout.DATA}"
        )
    return kept


def _may_lose(state: State) -> list[str]:
    return [name.strip() for name in run_options.read(state, OPTIONS).get("yes", "").split(",")]


def _loss(node: Node, kept: Kept) -> str:
    now = node.gateway.store.read()
    then = SQLiteStore(node.host, layout.database(kept.place)).read()
    left = rollback_tokens.unreached(node.gateway)
    stranded = f". Not in this run: {', '.join(left)}, which may be left without a token that works" if left else ""
    newer = serving.serving(node)
    in_place = ""
    if newer and known.of_image(newer.reference) is not known.of_image(kept.image.reference):
        in_place = (
            f" To keep that, set gateway_image to {kept.image.reference} and run deploy.py: it goes back in place."
        )
    return (
        f"the newer image has changed the database's schema, so the data of {kept.since} would come back, with the keys"
        f" of that day, and what was written since would be lost to the gateway: {lost(now, then)}. A backup keeps"
        f" it{stranded}.{in_place} If that is meant, run again with --data yes={node.name}"
    )


def lost(now: Mapping[str, tables.Table], then: Mapping[str, tables.Table]) -> str:
    """What is in one database and not in an older one, as far as numbers and checksums tell: in words.

    A row that has replaced another is seen in the checksum alone.
    """
    more = {name: table.count - (then[name].count if name in then else 0) for name, table in now.items()}
    counted = [f"{count} of {name}" for name, count in more.items() if count > 0]
    changed = [name for name, table in now.items() if name in then and more[name] <= 0 and table != then[name]]
    told = [
        *([f"at least these rows: {', '.join(counted)}"] if counted else []),
        *([f"rows or columns of {', '.join(changed)}, which are not the same"] if changed else []),
    ]
    return "; and ".join(told) or "nothing that is seen"


@operation()
def _roll_back(node: Node | None, kept: Kept | None) -> Generator[FunctionCommand, None, None]:
    if node is None or kept is None:
        return
    if not node.host.state.is_executing:
        data = f"with the data and the keys of {kept.since}" if kept.is_other else "with the data as they are"
        remote.tell(node.host, f"to come: back to {kept.image}, {data}, after a backup and a trial")
    yield remote.Callback(_run, (node, kept), {})


def _run(state: State, host: Host, node: Node, kept: Kept) -> bool:
    newer = serving.serving(node)
    if newer is None:
        remote.complain(host, "no image serves there that one could go back from: run deploy.py")
        return False
    before, newer_generated = as_before(node, kept), node.gateway.generated
    # Where it is taken back, these are what the agents go on with.
    node.gateway.token_keys.update(newer_keys := rollback_tokens.present(node.gateway))
    data = None
    try:
        swap.settle(node)
        kept = look(node)  # which has its place now, if a run was cut off
        made = upgrade.make_backup(node, f"before the rollback to {kept.image.reference}")
        if kept.is_other:
            before.gateway.generated = _generated(node)
        with trial.unpublished(node, newer, f"trial of {kept.image.reference} on {node.name}"):
            trial.run(before, kept.image, f"{kept.place}/{layout.DATA}" if kept.is_other else made)
        if kept.is_other:
            data = _stage(node, before)
    except _FAILURES as problem:
        did = "serves on, as it did all the time" if upgrade.is_running(node) else "was left as it was"
        remote.complain(host, f"{newer} {did}; there was no rollback: {problem}")
        return False
    agents = agent_path.served_by(node.gateway, node.address, node.settings.gateway_port)
    wanted = Swap(
        "rollback",
        str(kept.image),
        data=data,
        images=(newer, kept.image),
        aside=swap.aside_name(),
        proofs=(lambda _: _serve_agents(node, before, agents),),
    )
    try:
        done = swap.carry_out(before, wanted)
    except SwapError as problem:
        node.gateway.generated = newer_generated
        remote.complain(host, f"the rollback to {kept.image} was taken back: {problem}")
        return False
    remote.tell(host, f"back from {newer} to {kept.image}{upgrade.outage_words(done)}. {_pin(node, kept)}")
    if kept.is_other:
        aside = f"{node.directory}/{layout.BACKUPS}/{wanted.aside}"
        remote.tell(host, f"the newer data are kept in {aside}, and in {made}")
        rollback_tokens.tell_older_keys(node.gateway, newer_keys)
    return True


_FAILURES = (
    backup.BackupError,
    RollbackError,
    SecretsError,
    TrialError,
    UndoError,
    database.DatabaseError,
    remote.RemoteError,
    tables.TablesError,
)


def _stage(node: Node, before: Node) -> Staged:
    """Lay out the data of the day of the upgrade, with the keys of theirs. Raises RemoteError, TablesError."""
    step(node.host, "rollback: laying the older data out beside those that serve")
    try:
        remote.run(node.host, swap.host_program(node, "stage_previous"))
        counts = SQLiteStore(node.host, f"{swap.staging_directory(node)}/{layout.DATABASE}").counts()
    except (remote.RemoteError, tables.TablesError):
        with suppress(remote.RemoteError):  # the disk may be full of it
            remote.run(node.host, swap.host_program(node, "discard_staged"))
        raise
    return Staged(counts, before.gateway.generated, is_secured=True)


def _serve_agents(node: Node, before: Node, agents: Sequence[Agent]) -> None:
    """See that those whom the newer image serves are served by the older one, with the keys of its data."""
    node.gateway.generated = before.gateway.generated
    if not rollback_tokens.learn(node.gateway, before.gateway):
        raise SwapError("its agents could not be given their tokens")
    step(node.host, f"rollback: asking from {len(agents)} OpenClaw hosts that are served now")
    agent_path.prove_all(node.gateway, agents)


def as_before(node: Node, kept: Kept) -> Node:
    """The node as if the image before were the one that its settings want."""
    before = copy.copy(node)
    before.machine, before.gateway = copy.copy(node.machine), copy.copy(node.gateway)
    before.gateway.nodes = [before]
    name, _, digest = kept.image.reference.partition("@")
    archive = None if digest else node.settings.gateway_image_archive
    before.machine.settings = replace(
        node.settings, gateway_image=name, gateway_image_digest=digest or None, gateway_image_archive=archive
    )
    return before


def _generated(node: Node) -> Generated:
    """The secrets that belong to the older data. Raises SecretsError, RemoteError."""
    path = shlex.quote(f"{node.directory}/{layout.PREVIOUS}/files/{layout.SECRETS}")
    return Generated.read("\n".join(remote.run(node.host, f"cat {path}")))


def _pin(node: Node, kept: Kept) -> str:
    if node.settings.gateway_image_archive:
        return (
            f"Before the next deploy.py, set gateway_image to {kept.image.reference} and gateway_image_archive to an"
            f" archive of it (image {serving.short(kept.image.identifier)}), or it upgrades again"
        )
    return f"Before the next deploy.py, pin it in the inventory: {pinned(kept.image)}; or it upgrades again"


def pinned(image: Serving) -> str:
    """The settings that make an image the wanted one."""
    name, _, digest = image.reference.partition("@")
    return f'gateway_image = "{name}"' + (f', gateway_image_digest = "{digest}"' if digest else "")
