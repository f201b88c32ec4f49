"""How a command is spelled: our steps name scripts and `--data`, and a person who typed `llm-gateway …` reads that."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from llm_gateway.command.commands import COMMANDS, Command, Option

_BY_SCRIPT = {Path(command.script).stem: command for command in reversed(COMMANDS)}
"""The first where several are of one script: deploy.py is also what `upgrade` runs."""
_VALUE = r"\S*?(?=[.,;:)`]*(?:\s|$))"
_OPTIONS = rf"(?:\s(?:--data\s+[a-z_]+={_VALUE}|--(?!data\b)[a-z]+(?:\s(?:[A-Z]+|gw\d)\b)?))*"
_CALL = re.compile(
    r"(?<![\w./-])`?(?:pyinfra\s+(?:INVENTORY|inventory\.py)\s+|python\s+)?(?:deploys/)?"
    rf"(?P<script>{'|'.join(_BY_SCRIPT)})\.py(?:\s(?:INVENTORY|inventory\.py))?(?P<options>{_OPTIONS})`?"
    r"(?![\w/:=]|\s+by\s)"
)
_DATA = re.compile(rf"--data\s+(?P<name>[a-z_]+)=(?P<value>{_VALUE})")
_PYINFRA = re.compile(r"(?<=run )pyinfra(?= with --)")


class Spelling:
    """A text about commands of pyinfra, as one about those of `llm-gateway`. It is called with the text.

    Parameters: `program`, the words that call it, such as ["python", "-m", "llm_gateway"]; `inventory`, what was typed
    for it, or None; `command`, the one that runs: to it belong options whose script is not named.
    """

    def __init__(self, program: Sequence[str], command: Command, inventory: str | None = None) -> None:
        self._program = shlex.join(program)
        self._command = command
        self._inventory = f" {shlex.quote(inventory)}" if inventory else ""

    def __call__(self, text: str) -> str:
        """The text as the person is to type what it says."""
        text = _CALL.sub(self._call, text)
        text = _PYINFRA.sub(f"`{self._program} {self._command.name}`", text)
        text = _DATA.sub(lambda found: _option(self._command, found["name"], found["value"]), text)
        return self._named.sub(lambda found: f"{self._flags[found['name']]} ", text)

    def _call(self, found: re.Match[str]) -> str:
        command = _BY_SCRIPT[found["script"]]
        options = _DATA.sub(lambda data: _option(command, data["name"], data["value"]), found["options"])
        return f"`{self._program} {command.name}{options}{self._inventory}`"

    @cached_property
    def _flags(self) -> dict[str, str]:
        return {option.data: option.flag for option in self._command.options if not option.kind.startswith("flag")}

    @cached_property
    def _named(self) -> re.Pattern[str]:
        """An option of this command in a text, as a script calls it: `source=gw1`."""
        return re.compile(rf"(?<![\w./-])(?P<name>{'|'.join(self._flags) or '(?!)'})=(?=\S)")


def _option(command: Command, name: str, value: str) -> str:
    """An option of a script, as the command has it; a setting stays one of `--data`."""
    option = next((each for each in command.options if each.data == name), None)
    if option is None or not _takes(option, value):
        return f"--data {name}={value}"
    return option.flag if option.kind.startswith("flag") else f"{option.flag} {value}"


def _takes(option: Option, value: str) -> bool:
    return not option.kind.startswith("flag") or value == (option.kind.partition("=")[2] or "True")
