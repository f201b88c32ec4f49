"""Commands that run on a host with their three streams open: in a channel of the SSH connection, or on this machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import paramiko
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

from llm_gateway.hosts import remote

WORDS = 4096
"""The bytes that are kept of what a command says."""
_LAST_SECONDS = 5.0
"""How long the last words of a command that has ended may be on their way."""
BROKEN = (OSError, EOFError, paramiko.SSHException)
"""What a stream raises that is lost."""


class StreamError(remote.RemoteError):
    """A stream broke off, or its command failed; the text says why."""


class Pipe(Protocol):
    """A command that runs on a host, with its three streams."""

    def receive(self, most: int) -> bytes: ...

    def receive_error(self) -> bytes: ...

    def send(self, data: bytes) -> None: ...

    def end_input(self) -> None: ...

    def wait(self) -> int | None:
        """Its exit code; None when that cannot be known."""

    def cut(self) -> None:
        """End it, if it runs, and let go of it."""


def can_start(host: Host) -> bool:
    """Whether commands can be started on the host with their streams open."""
    return isinstance(host.connector, LocalConnector) or _transport(host) is not None


def _transport(host: Host) -> paramiko.Transport | None:
    client = getattr(host.connector, "client", None)
    return client.get_transport() if isinstance(client, paramiko.SSHClient) else None


def start(host: Host, command: str, patience: float) -> Pipe:
    """Run a shell command on a host as its data say (sudo and the like). Raises StreamError.

    Parameters: `patience`, seconds without a byte after which an SSH connection counts as lost.
    """
    wrapped = remote.wrapped(host, command)
    if isinstance(host.connector, LocalConnector):
        return _LocalPipe(wrapped)
    if (transport := _transport(host)) is None:
        raise StreamError(f"{host.name} is reached neither by SSH nor as @local, and nothing else can carry files")
    try:
        return _SSHPipe(transport.open_session(timeout=patience), wrapped, patience)
    except BROKEN as problem:
        raise StreamError(lost(problem)) from None


def require_success(pipe: Pipe, errors: Words) -> None:
    """Wait for a command's end. Raises StreamError with its own words when it failed."""
    code = pipe.wait()
    if code is None:
        raise StreamError("the connection to the host was lost before the command had ended")
    if code:
        raise StreamError(errors.text() or f"the command on the host failed with exit code {code}")


def lost(problem: Exception) -> str:
    """What one of `BROKEN` means, in words."""
    if isinstance(problem, TimeoutError):
        return "the connection to the host carries nothing any more"
    return f"the connection to the host is lost ({str(problem) or type(problem).__name__})"


class Words:
    """The last of what a command says on a stream, read all the time so that it never waits for a reader."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._last = b""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                data = self._receive()
            except TimeoutError:
                continue  # silence is no end here
            except (OSError, EOFError, ValueError, paramiko.SSHException):
                return  # it was cut off
            if not data:
                return
            self._last = (self._last + data)[-WORDS:]

    def text(self) -> str:
        """What was said, once the stream has ended."""
        self._thread.join(_LAST_SECONDS)
        return self._last.decode("utf-8", "replace").strip()


class _SSHPipe:
    """A command in a channel of the SSH connection, whose window bounds what is under way (2 MiB)."""

    def __init__(self, channel: paramiko.Channel, command: str, patience: float) -> None:
        self._channel = channel
        self._patience = patience
        channel.settimeout(patience)
        channel.exec_command(command)

    def receive(self, most: int) -> bytes:
        return self._channel.recv(most)

    def receive_error(self) -> bytes:
        return self._channel.recv_stderr(WORDS)

    def send(self, data: bytes) -> None:
        self._channel.sendall(data)

    def end_input(self) -> None:
        self._channel.shutdown_write()

    def wait(self) -> int | None:
        self._channel.status_event.wait(self._patience)
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    def cut(self) -> None:
        with suppress(*BROKEN):  # a connection that is lost has ended it
            self._channel.close()


class _LocalPipe:
    """A command on this machine."""

    def __init__(self, command: str) -> None:
        pipe = subprocess.PIPE
        # As pyinfra's @local connector does it: the command is quoted for a shell already.
        self._process = subprocess.Popen(command, shell=True, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S602

    def receive(self, most: int) -> bytes:
        return bytes(_open(self._process.stdout).read1(most))

    def receive_error(self) -> bytes:
        return bytes(_open(self._process.stderr).read1(WORDS))

    def send(self, data: bytes) -> None:
        _open(self._process.stdin).write(data)

    def end_input(self) -> None:
        _open(self._process.stdin).close()

    def wait(self) -> int | None:
        return self._process.wait()

    def cut(self) -> None:
        if self._process.poll() is None:
            with suppress(PermissionError):  # sudo's, which ends when its streams do
                self._process.terminate()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what could not be written is of no use any more
                _open(stream).close()
        self._process.wait()


def _open(stream: Any) -> Any:
    """A stream of a process whose three streams are pipes."""
    return stream
