"""A file of one host made the same on another, through this machine, by sending only what differs (see delta.sh).

A copy that was cut off is resumed by that, and a file that is written while it is copied costs nothing but one more,
short, copy of what has changed: its writers are never held up, as a database's own backup would.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.host import Host

from llm_gateway.hosts import remote, streams
from llm_gateway.model import shell

_SCRIPT = Path(__file__).with_name("delta.sh")
_LEAST_PATIENCE_SECONDS = 60.0
_HASHED_A_SECOND = 20 << 20
"""Bytes that even a slow host hashes in a second: for so long it may say nothing."""


class DeltaError(Exception):
    """The copy is not what was sent; the text says why."""


@dataclass(frozen=True)
class Place:
    """A file on a host, and a directory there for what is needed to copy it. Paths have no blanks."""

    host: Host
    file: str
    work: str
    copies: tuple[str, ...] = ()
    """More files that are as it is, and are kept so."""

    def script(self, doing: str) -> str:
        """The shell script that does one part of it there."""
        values = {"doing": doing, "file": self.file, "work": self.work, "copies": " ".join(self.copies)}
        return shell.program(values, _SCRIPT)


def learn(source: Place, target: Place, size: int) -> None:
    """Tell the source what the target has already. Parameters: `size`, of the file, in bytes. Raises StreamError."""
    _pump(target, "hashes", source, "remember", size, lambda sent: None)


def send(source: Place, target: Place, size: int, tell: Callable[[int], None]) -> int:
    """Send what differs from what the source has learnt.

    Parameters: `size`, of the file, in bytes; `tell`, called now and then with the bytes that were sent, compressed.
    Returns the bytes that were sent, compressed. Raises StreamError.
    """
    return _pump(source, "send", target, "receive", size, tell)


def require_same(target: Place) -> None:
    """What was sent last has arrived as it was announced, which is so unless the file was written meanwhile.

    Raises DeltaError and RemoteError.
    """
    if others := remote.run(target.host, f"cat {shlex.quote(target.work)}/others"):
        raise DeltaError(
            f"{target.file} is not as it was sent ({len(others)} parts of 8 MiB differ): something wrote to the"
            " database while it was copied"
        )


def _pump(one: Place, prints: str, other: Place, reads: str, size: int, tell: Callable[[int], None]) -> int:
    patience = _LEAST_PATIENCE_SECONDS + size / _HASHED_A_SECOND
    sent = 0
    with (
        streams.open_writer(other.host, other.script(reads), patience) as writer,
        streams.open_reader(one.host, one.script(prints), patience) as reader,
    ):
        while data := reader.read():
            writer.write(data)
            sent += len(data)
            tell(sent)
    return sent
