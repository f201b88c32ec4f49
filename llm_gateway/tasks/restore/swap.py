"""Another database in place of a gateway's own: wholly, and proven by a real completion, or not at all.

What the host had is kept beside it until the new one has proven itself. Until then every failure puts it back: by this
run, or by the host itself where the run was killed, its connection lost, or the power gone (llm_gateway.hosts.undo).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents import desired, provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.hosts import remote, tables, undo
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Generated, SecretsError
from llm_gateway.model import layout
from llm_gateway.model.asking import VerificationError
from llm_gateway.model.layout import INCOMING, PROJECT, UNIT, Role
from llm_gateway.parts import first_start, installation, service
from llm_gateway.parts.backups.scheduled_backups import BACKUPS
from llm_gateway.parts.installation import wanted_files
from llm_gateway.parts.takeover import old_schema
from llm_gateway.proof import proof

_SCRIPT = Path(__file__).with_name("swap.sh")
_SLACK_SECONDS = 300.0
"""What all that has no bound of its own may take together."""

Proof = Callable[[Node], None]
"""Looks at the gateway that was started from the new database. Raises SwapError where it is not as it must be."""


class SwapError(Exception):
    """The new database does not serve; the text says why. What was there before is put back."""


@dataclass(frozen=True)
class Staged:
    """What lies in `incoming` on the host, checked: `one-api.db`, and beside it what belongs to it.

    Args:
        what: words for people, "restore" or "migration"; every step is told under it.
        source: where it comes from, in words: "gateway-20261122T101100Z.tar.gz".
        counts: the number of rows by table.
        generated: the secrets that belong to it, `incoming/secrets.env`; None where it comes without, and gets those
            of the host. Only with them can there be an `incoming/first-start-done` and an `applied-keys.json`.
        record: what is known of its contents, `incoming/applied-keys.json`.
        is_secured: whether it was safe to publish, `incoming/first-start-done`; else it goes through a first start.
    """

    what: str
    source: str
    counts: Mapping[str, int]
    generated: Generated | None = field(default=None, repr=False)
    record: Record = field(default_factory=lambda: Record(is_lost=True))
    is_secured: bool = False


@dataclass(frozen=True)
class Swapped:
    """How it went: seconds without a gateway that answers (None: there was none before), where the old one is kept
    (None: there was none), and what the new one answered."""

    outage: float | None
    kept: str | None
    proof: str


def staging_directory(node: Node) -> str:
    """Where a database has to be staged on the host (mode 700)."""
    return f"{node.directory}/{INCOMING}"


def longest(node: Node) -> float:
    """How many seconds a swap may take until the host puts everything back by itself."""
    return 2 * node.settings.gateway_start_timeout + proof.longest(node) + _SLACK_SECONDS


def swap_in(state: State, host: Host, node: Node, staged: Staged, *proofs: Proof) -> Swapped:
    """Have the gateway serve what is staged. The image, Docker and the tiktoken files are there already.

    Parameters: `proofs`, what has to hold besides before the old database is given up.
    Raises SwapError: what was there before serves again, or is about to, by the host's own doing.
    """
    before = node.gateway.generated, node.gateway.record, dict(node.gateway.token_keys)
    found = _look(host, node)
    was_active = found["was_active"] == "yes"
    what, put_back = f"the {staged.what} of {node.name}", _script(node, "put_back", found)
    try:
        with undo.undoable(host, what, put_back, longest(node)):
            outage = _replace(host, node, staged)
            answered = _prove(state, host, node, staged)
            for holds in proofs:
                holds(node)
    except _FAILURES as problem:
        node.gateway.generated, node.gateway.record, node.gateway.token_keys = before
        if was_active:
            _await_old(host, node)
        raise SwapError(str(problem)) from None
    return Swapped(outage if was_active else None, _put_aside(host, node, staged), answered)


_FAILURES = (
    SwapError,
    undo.UndoError,
    *first_start.FAILURES,
    proof.ProofError,
    VerificationError,
)


def _look(host: Host, node: Node) -> dict[str, str]:
    """How the gateway is just now: `was_active` and `was_enabled`, each "yes" or "no". Raises SwapError."""
    try:
        if busy := undo.is_pending(host):
            raise SwapError(f"{busy}: run again when it has ended")
        return dict(line.split("=", 1) for line in remote.run(host, _script(node, "look")) if "=" in line)
    except remote.RemoteError as problem:
        raise SwapError(f"the gateway cannot be looked at: {problem}") from None


def _replace(host: Host, node: Node, staged: Staged) -> float:
    """From the old database to one that answers. Returns the seconds between. Raises as `swap_in` catches it."""

    def carry_out(what: str, function: str) -> None:
        step(host, f"{staged.what}: {what}")
        remote.run(host, _script(node, function))

    stopped = time.monotonic()
    carry_out("stopping the gateway", "stop_all")
    carry_out("keeping what is replaced", "keep")
    carry_out(f"putting {staged.source} in its place", "place")
    step(host, f"{staged.what}: writing the gateway's files")
    node.gateway.generated, node.gateway.record = staged.generated or node.gateway.generated, staged.record
    node.is_republished = True  # nothing that was read of the old one holds for this
    for file in wanted_files(node):
        file.write_now(host)
    # One of an older version takes two starts, of which nobody is to see the first.
    if not staged.is_secured or old_schema.missing(node.gateway.store):
        step(host, f"{staged.what}: starting it out of everybody's reach, and replacing the default password")
        first_start.make_safe(host, node)
    carry_out("starting the gateway", "start")
    settings = node.settings
    if problem := service.await_answer(host, node.address, settings.gateway_port, settings.gateway_start_timeout):
        raise SwapError(f"the gateway does not answer from {staged.source}: {problem}.{_last_words(host)}")
    return time.monotonic() - stopped


def _prove(state: State, host: Host, node: Node, staged: Staged) -> str:
    """All rows are there, what is declared is made so, and the models answer. Returns what they answered."""
    step(host, f"{staged.what}: comparing the numbers of rows")
    if lost := tables.lost(staged.counts, node.gateway.store.counts()):
        raise SwapError(f"rows of {staged.source} are missing from the started gateway: {'; '.join(lost)}")
    with admin_api(node.gateway) as admin:
        tokens = admin.tokens()
    try:
        desired.declared(node.gateway)
    except SecretsError as problem:
        remote.tell(host, f"channels, tokens and options stay as they are in {staged.source}, because {problem}")
        own = desired.own_tokens(node.gateway)
        node.gateway.token_keys.update({token.name: token.key for token in tokens if token.name in own})
    else:
        step(host, f"{staged.what}: declaring channels, tokens and options")
        if not provisioning.reconcile_now(state, host, node.gateway):
            raise SwapError("what is declared could not be made so; the lines above say why")
    step(host, f"{staged.what}: asking for a completion and an embedding, with a token of {staged.source}")
    return proof.prove(node, node.address, node.settings.gateway_port, tokens)


def _last_words(host: Host) -> str:
    log = f"journalctl --no-pager --lines 10 --unit {UNIT}; docker logs --tail 15 {PROJECT} 2>&1"
    return f" Its log (`{log}` on the host):\n" + "\n".join(remote.run(host, f"{{ {log}; }} || true"))


def _await_old(host: Host, node: Node) -> None:
    """Tell whether the gateway that was there serves again."""
    address, port = node.state.published
    address, port = address or node.address, port or str(node.settings.gateway_port)
    if problem := service.await_answer(host, address, int(port), node.settings.gateway_start_timeout):
        remote.complain(host, f"the gateway that was there does not answer yet: {problem}")
    else:
        remote.tell(host, "the gateway that was there serves again, with all that it had")


def _put_aside(host: Host, node: Node, staged: Staged) -> str | None:
    """Give what was replaced its place among the backups. Returns its path, None where nothing was replaced."""
    step(host, f"{staged.what}: keeping what was replaced among the backups")
    lines = remote.run(host, _script(node, "put_aside"))
    return next((line.removeprefix("kept=") for line in lines if line.startswith("kept=")), None)


def _script(node: Node, function: str, found: Mapping[str, str] | None = None) -> str:
    here = f"{node.directory}/"
    paths = [file.path for file in wanted_files(node)]
    values = {
        "directory": node.directory,
        "own_backups": installation.OWN_BACKUPS.read_text(encoding="utf-8"),
        "project": PROJECT,
        "unit": UNIT,
        "timer": BACKUPS.timer,
        "state": " ".join(layout.names(Role.DISPLACED)),
        "inside": " ".join(path.removeprefix(here) for path in paths if path.startswith(here)),
        "outside": " ".join(path for path in paths if not path.startswith(here)),
        **(found or {}),
    }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"{assignments}{_SCRIPT.read_text(encoding='utf-8')}\n{function}\n"
