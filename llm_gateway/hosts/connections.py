"""What a person may get wrong about a connection: a host's failure in words, and no traceback of all hosts' end.

pyinfra takes an error of its own for a host's failure only where that is a `ConnectError` (3.10).
"""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.connectors.ssh import SSHConnector

_KEPT_IN = "~/.ssh"
_NO_KEY = "No authentication methods available"
_MAKE_A_KEY = (
    "there is no key on this machine; make one by `ssh-keygen -t ed25519`, or name one by `ssh_key` in the host's data"
    " (Tailscale SSH takes any key, but pyinfra connects with none)"
)


def watch() -> None:
    """Have SSH connections made with care; for `config.py`."""
    connect = SSHConnector.connect

    def connect_or_tell(self: SSHConnector) -> None:
        try:
            # As OpenSSH does: the keys of hosts that are met for the first time are written there.
            Path(_KEPT_IN).expanduser().mkdir(mode=0o700, exist_ok=True)
        except (OSError, RuntimeError) as problem:  # no home directory, or none of one's own
            raise ConnectError(f"{_KEPT_IN} cannot be made, for the keys of hosts: {problem}") from None
        try:
            connect(self)
        except ConnectError as problem:
            if _NO_KEY not in str(problem):
                raise
            raise ConnectError(f"{problem}: {_MAKE_A_KEY}") from None
        except PyinfraError as problem:
            raise ConnectError(f"{problem}; correct `ssh_key` in the host's data, or --ssh-key") from None
        except (ValueError, OverflowError) as problem:  # such as a port above 65535
            raise ConnectError(f"the host's data for its connection cannot be used: {problem}") from None

    SSHConnector.connect = connect_or_tell  # type: ignore[method-assign]
