"""`llm-gateway init`: an inventory and a file of secrets for a first deployment."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from llm_gateway.command.words import Words, language
from llm_gateway.inputs import inventory_groups, settings
from llm_gateway.inputs.secrets import Provided, SecretsError
from llm_gateway.model import dotenv
from llm_gateway.model.layout import SECRETS

_TEXT = '''\
"""The hosts, made by `llm-gateway init`. More settings of a host go into its data: docs/settings.md."""

from pathlib import Path as _Path

_secrets = str(_Path(__file__).resolve().with_name("{secrets}"))

# The hosts that run a gateway.
gateways: list = [{gateways}]

# The hosts whose OpenClaw uses one{which}.
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
        named = f', "openclaw_gateway": {json.dumps(self.gateways[0])}' if self._is_gateway_named else ""
        return _TEXT.format(
            secrets=secrets,
            gateways=_group((host, f'{{{login}, "secrets_file": _secrets}}') for host in self.gateways),
            openclaw=_group((host, f"{{{login}{'' if host in self.gateways else named}}}") for host in self.openclaw),
            which="; `openclaw_gateway` says which (without it: the one on the host itself)" if named else "",
        )

    @property
    def _is_gateway_named(self) -> bool:
        """Whether a host with OpenClaw alone must say which gateway it uses."""
        return len(self.gateways) > 1 and any(host not in self.gateways for host in self.openclaw)


def make(
    program: Sequence[str],
    inventory: Path,
    gateways: Sequence[str],
    openclaw: Sequence[str],
    user: str | None,
    has_sudo: bool | None,
) -> None:
    """Ask what the options do not say, write both files, and say what to type next. Raises UsageError."""
    words = Words(language(os.environ, sys.stderr.encoding))
    with _exit_130_at_ctrl_c(words):
        _require_free(words, inventory)
        keys = _keys_of_environment(words)
        hosts = _ask_hosts(words, gateways, openclaw, user, has_sudo)
        keys |= _ask_keys(words, [name for name, key in keys.items() if not key])
        _write(words, inventory, hosts, keys)
    click.echo(words("written", inventory=inventory, secrets=_secrets_beside(inventory)), err=True)
    for line in _next_commands(words, program, inventory, keys):
        click.echo(f"{words('next')} {line}", err=True)


def secret_names() -> list[str]:
    """The names of the provider keys that the declared channels need."""
    return list(dict.fromkeys(channel["key"] for channel in settings.defaults()["gateway_channels"]))


@contextmanager
def _exit_130_at_ctrl_c(words: Words) -> Iterator[None]:
    """Of a question, click makes the same Abort of Ctrl-C and of the end of the input, which stays one."""
    # Of a question that hides what is typed, the terminal has to be given back as it was.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as end:
        if not isinstance(end, KeyboardInterrupt) and not isinstance(end.__context__, KeyboardInterrupt):
            raise
        click.echo(f"\n{words('interrupted before')}", err=True)
        raise click.exceptions.Exit(130) from None
    finally:
        signal.signal(signal.SIGINT, former)


def _require_free(words: Words, inventory: Path) -> None:
    """Raises UsageError where one of both files is there or cannot be written, before anything is asked."""
    if inventory.name == SECRETS:
        raise click.UsageError(words("secrets' name", path=inventory))
    for path in (inventory, _secrets_beside(inventory)):
        try:
            path.lstat()
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise click.UsageError(words("not written", path=path, reason=problem.strerror)) from None
        raise click.UsageError(words("there already", path=path))
    directory = inventory.parent
    if not directory.is_dir():
        command = shlex.join(["mkdir", "-p", str(directory)])
        raise click.UsageError(words("no directory", path=directory, command=command))
    if not os.access(directory, os.W_OK | os.X_OK):
        raise click.UsageError(words("not writable", path=directory))


def _ask_hosts(
    words: Words, gateways: Sequence[str], openclaw: Sequence[str], user: str | None, has_sudo: bool | None
) -> Hosts:
    """What the options do not say is asked, where there is a terminal. Raises UsageError where there is none."""
    gateways = _hosts_of_option(words, "--gateway", gateways)
    openclaw = _hosts_of_option(words, "--openclaw", openclaw)
    if not gateways and not _has_terminal():
        raise click.UsageError(words("name a gateway"))
    if not gateways:
        gateways = click.prompt(words("ask gateways"), value_proc=partial(_hosts, words), err=True)
        openclaw = openclaw or click.prompt(
            words("ask openclaw"),
            default="",
            show_default=False,
            value_proc=lambda text: _hosts(words, text) if text.strip() else [],
            err=True,
        )
        user = user or click.prompt(words("ask user"), default="root", value_proc=str.strip, err=True)
    user = user or "root"
    if has_sudo is None:
        has_sudo = user != "root"
    return Hosts(gateways, openclaw, user, has_sudo)


def _hosts_of_option(words: Words, flag: str, given: Sequence[str]) -> list[str]:
    try:
        return list(dict.fromkeys(host for text in given for host in _hosts(words, text)))
    except click.UsageError as problem:
        raise click.UsageError(f"{flag}: {problem.message}") from None


def _hosts(words: Words, text: str) -> list[str]:
    """The hosts that a text names, with commas between. Raises UsageError where a deployment would refuse one."""
    hosts = list(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))
    if not hosts:
        raise click.UsageError(words("no host", text=text))
    for host in hosts:
        user, at, _ = host.partition("@")
        if at and user:
            raise click.UsageError(words("user in host", name=host, user=user))
        if problem := inventory_groups.wrong_host(host):
            raise click.UsageError(problem)
    return hosts


def _keys_of_environment(words: Words) -> dict[str, str]:
    """The provider keys that the environment has; "" for the others. Raises UsageError."""
    try:
        return {name: _key(name, os.environ.get(name, "")) for name in secret_names()}
    except click.UsageError as problem:
        raise click.UsageError(words("key in environment", problem=problem.message)) from None


def _ask_keys(words: Words, names: Iterable[str]) -> dict[str, str]:
    """Those keys, asked without an echo; "" where they come later, as where there is no terminal."""
    return {
        name: click.prompt(
            words("ask key", name=name),
            default="",
            show_default=False,
            hide_input=True,
            value_proc=partial(_key, name),
            err=True,
        )
        if _has_terminal()
        else ""
        for name in names
    }


def _key(name: str, typed: str) -> str:
    """The key without blanks around it. Raises UsageError where a deployment or the file could not take it."""
    key = typed.strip()
    try:
        if key:
            dotenv.quote(Provided(None, {name: key}).require(name))
    except SecretsError as problem:
        raise click.UsageError(str(problem)) from None
    except dotenv.DotenvError as problem:
        raise click.UsageError(f"{name}: {problem}") from None
    return key


def _write(words: Words, inventory: Path, hosts: Hosts, keys: Mapping[str, str]) -> None:
    """Write both files or none; the secrets can be read by nobody else from their first byte. Raises UsageError."""
    known = dotenv.render({name: key for name, key in keys.items() if key})
    missing = "".join(f"# {name}=\n" for name, key in keys.items() if not key)
    secrets = f"# Provider keys; the environment wins over them.\n{known}{missing}"
    with ExitStack() as undo:
        _create(words, _secrets_beside(inventory), secrets, 0o600, undo)
        _create(words, inventory, hosts.inventory(SECRETS), 0o644, undo)
        undo.pop_all()


def _create(words: Words, path: Path, text: str, mode: int, undo: ExitStack) -> None:
    """Write a file that is new, and has its mode before it has a byte. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        undo.callback(path.unlink)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise click.UsageError(words("not written", path=path, reason=problem.strerror)) from None


def _next_commands(words: Words, program: Sequence[str], inventory: Path, keys: Mapping[str, str]) -> Iterator[str]:
    """What to type now."""
    if not all(keys.values()):
        yield words("write keys", secrets=_secrets_beside(inventory))
    named = [] if inventory == Path("inventory.py") else [str(inventory)]
    yield shlex.join([*program, "deploy", *named])


def _group(hosts: Iterable[tuple[str, str]]) -> str:
    """The lines of a group, of each host and its data."""
    lines = "".join(f"\n    ({json.dumps(host)}, {data})," for host, data in hosts)
    return f"{lines}\n" if lines else ""


def _secrets_beside(inventory: Path) -> Path:
    return inventory.parent / SECRETS


def _has_terminal() -> bool:
    return sys.stdin.isatty()
