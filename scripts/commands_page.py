"""`docs/commands.md`, which `make generated` makes from what `llm-gateway COMMAND --help` says."""

from __future__ import annotations

import click

from llm_gateway.command import cli

_HEAD = """\
# The command `llm-gateway`

[中文](commands.zh-CN.md)

One command for all that the [runbook](index.md#when-something-is-wrong) does. It runs the same scripts as
`pyinfra INVENTORY deploy.py` and `pyinfra INVENTORY deploys/….py`, which go on working; on hosts there is no
difference.

```sh
llm-gateway deploy                 # in an environment with the wheel, see as-a-package.md
python -m llm_gateway deploy       # from a checkout's root, where nothing has to be installed
```

- **INVENTORY** comes last; without one it is `./inventory.py`. `llm-gateway init` writes one.
- **Output**: one line a step, with its seconds, and one for those of less than 5 s behind each other (a failed run and
  `--dry` name them); what takes longer than 2 s has a live line on a terminal, and a line
  every 10 s in a CI log, which gets no escape codes; it says what is done, since when, and how many MiB of a file have
  gone. At the end stand a table of the hosts and the next command. `-v`
  shows pyinfra's own output instead. [What a run looks like](sessions.md).
- **stdout** has answers alone (`plan`, `status`, `usage`, `history`, `logs`, `alerts`, `deploy --dry`, `--json`); all
  else goes to stderr. `--quiet`: errors alone.
- **Reports**: `status` shows the fleet; [usage](usage.md) tells what was asked for and what it cost.
- **Language**: Chinese where `LC_ALL`, `LC_MESSAGES` or `LANG` begins with `zh`: steps, the table and the next command
  at the end, questions, and why the command refuses what was typed. English stay the answers of `plan`, `status` and
  `history`, what a step says while it works, and reasons that a host or a provider gives. `NO_COLOR` is heeded.
- **Exit codes**: 0 done; 1 failed; 2 typed wrongly; 3 `--check` found something; 130 Ctrl-C; 141 nobody reads
  the answer any more (`… | head -1`), which ends `plan`, `status`, `usage`, `history`, `logs` and `alerts`, and nothing
  else.
- **Completion**: `eval "$(_LLM_GATEWAY_COMPLETE=bash_source llm-gateway)"` in `~/.bashrc`; `zsh_source` in `~/.zshrc`;
  `_LLM_GATEWAY_COMPLETE=fish_source llm-gateway | source` in fish.

Each command but `init` also takes these options of pyinfra:

"""
_FOOT = "`make generated` writes this page from the command's `--help`.\n"
_PYINFRA = "Options of pyinfra:\n"


def text() -> str:
    """The page."""
    helps = {name: _help(name, command) for name, command in cli.main.commands.items()}
    shared = helps["deploy"].partition(_PYINFRA)[2]
    own = [f"## {name}\n\n```text\n{told.partition(_PYINFRA)[0].rstrip()}\n```\n" for name, told in helps.items()]
    return "\n".join([f"{_HEAD}```text\n{shared.rstrip()}\n```\n", *own, _FOOT])


def _help(name: str, command: click.Command) -> str:
    parent = click.Context(cli.main, info_name="llm-gateway")
    return command.get_help(click.Context(command, parent, name, help_option_names=["-h", "--help"], terminal_width=80))
