"""The lab's SSH key, the known host keys, and the ssh command line."""

import shlex
import subprocess
import sys
from pathlib import Path

from lab.docker import require
from lab.state import Host, directory, make_directory, write_private


def ensure_key(lab: str) -> Path:
    """Return the lab's private key, made if need be; its public half lies beside it."""
    key = make_directory(lab) / "id_ed25519"
    if not key.exists():
        require("ssh-keygen", "openssh-client")
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab}", "-f", str(key)],
            check=True,
        )
    return key


def known_hosts(lab: str) -> Path:
    """Return the file with the lab hosts' keys."""
    return directory(lab) / "known_hosts"


def with_host_key(text: str, address: str, public_key: str) -> str:
    """Return a known_hosts text in which an address has exactly this key.

    Args:
        text: the present content.
        address: the host's address.
        public_key: a line of an ``ssh_host_*_key.pub`` file.
    """
    kept = [line for line in text.splitlines() if line.split(" ")[:1] != [address]]
    kind, key = public_key.split()[:2]
    return "\n".join([*kept, f"{address} {kind} {key}"]) + "\n"


def remember(lab: str, address: str, public_key: str) -> None:
    """Write a host's key into the lab's known_hosts."""
    path = known_hosts(lab)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_private(path, with_host_key(text, address, public_key))


def ssh_command(host: Host, remote: list[str], user: str | None = None) -> list[str]:
    """Return the ssh command line for a command on a host.

    Args:
        host: the lab host.
        remote: no word: a login shell; one word: a line for the remote shell, as ssh takes it;
            several words: exactly these arguments, whatever characters are in them.
        user: another user than the host's ``ssh_user``, such as ``root``.
    """
    line = remote if len(remote) < 2 else [shlex.join(remote)]
    terminal = ["-t"] if sys.stdin.isatty() and not remote else []
    settings = [
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={host.known_hosts}",
        "GlobalKnownHostsFile=none",
        "LogLevel=ERROR",
    ]
    options = [f"-o{setting}" for setting in settings]
    whom = f"{user or host.ssh_user}@{host.lan_address}"
    # "-F none": the person's own ssh configuration has no say in the lab.
    start = ["ssh", "-F", "none", "-i", host.ssh_key, "-p", str(host.ssh_port)]
    return [*start, *terminal, *options, whom, *line]
