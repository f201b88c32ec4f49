"""Bytes to and from a host, as many as there are and a piece at a time: over pyinfra's own connection, as root there.

pyinfra's file transfer holds a whole file in memory (@local) or leaves it readable by others under /tmp (SSH and sudo).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pyinfra.api.host import Host

from llm_gateway.hosts import remote
from llm_gateway.hosts.pipes import BROKEN, Pipe, Words, lost, require_success, start
from llm_gateway.hosts.pipes import StreamError as StreamError
from llm_gateway.model import shell

_RECEIVE_FILE = Path(__file__).with_name("receive_file.sh")
CHUNK = 1 << 18
"""The bytes that are moved at once."""
PATIENCE_SECONDS = 60.0
"""How long a connection may carry nothing until it counts as lost."""


class Reader:
    """What a command on a host prints."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._errors = Words(pipe.receive_error)

    def read(self, most: int = CHUNK) -> bytes:
        """The next bytes, at most that many; b"" only when the command has ended, and well.

        Raises StreamError when the command failed or the connection is lost.
        """
        try:
            data = self._pipe.receive(most)
        except BROKEN as problem:
            raise StreamError(lost(problem)) from None
        if not data:
            require_success(self._pipe, self._errors)
        return data


class Writer:
    """What a command on a host reads; `output` is what it printed, at most 4 KiB of it, once it has ended."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._errors = Words(pipe.receive_error)
        self._words = Words(lambda: pipe.receive(CHUNK))

    @property
    def output(self) -> str:
        """What the command has printed on stdout."""
        return self._words.text()

    def write(self, data: bytes) -> None:
        """Send bytes. Raises StreamError when the command has ended already or the connection is lost."""
        try:
            self._pipe.send(data)
        except BROKEN as problem:
            require_success(self._pipe, self._errors)
            raise StreamError(f"the command ended before it had read all, {lost(problem)}") from None

    def end(self) -> None:
        """Say that this was all, and wait for the command's end. Raises StreamError when it failed."""
        try:
            self._pipe.end_input()
        except BROKEN as problem:
            require_success(self._pipe, self._errors)
            raise StreamError(lost(problem)) from None
        require_success(self._pipe, self._errors)
        self._words.text()


@contextmanager
def open_reader(host: Host, command: str, patience: float = PATIENCE_SECONDS) -> Iterator[Reader]:
    """Run a shell command on a host and read what it prints, in bounded memory.

    Parameters: `patience`, seconds without a byte after which an SSH connection counts as lost.
    A block that ends early cuts the command off. Raises StreamError.
    """
    pipe = start(host, command, patience)
    try:
        yield Reader(pipe)
    finally:
        pipe.cut()


@contextmanager
def open_writer(host: Host, command: str, patience: float = PATIENCE_SECONDS) -> Iterator[Writer]:
    """Run a shell command on a host and write what it reads, in bounded memory; the block's end is the end of it.

    The command sees the same end of its input when this run is killed: it has to know by a length or by a checksum
    whether it has read all. Parameters as those of `open_reader`. Raises StreamError, also when the command fails.
    """
    pipe = start(host, command, patience)
    try:
        writer = Writer(pipe)
        yield writer
        writer.end()
    finally:
        pipe.cut()


def size(host: Host, remote_path: str) -> int:
    """The bytes of a file on a host. Raises RemoteError."""
    return int(remote.run(host, f"stat -Lc %s {shlex.quote(remote_path)}")[-1])


def download(
    host: Host,
    remote_path: str,
    local_path: Path,
    tell: Callable[[int], object] = lambda _: None,
    patience: float = PATIENCE_SECONDS,
) -> str:
    """Bring a file of a host here: whole, for its owner alone, or not at all.

    Parameters: `tell`, called with the number of bytes of each piece that has gone; `patience`, as for `open_reader`.
    Returns its SHA-256, which was compared. Raises StreamError, also where there is no room for it here.
    """
    source = shlex.quote(remote_path)
    wanted = remote.run(host, f"sha256sum < {source}")[-1].split()[0]
    with _arriving(local_path) as file, open_reader(host, f"cat {source}", patience) as reader:
        summed = hashlib.sha256()
        while data := reader.read():
            summed.update(data)
            file.write(data)
            tell(len(data))
        if summed.hexdigest() != wanted:
            raise StreamError(f"{remote_path}: checksum mismatch after copying; run again")
    return wanted


def upload(
    host: Host,
    local_path: Path,
    remote_path: str,
    tell: Callable[[int], object] = lambda _: None,
    patience: float = PATIENCE_SECONDS,
) -> str:
    """Put a file of this machine on a host: whole, for root alone (0600), or not at all.

    Parameters: as those of `download`.
    Its directory is there already. Returns its SHA-256, which was compared. Raises StreamError.
    """
    with local_path.open("rb") as file:
        wanted = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with open_writer(host, _receive(remote_path, wanted), patience) as writer:
            while data := file.read(CHUNK):
                writer.write(data)
                tell(len(data))
    return wanted


def _receive(path: str, digest: str) -> str:
    """The shell program that puts a file in place which comes on standard input, once its SHA-256 is right."""
    return shell.program({"target": path, "digest": digest}, _RECEIVE_FILE)


@contextmanager
def _arriving(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there under its name only when the block has ended well. Raises StreamError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Always the same name: what a killed run left behind is used anew.
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StreamError(f"{path.parent} cannot be written on this machine: {problem.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StreamError(f"another run is writing {path} just now: run again when it has ended") from None
        try:
            file.truncate()
            os.fchmod(descriptor, 0o600)
            yield file
            file.flush()
            os.fsync(descriptor)
            partial.replace(path)
        except BaseException as problem:
            partial.unlink(missing_ok=True)
            with suppress(OSError):  # the last bytes, which Python would try to write again
                file.close()
            if not isinstance(problem, OSError):
                raise
            raise StreamError(
                f"{path} cannot be written on this machine: {problem.strerror}; nothing of it was kept. Make room, or"
                " name another directory"
            ) from None
    with _directory(path.parent) as parent:
        os.fsync(parent)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
