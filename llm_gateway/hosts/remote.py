"""Running things on a host without leaving a trace of a secret.

What is secret travels on standard input: never in argv (which `ps` shows), never in a temporary file, never in
what pyinfra prints at any verbosity.
"""

from __future__ import annotations

import base64
import re
import shlex
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any, cast

import paramiko
from pyinfra import logger
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, ConnectorArguments, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import extract_control_arguments, make_unix_command_for_host

from llm_gateway.hosts import route
from llm_gateway.model.passwords import SudoPasswordError
from llm_gateway.model.shell import program


class RemoteError(Exception):
    """A command failed on a host; the text is what it printed last."""


class ConnectionLostError(RemoteError):
    """Nothing is known of what became of a command: the host cannot be asked any more."""


_WRITE_FILE = Path(__file__).with_name("write_file.sh")
UNFINISHED = ".llmgw-"
"""Before the six characters at the end of a file's name that is still being written."""
_GIVES_UP = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 60_000}
"""After a minute without an answer: in seconds, the last in milliseconds."""

_OF_CSH = re.compile(r"Unmatched ['\"`'].*\.|Illegal variable name\.|\w+: Undefined variable\.")
"""What csh and tcsh say of a command of several lines in quotes, which they cannot read."""

_fences: dict[int, Callable[[str], str]] = {}
"""By the id of the host, for as long as a block of `fenced` runs."""


@contextmanager
def fenced(host: Host, fence: Callable[[str], str]) -> Iterator[None]:
    """While the block runs, every shell command on that host is what `fence` makes of it (see `undo`)."""
    _fences[id(host)] = fence
    try:
        yield
    finally:
        del _fences[id(host)]


def as_fenced(host: Host, command: str) -> str:
    """A shell command as it is to be run on the host now; for what starts commands otherwise than by `run`."""
    fence = _fences.get(id(host))
    return fence(command) if fence else command


def connector_arguments(host: Host) -> ConnectorArguments:
    """How this host is to be used (sudo and the like), as pyinfra would for an operation."""
    arguments, _ = pop_global_arguments(host.state, host, {})
    return cast(
        ConnectorArguments,
        {key: arguments[key] for key in CONNECTOR_ARGUMENT_KEYS if key in arguments},  # type: ignore[literal-required]
    )


def wrapped(host: Host, command: str) -> str:
    """A shell command as the host's login shell is given it, with sudo and the like as the host's data say."""
    arguments = connector_arguments(host)
    extract_control_arguments(arguments)
    command_line = StringCommand(as_fenced(host, command))
    text: str = make_unix_command_for_host(host.state, host, command_line, **arguments).get_raw_value()
    return text


def run(host: Host, command: str, stdin: str | None = None) -> list[str]:
    """Run a shell command, printing nothing.

    Parameters: `stdin`, text that the command reads.
    Returns the lines of its standard output. Raises RemoteError when it fails, ConnectionLostError when the host is.
    """
    arguments = connector_arguments(host)
    if stdin is not None:
        arguments["_stdin"] = stdin
    try:
        succeeded, output = host.run_shell_command(StringCommand(as_fenced(host, command)), **arguments)
    except SudoPasswordError as problem:
        raise RemoteError(str(problem)) from None
    except (paramiko.SSHException, OSError, EOFError) as problem:
        words = str(problem) or type(problem).__name__
        if isinstance(problem, EOFError) or not _is_connected(host):
            raise ConnectionLostError(f"the connection to the host is lost ({words})") from None
        raise RemoteError(f"the host rejected the command ({words})") from None
    if succeeded:
        return list(output.stdout_lines)
    if not _is_connected(host):
        raise ConnectionLostError("the connection to the host is lost")
    if any(map(_OF_CSH.fullmatch, output.stderr_lines)):
        raise RemoteError(
            "the login shell of the user that pyinfra connects as is csh or tcsh, which cannot read the commands of a"
            " run: change it (`chsh -s /bin/bash`), or connect as another user (`ssh_user`)"
        )
    raise RemoteError("\n".join(output.stderr_lines[-12:] or output.stdout_lines[-12:]) or "no output")


def refusal(host: Host, command: str, stdin: str | None = None) -> str | None:
    """What a command that judges something has against it, None where it succeeds; parameters as in `run`.

    Raises ConnectionLostError: that is no judgement.
    """
    try:
        run(host, command, stdin)
    except ConnectionLostError:
        raise
    except RemoteError as problem:
        return str(problem)
    return None


def _is_connected(host: Host) -> bool:
    """Whether the SSH connection still stands; a connector of another kind has none to lose."""
    transport = _transport(host)
    return transport is None or transport.is_active()


def _transport(host: Host) -> paramiko.Transport | None:
    client = getattr(host.connector, "client", None)
    return client.get_transport() if isinstance(client, paramiko.SSHClient) else None


def is_tailscale_ssh(host: Host) -> bool:
    """Whether the connection is to the SSH server in tailscaled, and not to the host's own."""
    transport = _transport(host)
    return transport is not None and "Tailscale" in str(transport.remote_version)


