"""Commands on lab hosts over SSH connections that are kept: a new one costs a third of a second of a processor."""

from __future__ import annotations

import subprocess
import tempfile

from lab import keys, state

# In /tmp, not in the checkout: a path of a socket has no more than 107 bytes, unix(7). Each process has its own.
_SOCKETS = tempfile.TemporaryDirectory(prefix="lab-ssh-")
_KEPT_SECONDS = 60
_LOST_SECONDS = 3
_OPTIONS = (
    "ControlMaster=auto",
    f"ControlPath={_SOCKETS.name}/%C",
    f"ControlPersist={_KEPT_SECONDS}",
    "ServerAliveInterval=1",
    f"ServerAliveCountMax={_LOST_SECONDS}",
)
_SSH_FAILED = 255
_NEVER_BEGUN = "mux_client_request_session"
"""What ssh says where the kept connection was lost before it had taken the command."""


def run(host: str, command: str, stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a shell command as root on a host, `timeout` in seconds."""
    line = keys.ssh_command(_host(host), ["sudo", "sh", "-c", command])
    line[1:1] = [f"-o{option}" for option in _OPTIONS]
    done = _run(line, stdin, timeout)
    if done.returncode == _SSH_FAILED and _NEVER_BEGUN in done.stderr:
        done = _run(line, stdin, timeout)
    return done


def _host(name: str) -> state.Host:
    found = state.load_if_any()
    assert found, "the lab is not up"
    return found.hosts[name]


def _run(line: list[str], stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    # Not through pipes: the process that keeps the connection has them, too, and they end only with it.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        code = subprocess.run(
            line, input=stdin or "", stdout=out, stderr=errors, text=True, timeout=timeout, check=False
        ).returncode
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(line, code, out.read(), errors.read())
