"""Running things on a host without leaving a trace of a secret.

What is secret travels on standard input: never in argv (which `ps` shows), never in a temporary file, never in
what pyinfra prints at any verbosity.
"""

from __future__ import annotations

import base64
import shlex
import socket
from collections.abc import Generator
from typing import cast

from pyinfra import logger
from pyinfra.api import StringCommand, operation
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, ConnectorArguments, pop_global_arguments
from pyinfra.api.host import Host


class RemoteError(Exception):
    """A command failed on a host; the text is what it printed last."""


def connector_arguments(host: Host) -> ConnectorArguments:
    """How this host is to be used (sudo and the like), as pyinfra would for an operation."""
    arguments, _ = pop_global_arguments(host.state, host, {})
    return cast(
        ConnectorArguments,
        {key: arguments[key] for key in CONNECTOR_ARGUMENT_KEYS if key in arguments},  # type: ignore[literal-required]
    )


def run(host: Host, command: str, stdin: str | None = None) -> list[str]:
    """Run a shell command, printing nothing.

    Parameters: `stdin`, text that the command reads.
    Returns the lines of its standard output. Raises RemoteError when it fails.
    """
    arguments = connector_arguments(host)
    if stdin is not None:
        arguments["_stdin"] = stdin
    succeeded, output = host.run_shell_command(StringCommand(command), **arguments)
    if not succeeded:
        raise RemoteError("\n".join(output.stderr_lines[-12:] or output.stdout_lines[-12:]) or "no output")
    return list(output.stdout_lines)


def tell(host: Host, text: str) -> None:
    """Tell the person at the terminal something about a host."""
    for line in text.splitlines():
        host.log(line, logger.info)


def complain(host: Host, text: str) -> None:
    """Tell the person at the terminal what went wrong on a host."""
    for line in text.splitlines():
        host.log_styled(line, fg="red", log_func=logger.error)


def without_delay(host: Host) -> None:
    """Switch Nagle's algorithm off on the SSH connection: paramiko leaves it on, at 40 ms a command.

    It reaches for what paramiko does not document, so a connector that is built otherwise is left as it is.
    """
    client = getattr(host.connector, "client", None)
    connection = getattr(getattr(client, "_transport", None), "sock", None)
    if isinstance(connection, socket.socket) and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def write_script(path: str, mode: str, owner: str = "root:root", parent: str = "755") -> str:
    """A shell script that puts a file in place at once: whole, with its mode and owner, or not at all.

    It reads the content from standard input as `encoded` makes it.
    Parameters: `mode`, octal digits such as "600"; `owner`, "user:group"; `parent`, the mode of a parent
    directory that has to be made.
    """
    target = shlex.quote(path)
    return (
        f'directory=$(dirname {target}) && (umask 022 && mkdir -p -m {parent} "$directory") && umask 077 &&'
        f" new=$(mktemp {shlex.quote(path + '.XXXXXX')}) && trap 'rm -f \"$new\"' EXIT && trap 'exit 1' HUP INT TERM &&"
        ' read -r size && base64 -d > "$new" && [ "$(wc -c < "$new")" = "$size" ] &&'
        f' chown {owner} "$new" && chmod {mode} "$new" && sync "$new" && mv -fT "$new" {target}'
    )


def encoded(content: bytes) -> str:
    """What `write_script` reads: the number of bytes, by which a connection that breaks off is noticed, and the
    bytes in base64, since pyinfra sends text lines.
    """
    return f"{len(content)}\n{base64.b64encode(content).decode('ascii')}"


def write_now(host: Host, path: str, content: bytes, mode: str) -> None:
    """Put a file in place from within a step that runs Python. Raises RemoteError."""
    run(host, write_script(path, mode), encoded(content))


@operation()
def write_file(path: str, content: bytes, mode: str, owner: str = "root:root") -> Generator[StringCommand, None, None]:
    """Put a file in place atomically; entered only where the file on the host differs."""
    yield StringCommand(write_script(path, mode, owner), _stdin=encoded(content))


@operation()
def shell(command: str, stdin: str | None = None) -> Generator[StringCommand, None, None]:
    """Run a shell command; entered only where the host's state asks for it."""
    if stdin is None:
        yield StringCommand(command)
    else:
        yield StringCommand(command, _stdin=stdin)
