"""The passwords that pyinfra asks a person for: where nobody can be asked, that is said.

Without a terminal `getpass` ends in an EOFError, which pyinfra and paramiko also raise for a connection that is lost.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from functools import partial

from pyinfra.api.exceptions import ConnectError

from llm_gateway import pyinfra_insides
from llm_gateway.pyinfra_insides import Password


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

_REFUSALS: tuple[Callable[[], Exception], ...] = (
    lambda: SudoPasswordError(_SUDO),
    lambda: ConnectError(_SSH_KEY),
    lambda: pyinfra_insides.refusal(_OPTION),
)
"""What each of `PASSWORDS` raises where nobody answers."""


def watch() -> None:
    """Have passwords asked so; for `config.py`."""
    for module, refused in zip(pyinfra_insides.PASSWORDS, _REFUSALS, strict=True):
        pyinfra_insides.replace_password_question(module, partial(_asking, refused))


def _asking(refused: Callable[[], Exception], before: Password) -> Password:
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
