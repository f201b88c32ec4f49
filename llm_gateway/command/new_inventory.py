"""`llm-gateway init`: an inventory and a file of secrets for a first deployment."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from llm_gateway.inputs import settings
from llm_gateway.model import dotenv
from llm_gateway.model.layout import SECRETS

_TEXT = '''\
"""The hosts, made by `llm-gateway init`. More settings of a host go into its data: docs/as-a-package.md, README.md."""

from pathlib import Path as _Path

_secrets = str(_Path(__file__).resolve().with_name("{secrets}"))

# The hosts that run a gateway.
gateways: list = [{gateways}]

# The hosts whose OpenClaw uses one.
openclaw: list = [{openclaw}]
'''


@dataclass(frozen=True)
class Hosts:
    """What a person has said: the hosts, and how SSH goes there."""

    gateways: Sequence[str]
    openclaw: Sequence[str]
    user: str
    has_sudo: bool

    def inventory(self, secrets: str) -> str:
        """The content of the inventory."""
        login = f'"ssh_user": {json.dumps(self.user)}' + (', "_sudo": True' if self.has_sudo else "")
        data = {"gateways": f'{{{login}, "secrets_file": _secrets}}', "openclaw": f"{{{login}}}"}
        groups = {
            name: "".join(f"\n    ({json.dumps(host)}, {data[name]})," for host in hosts) + ("\n" if hosts else "")
            for name, hosts in (("gateways", self.gateways), ("openclaw", self.openclaw))
        }
        return _TEXT.format(secrets=secrets, **groups)


def secret_names() -> list[str]:
    """The names of the provider keys that the declared channels need."""
    return list(dict.fromkeys(channel["key"] for channel in settings.defaults()["gateway_channels"]))


def ask_hosts(gateways: Sequence[str], openclaw: Sequence[str], user: str | None, has_sudo: bool | None) -> Hosts:
    """What the options do not say is asked, where there is a terminal. Raises UsageError where there is none."""
    is_asked = _has_terminal()
    if not gateways and not is_asked:
        raise click.UsageError("--gateway: name the host of the gateway (there is no terminal to ask on)")
    if not gateways:
        gateways = _names(click.prompt("Hosts that get a gateway, with commas between", err=True))
        openclaw = openclaw or _names(
            click.prompt("Hosts whose OpenClaw uses it (Enter: none)", default="", show_default=False, err=True)
        )
        user = user or click.prompt("User of SSH", default="root", err=True)
    user = user or "root"
    if has_sudo is None:
        has_sudo = user != "root"
    return Hosts(gateways, openclaw, user, has_sudo)


def ask_keys() -> dict[str, str]:
    """The provider keys: of the environment, else asked without an echo; "" where they come later."""
    keys = {name: os.environ.get(name, "") for name in secret_names()}
    if _has_terminal():
        for name in [name for name, key in keys.items() if not key]:
            text = f"{name} (not shown; Enter: later)"
            keys[name] = click.prompt(text, default="", show_default=False, hide_input=True, err=True).strip()
    return keys


def require_free(inventory: Path) -> None:
    """Raises UsageError where one of both files is there already, before anything is asked."""
    for path in (inventory, inventory.with_name(SECRETS)):
        if os.path.lexists(path):
            raise click.UsageError(
                f"{path} is there already and is left as it is; name another place: init DIR/hosts.py"
            )


def write(inventory: Path, hosts: Hosts, keys: Mapping[str, str]) -> None:
    """Write both files; the secrets can be read by nobody else from their first byte. Raises UsageError."""
    try:
        known = dotenv.render({name: key for name, key in keys.items() if key})
    except dotenv.DotenvError as problem:
        raise click.UsageError(f"the keys cannot be written: {problem}") from None
    missing = "".join(f"# {name}=\n" for name, key in keys.items() if not key)
    _create(inventory.with_name(SECRETS), f"# Provider keys; the environment wins over them.\n{known}{missing}", 0o600)
    _create(inventory, hosts.inventory(SECRETS), 0o644)


def next_commands(program: Sequence[str], inventory: Path, keys: Mapping[str, str]) -> Iterator[str]:
    """What to type now."""
    if not all(keys.values()):
        yield f"write the keys into {inventory.with_name(SECRETS)}"
    named = [] if inventory == Path("inventory.py") else [str(inventory)]
    yield shlex.join([*program, "deploy", *named])


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _create(path: Path, text: str, mode: int) -> None:
    """Write a file that is new, and has its mode before it has a byte. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise click.UsageError(f"{path} cannot be written: {problem}") from None
