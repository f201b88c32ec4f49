"""All that our command needs of pyinfra's insides (3.10). tests/unit/test_pyinfra_adapter.py holds it to that version.

pyinfra has no call that runs a deploy file with a logger and a question of somebody's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn

import click

from llm_gateway.command.screen import Screen
from llm_gateway.model import passwords

REPLACED = ("setup_logging", "connect_all", "print_meta", "print_results", "_do_confirm", "click")
"""The names in pyinfra_cli.cli that our screen stands for."""
CHANGES = "Detected changes"
"""What the question begins with that is asked before anything is changed; the others are about failures."""


def run(arguments: Sequence[str]) -> NoReturn:
    """Do what `pyinfra ARGUMENTS` does, in this process. Ends it with pyinfra's exit code."""
    import pyinfra_cli.main  # its package patches Python for gevent, before anything else of pyinfra is imported

    sys.argv[:] = ["pyinfra", *arguments]
    pyinfra_cli.main.main()
    sys.exit(0)


def show_on(screen: Screen, tell_plan: Callable[[Mapping[str, Sequence[str]]], None]) -> None:
    """Have the run write to our screen, in place of pyinfra's own output.

    Parameters: `tell_plan`, tells the steps that would change something, by host.
    """
    import gevent
    import pyinfra_cli.cli

    connect_all = pyinfra_cli.cli.connect_all

    def connect(state: Any) -> None:  # the first moment at which the state takes callbacks
        from llm_gateway.command.operation_callbacks import Steps

        state.add_callback_handler(Steps(screen))
        _ask_clear(screen)
        connect_all(state)

    def ask(message: str) -> bool:
        screen.finish()
        text = screen.words("ask") if message.startswith(CHANGES) else f"{message} "
        click.echo(text, err=True, nl=False)
        try:
            screen.is_declined = bool(input())
        except EOFError:
            screen.is_declined = True
        return not screen.is_declined

    def tell(state: Any) -> None:
        screen.finish()
        reached = [host for host in state.inventory if host in state.activated_hosts]
        tell_plan({str(host.name): list(_to_come(state, host)) for host in reached})

    # Behind the list of changes, pyinfra echoes a paragraph about it.
    silent = SimpleNamespace(echo=lambda *_, **__: None, style=click.style, secho=lambda *_, **__: None)
    stand_ins = (partial(_log_to, screen), connect, tell, lambda state: None, ask, silent)
    for name, stand_in in zip(REPLACED, stand_ins, strict=True):
        setattr(pyinfra_cli.cli, name, stand_in)
    gevent.spawn(_beat, screen)


def _ask_clear(screen: Screen) -> None:
    """Have passwords asked where no live line is."""

    def asking(ask: Callable[[str], str], prompt: str = "Password: ") -> str:
        screen.clear()
        return ask(prompt)

    for name in passwords.ASKED_BY:
        module: Any = sys.modules[name]
        module.getpass = partial(asking, module.getpass)


def _log_to(screen: Screen, level: int, other_level: int | None = None) -> None:
    from pyinfra import logger

    logger.setLevel(level)
    logger.addHandler(screen)
    logger.propagate = False


def _to_come(state: Any, host: Any) -> Iterator[str]:
    """The steps that would change something on a host, as pyinfra itself finds them."""
    for op_hash in state.get_op_order():
        if op_hash in state.ops[host] and state.ops[host][op_hash].operation_meta._maybe_is_change:
            yield ", ".join(sorted(state.get_op_meta(op_hash).names))


def _beat(screen: Screen) -> None:
    import gevent

    while True:
        gevent.sleep(0.2)
        screen.beat()
