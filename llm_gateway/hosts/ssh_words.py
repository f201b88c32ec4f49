"""How OpenSSH's own client logs in to a host just as pyinfra's connector does."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

from llm_gateway import pyinfra_insides
from llm_gateway.hosts import remote

_UNUSUAL = (
    "ssh_password",
    "ssh_key_password",
    "ssh_forward_agent",
    "ssh_paramiko_connect_kwargs",
    "ssh_connect_retries",
)
"""A host's data that OpenSSH takes otherwise, or not without a question."""
_USUAL = {"hostname", "user", "port", "identityfile"}
"""What a person's own ssh_config may say of the host."""
_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",  # a host that is met for the first time is pyinfra's to judge
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/dev/null",
    "ServerAliveInterval=15",
)


def ssh_words(host: Host) -> list[str] | None:
    """The words of `ssh`, all but the command; None where the host is reached in a way that is not the usual one.

    Usual is a key, of a file or of the agent, a host key that is known, no other host on the way, and a
    sudo that asks for no password. With Tailscale SSH, a login may be somebody's to allow.
    """
    connector = host.connector
    if not isinstance(connector, SSHConnector) or remote.is_tailscale_ssh(host) or _has_sudo_password(host):
        return None
    data: dict[str, Any] = dict(connector.data)
    name = str(data["ssh_hostname"] or host.name)
    own = pyinfra_insides.ssh_config(data["ssh_config_file"], name)
    if any(data[each] for each in _UNUSUAL) or set(own) - _USUAL:
        return None
    login = _login(data, own.get("identityfile"))
    if login is None:
        return None
    known_hosts = Path(data["ssh_known_hosts_file"] or "~/.ssh/known_hosts").expanduser()
    options = [*_OPTIONS, f'UserKnownHostsFile="{known_hosts}"', *login]
    if seconds := host.state.config.CONNECT_TIMEOUT:
        options.append(f"ConnectTimeout={seconds}")
    user = data["ssh_user"] or own.get("user") or getpass.getuser()
    port = data["ssh_port"] or own.get("port") or 22
    return [
        *("ssh", "-T", "-F", "/dev/null", *(part for option in options for part in ("-o", option))),
        *("-p", str(port), "-l", str(user), "--", str(own.get("hostname", name))),
    ]


def _has_sudo_password(host: Host) -> bool:
    """Whether sudo asks for one, be it by the host's data or as it turned out."""
    handed_in = remote.connector_arguments(host).get("_sudo_password")
    return bool(handed_in or host.connector_data.get("prompted_sudo_password"))


def _login(data: dict[str, Any], of_config: list[str] | None) -> list[str] | None:
    """The options for what proves who logs in."""
    if key := data["ssh_key"]:
        path = Path(str(key)).expanduser().resolve()
        return [f'IdentityFile="{path}"', "IdentitiesOnly=yes", "IdentityAgent=none"] if path.is_file() else None
    if not (data["ssh_allow_agent"] and data["ssh_look_for_keys"]):
        return None
    return [f'IdentityFile="{Path(path).expanduser()}"' for path in of_config or ()]
