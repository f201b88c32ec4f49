"""The move itself: a copy while the old gateway serves, then the short time in which neither does.

Before the old one is stopped its host is told how to start it again (`hosts.undo`), so that whatever becomes of
this run, of a host or of the network in between, it serves again. It is given up at one moment, at the very end.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from pyinfra.api.state import State

from llm_gateway.hosts import remote, tables, undo
from llm_gateway.hosts.answers import UnreadableError
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.tables import SQLiteStore, Table
from llm_gateway.hosts.topology import Agent, Node
from llm_gateway.model import layout
from llm_gateway.model.layout import APPLIED_KEYS, FIRST_START_DONE, MOVING_IN, UNIT
from llm_gateway.parts import database, first_start, migration_marker, service
from llm_gateway.parts.takeover import old_channels
from llm_gateway.proof import agent_path, around
from llm_gateway.tasks.migration import delta, source
from llm_gateway.tasks.migration.delta import Place
from llm_gateway.tasks.migration.move import Move
from llm_gateway.tasks.restore import data_swap
from llm_gateway.tasks.swap import Staged, SwapError, staging_directory

"""On both hosts, what is needed to copy."""
MOST_PASSES = 5
SMALL_BYTES = 2 << 20
"""A copy that had to send no more than that is as near as it gets while the old gateway writes."""
TOLD_SECONDS = 10.0


class MigrationError(Exception):
    """The gateway has not moved; the text says why, and where it serves."""


def carry_out(state: State, move: Move) -> None:
    """Move the gateway, or leave it where it is.

    Raises MigrationError, and RemoteError and the like where nothing was stopped yet.
    """
    step(move.target.host, "migration: making ready for the first copy")
    if not first_start.is_done(move.target):  # one that has a gateway of its own may be deployed until the swap
        _note_arrival(move, move.target.directory)
    here, there = _places(move)
    _copy_while_it_serves(move, here, there)
    _require_channels_within_reach(move)
    _stage_files(move)
    try:
        _cut_over(state, move, here, there)
    except _FAILURES as problem:
        outage = _await_the_old_one(move)
        raise MigrationError(f"{problem}\n{outage}") from None


def _note_arrival(move: Move, directory: str) -> None:
    remote.write_now(move.target.host, f"{directory}/{MOVING_IN}", f"{move.source_name}\n".encode(), "600")


_FAILURES = (SwapError, undo.UndoError, delta.DeltaError, tables.TablesError, remote.RemoteError)


def _places(move: Move) -> tuple[Place, Place]:
    arriving = f"{move.target.directory}/arriving"
    there = Place(move.target.host, f"{arriving}/{layout.DATABASE}", layout.MIGRATION, (f"{arriving}/compared.db",))
    return Place(move.source.host, move.found.database, layout.MIGRATION), there


def _copy_while_it_serves(move: Move, here: Place, there: Place) -> None:
    """Nothing is held up by it; what was sent by an earlier run, or is the same by chance, is not sent again."""
    host, (compared,) = there.host, there.copies
    remote.run(host, f"install -d -m 700 {shlex.quote(there.file.rpartition('/')[0])} && rm -f {compared}")
    first = Place(host, there.file, there.work)
    for number in range(1, MOST_PASSES + 1):
        step(host, f"migration: copying the database while the old gateway serves ({_nth(number)} pass)")
        delta.learn(here, first, move.found.size)
        sent = delta.send(here, first, move.found.size, _teller(move))
        if sent <= SMALL_BYTES:
            break
    step(host, "migration: making ready for the last copy")
    remote.run(host, f"cp {there.file} {compared} && sync {compared}")
    delta.learn(here, first, move.found.size)


def _require_channels_within_reach(move: Move) -> None:
    """Where the survey had no sqlite3 to look with, too. Raises MigrationError, and RemoteError."""
    try:
        problems = old_channels.problems(move.target, move.old_store)
    except database.DatabaseError as problem:
        problems = [f"where its channels go is not known: {problem}"]
    if problems:
        told = "\n".join(problems)
        raise MigrationError(
            f"{move.target.name} could not reach all that the old gateway does:\n{told}\n{move.source_name}'s gateway"
            " was not stopped; it serves as before"
        )


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _teller(move: Move) -> Callable[[int], None]:
    """Tells now and then how much was sent."""
    last = time.monotonic()

    def tell(sent: int) -> None:
        nonlocal last
        if time.monotonic() - last > TOLD_SECONDS:
            last = time.monotonic()
            size = move.found.size >> 20
            remote.tell(move.target.host, f"  {sent >> 20} MiB sent, compressed (the database has {size} MiB)")

    return tell


def _stage_files(move: Move) -> None:
    """What belongs to the database and is not written while the old gateway serves."""
    host, incoming = move.target.host, staging_directory(move.target)
    step(host, "migration: bringing over what belongs to the database")
    remote.run(host, f"rm -rf {shlex.quote(incoming)} && install -d -m 700 {shlex.quote(incoming)}")
    _note_arrival(move, incoming)  # it comes and goes with the data
    if move.found.generated is None:
        return  # it comes without ours, and goes through a first start
    for name, text in move.found.files.items():
        mode = "644" if name == FIRST_START_DONE else "600"
        remote.write_now(host, f"{incoming}/{name}", text.encode("utf-8", "surrogateescape"), mode)


def _cut_over(state: State, move: Move, here: Place, there: Place) -> None:
    """From the stop of the old gateway to the moment at which it is given up."""
    host, target = move.source.host, move.target
    agents = agent_path.served_by(target.gateway, *move.found.published) if move.found.published else []
    has_arrived = False
    with ThreadPoolExecutor(max_workers=3) as pool:  # outermost: an undo does not wait for what it reads
        try:
            with undo.undoable(host, move.what, source.undo_script(move.found), move.limit):
                _stop(move)
                counts = pool.submit(move.old_store.counts)
                ours = pool.submit(move.old_store.read)
                step(target.host, "migration: the last copy")
                delta.send(here, there, move.found.size, lambda sent: None)
                delta.require_same(there)
                theirs = pool.submit(SQLiteStore(target.host, there.copies[0]).read)
                _put_in_place(move, there)
                staged, proofs = _staged(move, counts.result()), _proofs(move, ours, theirs, agents)
                data_swap.carry_out(state, target, "migration", f"the database of {move.source_name}", staged, *proofs)
                has_arrived = True
                step(host, "migration: giving the old gateway up")
        except _FAILURES as problem:
            if not has_arrived:
                raise
            _find_out(move, problem)
    move.is_over = True


def _stop(move: Move) -> None:
    """Stop and mark the old gateway; and have SQLite finish what a killed server would have left half done."""
    host, target = move.source.host, move.target
    step(host, "migration: stopping the old gateway")
    mark = f"{target.name} {target.base_url} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    move.stopped = time.monotonic()
    remote.run(host, source.stop_script(move.found, mark))
    database = shlex.quote(move.found.database)
    left = " ".join(f"{database}{suffix}" for suffix in ("-journal", "-wal"))
    shell = f"sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail {database}"
    finish = f"echo 'BEGIN IMMEDIATE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);' | {shell}"
    remote.run(host, f"for each in {left}; do [ ! -s $each ] || {{ {finish} >/dev/null; break; }}; done")


def _put_in_place(move: Move, there: Place) -> None:
    incoming = shlex.quote(staging_directory(move.target))
    remote.run(there.host, f"mv -T {there.file} {incoming}/{layout.DATABASE} && sync {incoming}")


def _staged(move: Move, counts: Mapping[str, int]) -> Staged:
    generated, files = move.found.generated, move.found.files
    return Staged(
        counts=counts,
        generated=generated,
        record=Record.parse(files.get(APPLIED_KEYS, "") if generated else ""),
        is_secured=generated is not None and FIRST_START_DONE in files,
    )


def _proofs(
    move: Move, ours: Future[dict[str, Table]], theirs: Future[dict[str, Table]], agents: Sequence[Agent]
) -> tuple[Callable[[Node], None], ...]:
    """What has to hold before either host may give its old gateway up; the new one has completed a request by then."""

    def holds_every_row(target: Node) -> None:
        move.served = time.monotonic()
        step(move.target.host, "migration: comparing every row of every table")
        if differing := tables.differences(ours.result(), theirs.result()):
            raise SwapError(f"the copy is not what {move.source_name} holds: {'; '.join(differing)}")

    def is_still_stopped(target: Node) -> None:
        # Refused where the host has begun to start the old one again.
        remote.run(move.source.host, f"[ -e {shlex.quote(move.found.mark)} ]")

    def serves_its_agents(target: Node) -> None:
        step(move.target.host, f"migration: asking from {len(agents)} OpenClaw hosts that the old gateway has served")
        agent_path.prove_all(target.gateway, agents)

    return holds_every_row, around.prove, *([serves_its_agents] if agents else []), is_still_stopped


def _find_out(move: Move, problem: Exception) -> None:
    """The new gateway serves, the old one was to be given up, and that may have come to pass or not.

    Raises MigrationError where it has not, or where that cannot be known; then the new one is left as it is.
    """
    target = move.target
    try:
        if pending := undo.is_pending(move.source.host):  # which waits while the host undoes it
            raise remote.RemoteError(pending)
        found = source.find(move.source.host, move.source.settings.gateway_directory, move.options.get("container"))
    except (remote.RemoteError, source.SourceError, UnreadableError, OSError) as unknown:
        raise MigrationError(
            f"{move.source_name} was lost just when its gateway was to be given up ({unknown}), and it is not known"
            f" whether it serves again. {target.name} serves, and no host was pointed at it: run this again when"
            f" {move.source_name} is reached, which finds out and goes on"
        ) from None
    if found.moved_to == target.name:
        return
    remote.run(target.host, f"systemctl disable --quiet --now {UNIT}")
    raise MigrationError(f"{problem}. The new gateway on {target.name} was stopped; run this again")


def _await_the_old_one(move: Move) -> str:
    """Wait until the old gateway serves again. Returns in words whether, and how long it was out of reach."""
    if move.stopped is None:
        return f"{move.source_name}'s gateway was not stopped; it serves as before"
    if not move.found.is_running or move.found.published is None:
        return f"{move.source_name}'s gateway is stopped, as it was before"
    patience = move.target.settings.gateway_start_timeout
    try:
        remote.run(move.source.host, "true")  # is it there at all?
        if problem := service.await_answer(move.source.host, *move.found.published, patience):
            return f"{move.source_name}'s gateway was started again and does not answer yet: {problem}"
    except (remote.RemoteError, OSError) as problem:
        return f"{move.source_name} cannot be asked whether its gateway serves again ({problem}); its host sees to that"
    return (
        f"{move.source_name}'s gateway serves again, with all that it had; it was out of reach for"
        f" {time.monotonic() - move.stopped:.1f} s. Fix the cause and run this again"
    )


def tidy_up(move: Move) -> None:
    """Remove what was needed for the move, on both hosts. Raises RemoteError."""
    step(move.target.host, "migration: tidying up")
    place = shlex.quote(move.target.directory)
    remote.run(
        move.target.host,
        f"rm -rf {layout.MIGRATION} {place}/{layout.ARRIVING} &&"
        f" rm -f {shlex.quote(migration_marker.origin_path(move.target))}"
        f" && sync {place}",
    )
    remote.run(move.source.host, f"rm -rf {layout.MIGRATION}")
