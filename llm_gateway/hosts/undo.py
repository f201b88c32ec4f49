"""A way back that outlives the run: how to undo what is begun is left on the host before it is begun.

A run that is killed, whose connection is lost or whose time is over, and a host that loses power, leave nothing half
done: the host undoes it by itself (files/undo-unfinished). Commands of a run that lost that race do not run any more.
"""

from __future__ import annotations

import base64
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pyinfra.api.host import Host

from llm_gateway.hosts import carrier, remote
from llm_gateway.model import shell
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.layout import GUARD_UNIT, UNDO_TOOL, UNDO_UNIT, UNDOING, UNFINISHED

_BEGIN = Path(__file__).with_name("undo_begin.sh")
WAIT_SECONDS = 120.0
"""How long a run waits for a host that is undoing something."""


class UndoError(Exception):
    """It could not be begun; or the host has undone it before its end."""


@contextmanager
def undoable(host: Host, what: str, undo: str, seconds: float) -> Iterator[None]:
    """Do what the block does wholly or not at all.

    The block's end commits it, at one moment; an exception in it has it undone before the exception goes on. Where the
    run does not come to either, the host undoes it by itself. Not to be nested on one host.

    Parameters: `what`, words for people ("restore of gw1"); `undo`, an sh script, run as root with `set -eu`, that may
    be cut off at any point and run again; `seconds`, after which without an end the host undoes it by itself.
    Raises UndoError where it could not be begun, or at the end when the host has undone it already.
    """
    identity = secrets.token_hex(8)
    _begin(host, identity, what, undo, seconds)
    try:
        with remote.fenced(host, partial(only_while_unfinished, identity)):
            yield
    except BaseException:
        _undo_now(host, identity, what)
        raise
    _commit(host, identity, what)


def is_pending(host: Host, seconds: float = WAIT_SECONDS) -> str:
    """What is unfinished on the host, in words, or "". While the host is undoing it, this waits.

    Parameters: `seconds`, how long it waits at most; with 0 it only looks. Raises RemoteError.
    """
    seen = f"[ ! -d {UNFINISHED} ] && [ ! -d {UNDOING} ]"
    return "\n".join(remote.run(host, f"{seen} || sh {UNDO_TOOL} wait {seconds:.0f}")).strip()


def await_host(host: Host, left: str) -> str | None:
    """Before a run: wait until the host has undone what an interrupted run has left there.

    Parameters: `left`, what that was. Returns what is wrong where it still is not undone. Raises RemoteError.
    """
    remote.tell(host, f"an interrupted run ({left}) is being undone by the host: waiting for it ...")
    if pending := is_pending(host):
        log = f"journalctl --no-pager --lines 30 --unit {GUARD_UNIT}"
        return f"{pending}; run again in a moment (`{log}` on the host says how it goes)"
    return None


def _begin(host: Host, identity: str, what: str, undo: str, seconds: float) -> None:
    files = [ROOT / "files" / name for name in (UNDO_TOOL.rpartition("/")[2], UNDO_UNIT, GUARD_UNIT)]
    texts = [*(file.read_bytes() for file in files), f"{what}\n".encode(), f"{undo}\n".encode()]
    values = {"ID": identity, "PATIENCE": f"{seconds:.0f}"}
    try:
        remote.run(
            host,
            carrier.script(host, shell.program(values, _BEGIN)),
            "\n".join([*(base64.b64encode(text).decode("ascii") for text in texts), "end"]),
        )
    except remote.RemoteError as problem:
        raise UndoError(f"{what} was not begun: {problem}") from None


def only_while_unfinished(identity: str, command: str) -> str:
    """The command, kept from running once the host undoes it, and to be found by the host while it runs.

    The identity stands in the process's environment before the command is let through, so that none slips between.
    """
    refusal = "the host undoes this already: its time was over, or the connection seemed lost"
    guarded = (
        f'{{ read -r id rest < {UNFINISHED}/terms; }} 2>/dev/null && [ "$id" = {identity} ] ||'
        f" {{ echo {shlex.quote(refusal)} >&2; exit 75; }}\n{command}"
    )
    return f"exec env OPENCLAW_LLM_GATEWAY_UNFINISHED={identity} sh -c {shlex.quote(guarded)}"


def _undo_now(host: Host, identity: str, what: str) -> None:
    remote.complain(host, f"{what} failed: undoing it ...")
    try:
        why = _ask(host, identity)
    except remote.RemoteError as problem:
        remote.complain(
            host,
            f"{what} is not rolled back yet: {problem}\nThe host keeps trying by itself, and the next run waits for it;"
            f" `journalctl --no-pager --lines 30 --unit {GUARD_UNIT}` on the host says how it goes",
        )
    else:
        remote.tell(host, f"{what} was rolled back{f' because {why}' if why else ''}; everything is as it was before")


def _ask(host: Host, identity: str) -> str:
    """Have the host undo it, and wait for that. Returns why it had begun to before, or "". Raises RemoteError."""
    return "\n".join(remote.run(host, f"sh {UNDO_TOOL} ask {identity}"))


def _commit(host: Host, identity: str, what: str) -> None:
    try:
        remote.run(host, f"sh {UNDO_TOOL} commit {identity}")
    except remote.RemoteError as problem:
        # Where the connection is lost, the host sees that too, and asking fails as well.
        with suppress(remote.RemoteError):
            _ask(host, identity)
        raise UndoError(f"{what} did not come to its end: {problem}") from None