def tell(host: Host, text: str, brief: str | None = None) -> None:
    """Tell the person at the terminal something about a host.

    Parameters: `brief`, what our command shows in place of the text, and of the step's name, where the step goes well;
    "" for nothing.
    """
    for number, line in enumerate(text.splitlines()):
        # Marked as ours: pyinfra's own lines are left out of what our command shows.
        marks = {"told_on": str(host.name), "told": line, "told_in_brief": "" if brief and number else brief}
        host.log(line, partial(logger.info, extra=marks))


class Callback(FunctionCommand):
    """A function as a part of an operation. Where it lets a RemoteError through, the host fails in these words; of any
    other exception pyinfra prints a traceback.
    """

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        """What the function returns: False, or a RemoteError, is a failure."""
        try:
            return super().execute(state, host, connector_arguments)
        except RemoteError as problem:
            complain(host, str(problem))
            return False


def complain(host: Host, text: str) -> None:
    """Tell the person at the terminal what went wrong on a host."""
    for line in text.splitlines():
        host.log_styled(line, fg="red", log_func=logger.error)


def mind_connection(host: Host) -> None:
    """Make the SSH connection fit for many small commands, and have its loss noticed.

    Nagle's algorithm, which paramiko leaves on, costs 40 ms a command. A host that has gone away without a word would
    be waited for until the kernel gives up, after a quarter of an hour or never.
    It reaches for what paramiko does not document, so a connector that is built otherwise is left as it is.
    """
    client = getattr(host.connector, "client", None)
    connection = getattr(getattr(client, "_transport", None), "sock", None)
    if isinstance(connection, socket.socket) and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _GIVES_UP.items():
            if option := getattr(socket, name, None):  # not every system has each
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
    host.connector.run_shell_command = _telling_of_loss(host, host.connector.run_shell_command)  # type: ignore[method-assign]


def _telling_of_loss(host: Host, method: Callable[..., tuple[bool, Any]]) -> Callable[..., tuple[bool, Any]]:
    """A connector's method that says, once, when the connection was lost and what to do; pyinfra's own words are
    "executed 0 commands".

    It raises an OSError for paramiko's EOFError (a host that goes away amid a transfer): pyinfra takes the one for the
    failure of this host, and the other for a mistake in the program, at which the run of all hosts ends with a
    traceback.
    """
    is_told = False

    def tell_if_lost() -> None:
        nonlocal is_told
        if not is_told and not _is_connected(host):
            is_told = True
            complain(host, "the connection is lost: once the host can be reached, run the same command again")

    @wraps(method)
    def call(*arguments: Any, **keywords: Any) -> tuple[bool, Any]:
        route.drop_offered(host)
        succeeded = False
        try:
            succeeded, output = method(*arguments, **keywords)
        except EOFError:
            # paramiko itself may notice that later: until then its destructors write, fail, and print a traceback.
            if transport := _transport(host):
                transport.close()
            raise ConnectionResetError("the connection to the host is lost") from None
        finally:
            if not succeeded:  # as it is for a command of which nothing but the connection has ended
                tell_if_lost()
        return succeeded, output

    return call


def write_script(path: str, mode: str, owner: str = "root:root", parent: str = "755", trial: str = "") -> str:
    """A shell command that puts a file in place at once: whole, with its mode and owner, or not at all.

    It reads the content from standard input as `encoded` makes it.
    Parameters: `mode`, octal digits such as "600"; `owner`, "user:group"; `parent`, the mode of a parent
    directory that has to be made; `trial`, a shell program that fails where the new file, "$new", cannot be used:
    then the old one stays.
    """
    values = {
        "path": path,
        "parent": parent,
        "owner": owner,
        "mode": mode,
        "pattern": f"{path}{UNFINISHED}XXXXXX",
        "refused": f"{path} was not replaced: the new version is invalid (see above)",
    }
    return f"(\ntry_new() {{\n{trial or ':'}\n}}\n{program(values, _WRITE_FILE)})"


def present_script(*paths: str) -> str:
    """A shell script that gives files of the future, written while the clock was ahead, the present time: else what
    reads them would count as started before them, however often it is started.
    """
    # From /: find fails in a directory that it may not enter again, as another user's home.
    return f"env -C / find {' '.join(map(shlex.quote, paths))} -maxdepth 0 -newermt now -exec touch {{}} +"


def encoded(content: bytes) -> str:
    """What `write_script` reads: the number of bytes, by which a connection that breaks off is noticed, and the
    bytes in base64, since pyinfra sends text lines.
    """
    return f"{len(content)}\n{base64.b64encode(content).decode('ascii')}"


def write_now(host: Host, path: str, content: bytes, mode: str, trial: str = "") -> None:
    """Put a file in place from within a step that runs Python, as `write_script` does. Raises RemoteError."""
    run(host, write_script(path, mode, trial=trial), encoded(content))


@operation()
def write_file(path: str, content: bytes, mode: str, trial: str = "") -> Generator[StringCommand, None, None]:
    """Put a file in place atomically, as `write_script` does; entered only where the file on the host differs."""
    yield StringCommand(write_script(path, mode, trial=trial), _stdin=encoded(content))


@operation()
def shell(command: str, stdin: str | None = None) -> Generator[StringCommand, None, None]:
    """Run a shell command; entered only where the host's state asks for it."""
    if stdin is None:
        yield StringCommand(command)
    else:
        yield StringCommand(command, _stdin=stdin)
