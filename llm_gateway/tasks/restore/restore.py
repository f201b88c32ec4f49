"""A gateway's data from a backup, or as people keep them, put in place of what a host has, wholly or not at all."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from weakref import WeakKeyDictionary

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Agent, Machine, Node, Run
from llm_gateway.inputs import run_options
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts import database, first_start, installation, migration_marker, scheduling, serving
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.proof import agent_path
from llm_gateway.tasks import preflight, survey
from llm_gateway.tasks.restore import data_swap, host_sources, local_sources, staging
from llm_gateway.tasks.swap import SwapError

OPTIONS = {
    "backup": (
        "what to restore: latest (which is meant without it), the name of something in the host's backups/, or a path"
        " on this machine: a backup, a directory or tar archive with the data of a gateway, or a one-api.db"
    ),
    "host": "the gateway that gets it, if the inventory has several",
    "yes": "that gateway's name, if its gateway was moved away, or another one is on its way there",
}
WHAT = "restore"

_sources: WeakKeyDictionary[State, staging.Source] = WeakKeyDictionary()
_finding = threading.Lock()


def machine_to_restore(state: State, host: Host) -> Machine:
    """The machine for a host of this run. What is to be restored has been read to its end when this returns.

    Raises DeployError with all problems of all hosts; nothing was changed then.
    """
    options = run_options.read(state, OPTIONS)
    machine = survey.machine_for(state, host, PURPOSE)
    with _finding:
        if state not in _sources:
            target = _target(machine.run, options.get("host"))
            _sources[state] = _find(target, options.get("backup", "latest"))
            _tell_plan(target, _sources[state])
    return machine


def target_on(machine: Machine) -> Node | None:
    """The gateway that is restored, if it is on this host."""
    return machine.node if machine.node and machine.node is _target(machine.run, _wanted(machine)) else None


def user_on(machine: Machine) -> Agent | None:
    """The OpenClaw on this host, if it uses the gateway that is restored."""
    agent = machine.agent
    return agent if agent and any(target_on(node.machine) for node in agent.nodes) else None


def prepare(node: Node) -> None:
    """Put in place what a gateway needs, on a host that has none; one that is set up is left as it is."""
    lacks = isinstance(node.gateway.store, PostgreSQLStore) and "sqlite3" not in node.state.tools
    if lacks or not database.can_be_written(node.gateway):
        remote.shell(name="Install sqlite3, by which the database is checked", command=database.INSTALL)
    if not first_start.is_done(node):
        installation.install_files(node)


def restore(machine: Machine) -> None:
    """Put the restored data in place; on other hosts, wait until that is done (as `provisioning` does)."""
    _restore(name="Restore the gateway's data", machine=machine)


@operation()
def _restore(machine: Machine) -> Generator[FunctionCommand, None, None]:
    if target := target_on(machine):
        yield remote.Callback(_run, (target, _sources[machine.host.state]), {})


def _run(state: State, host: Host, node: Node, source: staging.Source) -> bool:
    try:
        staged = staging.stage(host, node, source, WHAT)
    except SourceError as problem:
        remote.complain(host, f"{problem}; the gateway's data are as they were")
        return False
    # Whom the gateway serves now it has to serve afterwards, with the keys of what is restored.
    agents = agent_path.served_by(node.gateway, node.address, node.settings.gateway_port)

    def serves_its_agents(target: Node) -> None:
        step(host, f"restore: asking from {len(agents)} OpenClaw hosts that are served now")
        agent_path.prove_all(node.gateway, agents)

    try:
        proofs = [serves_its_agents] if agents else []
        done = data_swap.carry_out(state, node, WHAT, source.title, staged, *proofs)
    except SwapError as problem:
        remote.complain(host, f"{source.title} was not restored: {problem}")
        return False
    remote.tell(host, f"restored from {source.title}: {done.proof}")
    if done.outage is not None:
        remote.tell(host, f"the gateway did not answer for {done.outage:.1f} s")
    if done.kept:
        remote.tell(
            host,
            f"what it replaced is in {done.kept} (it holds all keys: remove it once the gateway works; to roll back:"
            f" --data backup={done.kept.rpartition('/')[2]})",
        )
    return True


def _wanted(machine: Machine) -> str | None:
    return run_options.read(machine.host.state, OPTIONS).get("host")


def _target(run: Run, wanted: str | None) -> Node:
    """The gateway that is to be restored. Raises DeployError."""
    gateways = {name: machine.node for name, machine in run.machines.items() if machine.node}
    if wanted is not None:
        if wanted not in gateways:
            known = ", ".join(gateways) or "none"
            raise DeployError(f"--data host={wanted}: not a gateway that this run reaches; those are: {known}")
        return gateways[wanted]
    if len(gateways) != 1:
        raise DeployError(
            f"which gateway gets it? Name one: --data host=… ({', '.join(gateways)})"
            if gateways
            else "this run reaches no host of the group `gateways`: is --limit right?"
        )
    return next(iter(gateways.values()))


def _find(target: Node, backup: str) -> staging.Source:
    try:
        if host_sources.is_name(backup):
            found: staging.Source = host_sources.find(target.host, f"{target.directory}/{layout.BACKUPS}", backup)
        else:
            found = local_sources.find(backup)
        _require_tables(found, target)
        _require_store(found, target)
    except SourceError as problem:
        raise DeployError(f"{target.name}: {problem}; nothing was changed") from None
    return found


def _require_tables(source: staging.Source, target: Node) -> None:
    try:
        recognition.require_tables(source.tables, target.flavour)
    except SourceError as problem:
        raise SourceError(f"{source.title}: {problem}") from None


def _require_store(source: staging.Source, target: Node) -> None:
    """The gateway makes its tables itself: those of a PostgreSQL must be there, and those of a file for a dump."""
    is_postgresql = isinstance(target.gateway.store, PostgreSQLStore)
    if (is_postgresql or source.is_dump) and not first_start.is_done(target):
        raise SourceError(f"{source.title} takes a gateway that has made its tables: run deploy.py first")


def _tell_plan(target: Node, source: staging.Source) -> None:
    """Say what would be replaced by what."""
    manifest = source.manifest
    if manifest is None:
        size = f"{source.size / (1 << 20):.1f} MiB"
        told = (
            f"to be restored: {source.title} {source.place}, {size}, last changed {source.made_at:%Y-%m-%d %H:%M} UTC"
        )
    else:
        made = f"{manifest.made_at:%Y-%m-%d %H:%M} UTC on {manifest.host} ({manifest.reason})"
        told = f"to be restored: {source.title} {source.place}, made {made}, with {manifest.image_reference}"
    remote.tell(target.host, "\n".join([told, *(f"  {note}" for note in source.notes)]))
    now: Mapping[str, int] = {}
    if not target.state.database_size and not target.state.database_conf:
        remote.tell(target.host, "there is no database that it would replace")
    else:
        try:
            now = target.gateway.store.counts()
        except tables.TablesError as problem:
            remote.tell(target.host, f"the rows that it would replace cannot be counted: {problem}")
    remote.tell(target.host, "\n".join(_compared(now, source.tables)))


def _compared(now: Mapping[str, int], then: Mapping[str, int]) -> Iterator[str]:
    for name in sorted({*now, *then}):
        if now.get(name) or then.get(name):
            yield f"  {_shown(name)}: {now.get(name, 0)} rows -> {then.get(name, 0)}"


def _shown(name: str) -> str:
    """A table's name on one line."""
    return name if name.isprintable() else repr(name)


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents it on one host. Lost and damaged data do not: they are what this fixes."""
    gateways = [node.name for node in machine.agent.nodes] if machine.agent else []
    if _wanted(machine) not in (None, machine.name, *gateways):
        return  # it stays as it is
    if busy := machine.state.busy:
        yield preflight.busy_problem(busy)
        return
    found = list(preflight.machine_problems(machine))
    yield from found
    if found:
        return
    if node := machine.node:
        yield from preflight.gateway_problems(node)
        yield from _elsewhere(node)
        yield from _foreign(node)
        yield from _other_image(node)
    if machine.agent:
        yield from preflight.openclaw_problems(machine.agent)


def _elsewhere(node: Node) -> Iterator[str]:
    """A gateway that serves on another host, or may: there would be two, each with rows that the other has not."""
    confirmed = run_options.read(node.host.state, OPTIONS).get("yes", "").split(",")
    if node.name in (name.strip() for name in confirmed):
        return
    if target := migration_marker.target(node):
        yield (
            f"its gateway was moved to {target}, and serves there: restore on {target} (--data host={target}). To have"
            f" one serve here again, with what the backup holds and nothing of what {target} has got since: --data"
            f" yes={node.name}"
        )
    if origin := migration_marker.origin(node):
        yield (
            f"the gateway of {origin} is on its way here, and has not arrived: run deploys/migrate.py --data"
            f" source={origin} again to resume. If {origin} is gone for good, or to cancel the migration:"
            f" --data yes={node.name}"
        )


def _foreign(node: Node) -> Iterator[str]:
    """A gateway that somebody set up by hand could not be given back."""
    labels = ((node.state.container or {}).get("Config") or {}).get("Labels") or {}
    if node.state.container and labels.get("com.docker.compose.project") != PROJECT:
        yield (
            "the gateway on it was set up by hand: take it over first (pyinfra INVENTORY deploy.py), then restore; or"
            f" remove that one (docker rm -f {PROJECT})"
        )


def _other_image(node: Node) -> Iterator[str]:
    if (node.state.container or {}).get("State", {}).get("Running") and serving.is_upgrade(node):
        yield (
            f"its gateway serves with {serving.serving(node)}, and the inventory names another image: run deploy.py"
            " first, which upgrades it; or name the present image in the inventory"
        )


PURPOSE = survey.Purpose(
    (preflight.group_problems,),
    (_problems, scheduling.problems),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
)
