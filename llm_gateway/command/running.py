"""A command that pyinfra carries out, from its first line on our screen to the next command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import pyinfra_cli  # noqa: F401 - patches Python for gevent, before anything else of pyinfra is imported
from pyinfra.context import ctx_state

from llm_gateway import pyinfra_insides
from llm_gateway.command import leaving, on_screen, screen
from llm_gateway.command.commands import Command
from llm_gateway.command.screen import Screen
from llm_gateway.hosts import invocation, progress
from llm_gateway.hosts.interruption import INTERRUPTED
from llm_gateway.model.columns import wrapped


@dataclass(frozen=True)
class Shown:
    """What was asked for.

    Parameters: `typed`, the words of the command; `passed`, those of pyinfra's options and the inventory, which another
    command takes as well; `data`, values of its own options.
    """

    command: Command
    typed: Sequence[str]
    passed: Sequence[str]
    data: Mapping[str, str]
    is_dry: bool


def run(words: Sequence[str], typed: Sequence[str], spell: Callable[[str], str], place: Path) -> NoReturn:
    """Run pyinfra with these words, typed in `place`, with its own output. Ends the process."""
    invocation.typed(typed, spell, place)
    pyinfra_insides.run(words)


def run_on_screen(
    words: Sequence[str], shown: Shown, spell: Callable[[str], str], place: Path, *, is_quiet: bool
) -> NoReturn:
    """Run pyinfra with these words, on our screen. Ends the process with its exit code."""
    os.environ["PYINFRA_PROGRESS"] = "off"
    our_screen = screen.default(is_quiet)
    progress.tell_each(0.0)
    our_screen.spell, our_screen.tells_end = spell, shown.command.asks
    screen.use(our_screen)
    on_screen.show_on(our_screen, lambda to_come: _tell_plan(our_screen, to_come, shown.is_dry))
    try:
        run(words, shown.typed, spell, place)
    except SystemExit as end:
        _tell_end(our_screen, shown, end.code if isinstance(end.code, int) else int(bool(end.code)))
        leaving.leave(end.code)


def _tell_plan(our_screen: Screen, to_come: Mapping[str, Sequence[str]], is_dry: bool) -> None:
    """The steps that would change something; on stdout where they are what was asked for."""
    from llm_gateway.command import ending

    if not to_come:  # no host was reached, which is told elsewhere
        return
    lines = [
        line
        for host, names in to_come.items()
        if names
        for line in wrapped(
            "; ".join(ending.shortened(our_screen, names)), f"{our_screen.words('to come', host=host)}: ", "  "
        )
    ]
    for line in lines or [our_screen.words("nothing to come")]:
        click.echo(line, err=not is_dry)


def _tell_end(our_screen: Screen, shown: Shown, code: int) -> None:
    our_screen.end()
    has_failed = code not in (0, 3)
    if ctx_state.isset() and shown.command.asks and not our_screen.is_declined:
        from llm_gateway.command import ending  # which imports what a run has imported, unless it ended before

        if not ending.tell(our_screen, ctx_state.get()) and has_failed and code != INTERRUPTED:
            our_screen.say(our_screen.words("nothing changed"), is_error=True)
    our_screen.clear()
    if has_failed and not our_screen.is_declined:
        from llm_gateway.command import runbook

        if page := runbook.of_this_run(our_screen.words.language):
            our_screen.say(f"{our_screen.words('more')} {page}", is_error=True)
    if command := _next(shown, has_failed):
        fix = has_failed and code != INTERRUPTED and not our_screen.is_declined
        our_screen.say(f"{our_screen.words('fix' if fix else 'next')} {command}", is_error=has_failed)


def _next(shown: Shown, has_failed: bool) -> str:
    """The command that a person wants to run then, or what there is to do; "" where nothing is."""
    if shown.command.name == "upgrade" and not has_failed and not shown.is_dry:
        return f"`gateway_image = {shown.data['gateway_image']}` into the inventory"
    return shlex.join(invocation.shown(_words(shown, has_failed)))


def _words(shown: Shown, has_failed: bool) -> Sequence[str]:
    if has_failed:
        return shown.typed
    if shown.is_dry:
        return [word for word in (_carry_out(each, shown.typed) for each in shown.typed) if word]
    program = shown.typed[: list(shown.typed).index(shown.command.name)]
    then = shown.command.then
    if shown.command.name == "plan":
        then = "deploy" if _has_differences() else ""
    return [*program, then, *shown.passed] if then else []


def _carry_out(word: str, typed: Sequence[str]) -> str:
    """With JSON on stdout nothing is asked."""
    return word if word != "--dry" else "-y" if "--json" in typed else ""


def _has_differences() -> bool:
    from llm_gateway.tasks import survey

    surveyed = survey.current(ctx_state.get())
    return surveyed is not None and any(gateway.plan for gateway in surveyed.gateways.values())
