"""`llm-gateway`: the commands a person types, over the same scripts that `pyinfra INVENTORY deploy.py` runs.

What costs time to import (pyinfra, 0.4 s) is imported once it is known that something is to be run.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from llm_gateway.command import commands, lean_imports, streams
from llm_gateway.command.commands import COMMANDS, PYINFRA_OPTIONS, RAW, Command, Option
from llm_gateway.hosts import early
from llm_gateway.model.checkout import IS_CHECKOUT, ROOT
from llm_gateway.model.checks import in_seconds
from llm_gateway.model.version import VERSION

NAME = "llm-gateway"
DEFAULT_INVENTORY = "inventory.py"
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
_OF_PYINFRA = "pyinfra"


@click.group(context_settings=_CONTEXT)
@click.version_option(VERSION, prog_name=NAME)
def main() -> None:
    """Private, verified LLM gateways on Tailscale hosts, and OpenClaw that uses them.

    \b
    Example: llm-gateway deploy my-hosts.py

    Every command takes the INVENTORY last, or ./inventory.py, and may be run again: it goes on where it was cut off.
    """


class TwoLists(click.Command):
    """A command whose help lists pyinfra's options behind its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Called by click for --help."""
        lists: dict[str, list[tuple[str, str]]] = {"Options": [], "Options of pyinfra": []}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                is_pyinfras = (parameter.name or "").startswith(_OF_PYINFRA)
                lists["Options of pyinfra" if is_pyinfras else "Options"].append(record)
        for title, records in lists.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _name(option: Option | commands.PyinfraOption) -> str:
    """The name of click's parameter: an option of pyinfra or of a script may be called as one of ours is."""
    return f"own_{option.data}" if isinstance(option, Option) else _OF_PYINFRA + option.flags[0].replace("-", "_")


def _own(option: Option) -> click.Option:
    settings: dict[str, Any] = {"metavar": option.metavar or None, "required": option.required, "help": option.help}
    if option.kind.startswith("flag"):
        settings |= {"is_flag": True, "metavar": None}
    elif option.choices:
        settings |= {"type": click.Choice(option.choices), "metavar": None}
    elif option.kind in ("path", "source"):
        settings |= {"type": click.Path()}
    elif option.kind == "integer":
        settings |= {"type": click.IntRange(min=1)}
    return click.Option([option.flag, _name(option)], **settings)


def _pyinfras(option: commands.PyinfraOption) -> click.Option:
    settings: dict[str, Any] = {"multiple": True, "metavar": option.metavar, "help": option.help}
    if option.is_path:
        settings |= {"type": click.Path(exists=True)}
    elif option.metavar in ("N", "PORT", "SECONDS"):
        settings |= {"type": click.IntRange(min=0)}
    elif option.metavar == "NAME=VALUE":
        settings |= {"callback": _require_names}
    elif not option.metavar:
        settings = {"count": True, "help": option.help}
    return click.Option([*option.flags, _name(option)], **settings)


