"""The passwords that pyinfra asks a person for: where nobody can be asked, that is said.

Without a terminal `getpass` ends in an EOFError, which pyinfra and paramiko also raise for a connection that is lost.
"""

from __future__ import annotations

import getpass
import importlib
import os
import sys
from collections.abc import Callable

from pyinfra.api.exceptions import ConnectError


class SudoPasswordError(OSError):
    """sudo on a host wants a password, and nobody can be asked; of an OSError pyinfra makes the host's failure."""


_SUDO = (
    "sudo on this host asks for a password, and there is no terminal to ask on: let it run without one for this user"
    " (NOPASSWD in sudoers), run from a terminal, or put `_sudo_password` into the host's data"
)
_SSH_KEY = (
    "the SSH key has a passphrase, and there is no terminal to ask on: add the key to ssh-agent (`ssh-add`), or put"
    " `ssh_key_password` into the host's data"
)
_OPTION = "a password cannot be asked without a terminal: run from one, or leave out the option that asks for it"

# pyinfra 3.10: each has imported the function by its name. tests/unit/test_passwords.py tells when one has not.
ASKED_BY: dict[str, Callable[[], Exception]] = {
    "pyinfra.connectors.util": lambda: SudoPasswordError(_SUDO),
    "pyinfra.connectors.ssh_util": lambda: ConnectError(_SSH_KEY),
    "pyinfra_cli.cli": lambda: _cli_error(_OPTION),
}
"""The modules that ask, and what each raises where nobody answers."""


def _cli_error(text: str) -> Exception:
    from pyinfra_cli.exceptions import CliError  # which patches Python for gevent where it is imported first

    refused: Exception = CliError(text)
    return refused


def watch() -> None:
    """Have pyinfra ask by `_ask`; for `config.py`."""
    for name, refused in ASKED_BY.items():
        importlib.import_module(name).getpass = _asking(refused)  # type: ignore[attr-defined]


def _asking(refused: Callable[[], Exception]) -> Callable[[str], str]:
    def ask(prompt: str = "Password: ") -> str:
        try:
            if _has_terminal():
                return getpass.getpass(prompt)
        except EOFError:  # Ctrl-D
            raise refused() from None
        if sys.stdin and (line := sys.stdin.readline()):  # as getpass reads one that is handed in by a pipe
            return line.rstrip("\n")
        raise refused()

    return ask


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True
