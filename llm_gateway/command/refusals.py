"""What click says of what was typed wrongly, in Chinese; in English click says it itself."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from llm_gateway.command import chinese
from llm_gateway.command.words import Words


def run(command: click.Command, program: str | None, words: Words) -> NoReturn:
    """Carry out what was typed. Ends the process, with click's exit codes."""
    try:
        code = command.main(prog_name=program, standalone_mode=False)
    except click.ClickException as problem:
        _tell(problem)
        code = problem.exit_code
    except click.Abort:
        click.echo(words("aborted"), err=True)
        code = 1
    sys.exit(code)


def _tell(problem: click.ClickException) -> None:
    if isinstance(problem, click.UsageError) and problem.ctx:
        usage = problem.ctx.get_usage().removeprefix("Usage:")
        click.echo(f"用法：{usage}\n查看帮助：{problem.ctx.command_path} --help\n", err=True)
    click.echo(f"错误：{chinese.typed_wrongly(problem.format_message())}", err=True)