def _require_names(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        if not each.partition("=")[0].isidentifier() or "=" not in each:
            raise click.UsageError("--data: write it as NAME=VALUE")  # without it: it may be a secret
    return given


def _common(command: Command, *, has_screen: bool) -> list[click.Parameter]:
    flags = [
        ("-y", "--yes", "do it without asking") if command.asks else None,
        ("--dry", "--dry", "say what would be done; do nothing") if command.asks else None,
        ("--json", "--json", "JSON on stdout, and nothing else there") if command.has_json is not None else None,
        ("--quiet", "--quiet", "say nothing but errors and the answer") if has_screen else None,
    ]
    return [
        click.Argument(["inventory"], required=False, type=click.Path(), metavar="[INVENTORY]"),
        *(click.Option(list(dict.fromkeys(flag[:2])), is_flag=True, help=flag[2]) for flag in flags if flag),
    ]


def _build(command: Command, *, script: str = "") -> click.Command:
    """The command of click.

    Parameters: `script`, how it is called where it is one of our scripts, which leaves the screen to pyinfra.
    """

    def run(inventory: str | None, **given: Any) -> None:
        _run(command, inventory, given, has_screen=not script)

    called = f"{script} {command.example.partition(' ')[2]}" if script else f"{NAME} {command.example}"
    return TwoLists(
        command.name,
        params=[
            *_common(command, has_screen=not script),
            *map(_own, command.options),
            *map(_pyinfras, PYINFRA_OPTIONS),
        ],
        callback=run,
        help=f"{command.help}\n\n\b\nExample: {called}",
        short_help=command.help,
        context_settings=_CONTEXT,
    )


def run_script(name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Do what the command of that name does, with pyinfra's own output: `python deploys/plan.py INVENTORY …`.

    Parameters: `arguments`, else those of this process.
    """
    early.begin(sys.argv)
    script = shlex.join(["python", sys.argv[0]])
    _build(commands.by_name(name), script=script).main(arguments, prog_name=script)


def _run(command: Command, inventory: str | None, given: dict[str, Any], *, has_screen: bool) -> None:
    context = click.get_current_context()
    place = DEFAULT_INVENTORY if inventory is None else inventory
    if not Path(place).is_file() and place in ("", DEFAULT_INVENTORY):
        make = f", or make one by `{context.find_root().info_name or NAME} init`" if has_screen else ""
        raise click.UsageError(f"there is no ./{DEFAULT_INVENTORY} here: name yours{make}")
    is_json = given.get("json", False)
    if is_json and command.asks and not given["yes"] and not given["dry"]:
        raise click.UsageError("with --json nothing is asked: add -y to carry it out, or --dry to see what it would do")
    flags = {"--json": is_json, **{each.flag: given[_name(each)] for each in command.options}}
    chosen = [flag for flag in command.excluding if flags[flag]]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)}: choose one")
    data = {each.data: value for each in command.options if (value := _value(each, given[_name(each)])) is not None}
    passed = [part for option in PYINFRA_OPTIONS for part in _passed(option, given)]
    is_raw = any(option.startswith(RAW) for option in passed)
    if is_raw and given.get("quiet"):
        raise click.UsageError(
            f"--quiet, and an option that shows pyinfra's own output ({', '.join(RAW)}): leave one out"
        )
    arguments = commands.pyinfra_arguments(
        command,
        data,
        passed,
        is_yes=given.get("yes", False),
        is_dry=given.get("dry", False),
        is_json=is_json,
    )
    if command.repeats and flags[command.repeats]:
        _repeat(command, flags[command.repeats])
    typed = _typed(context)
    streams.heed_readers(only_tells=command.only_tells)
    place, here = commands.seen_from_here(place), Path.cwd()
    if IS_CHECKOUT:
        os.chdir(ROOT)  # pyinfra reads group_data of where it is run, and people edit it there
    words = [*arguments, "--config", str(ROOT / "config.py"), place, str(ROOT / command.script)]
    early.of(place)
    # Ctrl-C while pyinfra is loaded would end in a traceback; config.py takes it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    lean_imports.prepare()
    from llm_gateway.command import running  # which imports pyinfra
    from llm_gateway.command.spelling import Spelling

    spell = Spelling(shlex.split(context.find_root().info_name or NAME), command, inventory) if has_screen else str
    if is_raw or not has_screen:
        running.run(words, typed, spell, here)
    else:
        shown = running.Shown(
            command, typed, [*passed, *([inventory] if inventory else [])], data, given.get("dry", False)
        )
        running.run_on_screen(words, shown, spell, here, is_quiet=given["quiet"])


def _repeat(command: Command, every: str) -> NoReturn:
    """Carry the command out again and again, each time by a process that does it once."""
    from llm_gateway.command import repeating

    datum = next(option.data for option in command.options if option.flag == command.repeats)
    words = repeating.words_again(command.repeats, f"{datum}={every}")
    sys.exit(repeating.repeat(words, in_seconds(every)))


def _typed(context: click.Context) -> list[str]:
    """What a person has typed, to be typed again."""
    return [*shlex.split(context.find_root().info_name or NAME), *sys.argv[1:]]


def _value(option: Option, given: Any) -> str | None:
    """A value as pyinfra takes it by --data: it makes numbers of texts that look like one, unless they are JSON."""
    if option.kind.startswith("flag"):
        return (option.kind.partition("=")[2] or "True") if given else None
    given = option.default if given is None else given
    if given is None:
        return None
    if given == "":
        raise click.UsageError(f"{option.flag}: there is nothing behind it; leave it out, or name a {option.metavar}")
    if option.check:
        try:
            option.check(given)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from None
    if option.kind in ("number", "integer"):
        return str(given)
    is_place = (option.kind == "path" and given != "-") or (option.kind == "source" and "/" in given)
    return json.dumps(_absolute(option, given) if is_place else given, ensure_ascii=False)


def _absolute(option: Option | commands.PyinfraOption, given: str) -> str:
    """Seen from where this was called, which is not where pyinfra runs."""
    try:
        return str(Path(given).expanduser().resolve())
    except (RuntimeError, OSError) as problem:  # ~NAME of nobody, or links in a circle
        name = option.flag if isinstance(option, Option) else option.flags[0]
        raise click.UsageError(f"{name}: {given}: {problem}") from None


def _passed(option: commands.PyinfraOption, given: dict[str, Any]) -> Sequence[str]:
    value = given[_name(option)]
    if not option.metavar:
        return [option.flags[0]] * value
    return [
        part for each in value for part in (option.flags[0], _absolute(option, each) if option.is_path else str(each))
    ]


@main.command(
    cls=TwoLists,
    context_settings=_CONTEXT,
    short_help="Write an inventory and a file of secrets; overwrite nothing.",
)
@click.argument("inventory", required=False, type=click.Path(), metavar="[INVENTORY]")
@click.option("--gateway", "gateways", multiple=True, metavar="HOST", help="a host that gets a gateway")
@click.option("--openclaw", "openclaw", multiple=True, metavar="HOST", help="a host whose OpenClaw uses it")
@click.option("--ssh-user", metavar="USER", help="the user to connect as (root)")
@click.option("--sudo/--no-sudo", "has_sudo", default=None, help="whether that user needs sudo (unless root)")
@click.pass_context
def init(
    context: click.Context,
    inventory: str | None,
    gateways: tuple[str, ...],
    openclaw: tuple[str, ...],
    ssh_user: str | None,
    has_sudo: bool | None,
) -> None:
    """Write an inventory and a file of secrets; overwrite nothing.

    \b
    Example: llm-gateway init --gateway gw1 --openclaw agent1

    What is not said is asked. Keys are asked without an echo, or taken from the environment (DASHSCOPE_API_KEY=…),
    and go to secrets.env beside the inventory, which nobody else can read.
    """
    from llm_gateway.command import new_inventory

    program = shlex.split(context.find_root().info_name or NAME)
    new_inventory.make(program, Path(inventory or DEFAULT_INVENTORY), gateways, openclaw, ssh_user, has_sudo)


for _command in COMMANDS:
    main.add_command(_build(_command))
