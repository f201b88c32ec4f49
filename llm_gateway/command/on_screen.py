"""A run of pyinfra that writes to our screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import click

from llm_gateway import pyinfra_insides
from llm_gateway.command.screen import Screen
from llm_gateway.pyinfra_insides import Ask, Password


def show_on(screen: Screen, tell_plan: Callable[[Mapping[str, Sequence[str]]], None]) -> None:
    """Have the run write to our screen, in place of pyinfra's own output.

    Parameters: `tell_plan`, tells the steps that would change something, by host.
    """
    import gevent

    def connect(state: Any) -> None:  # the first moment at which the state takes callbacks
        from llm_gateway.command.operation_callbacks import Steps

        state.add_callback_handler(Steps(screen))
        for module in pyinfra_insides.PASSWORDS:
            pyinfra_insides.replace_password_question(module, partial(_ask_clear, screen))
        own["connect_all"](state)

    def tell(state: Any) -> None:
        screen.finish()
        reached = [host for host in state.inventory if host in state.activated_hosts]
        tell_plan({str(host.name): list(_to_come(state, host)) for host in reached})

    own = pyinfra_insides.replace_output(
        {
            "setup_logging": partial(_log_to, screen),
            "connect_all": connect,
            "print_meta": tell,
            "print_results": lambda state: None,
            # Behind the list of changes, pyinfra echoes a paragraph about it.
            "click": SimpleNamespace(echo=lambda *_, **__: None, style=click.style, secho=lambda *_, **__: None),
        }
    )
    pyinfra_insides.replace_question(partial(_ask, screen))
    gevent.spawn(_beat, screen)


def _ask(screen: Screen, before: Ask) -> Ask:
    def ask(message: str) -> bool:
        screen.finish()
        text = screen.words("ask") if message.startswith(pyinfra_insides.CHANGES) else f"{message} "
        click.echo(text, err=True, nl=False)
        try:
            screen.is_declined = bool(input())
        except EOFError:
            screen.is_declined = True
        return not screen.is_declined

    return ask


def _ask_clear(screen: Screen, before: Password) -> Password:
    """Have passwords asked where no live line is."""

    def ask(prompt: str = "Password: ") -> str:
        screen.clear()
        return before(prompt)

    return ask


def _log_to(screen: Screen, level: int, other_level: int | None = None) -> None:
    from pyinfra import logger

    logger.setLevel(level)
    logger.addHandler(screen)
    logger.propagate = False


def _to_come(state: Any, host: Any) -> Iterator[str]:
    """The steps that would change something on a host, as pyinfra itself finds them."""
    for op_hash in state.get_op_order():
        if pyinfra_insides.would_change(state, host, op_hash):
            yield ", ".join(sorted(state.get_op_meta(op_hash).names))


def _beat(screen: Screen) -> None:
    import gevent

    while True:
        gevent.sleep(0.2)
        screen.beat()
