"""What a script under deploys/ is told by `--data NAME=VALUE`, beside the settings."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pyinfra.api import DeployError
from pyinfra.api.state import State

from llm_gateway.inputs import renamed
from llm_gateway.inputs.settings import SETTINGS
from llm_gateway.model.suggestion import suggest


def read(state: State, known: Mapping[str, str], values: Collection[str] = ()) -> dict[str, str]:
    """The options of this run that are no settings, as they were written.

    Parameters: `known`, the script's options and what each means, in words for people; `values`, those of them that are
    numbers or truth values. The others are names and paths, of which each letter counts.
    Raises DeployError, with the fix, for a name that is neither, and for a text that is not known as it was written.
    """
    given = {name: value for name, value in state.inventory.get_override_data().items() if name not in SETTINGS}
    if unknown := [name for name in given if name not in known]:
        raise DeployError("\n".join([*(_refusal(name, known) for name in unknown), *_listed(known)]))
    if problems := [problem for name, value in given.items() for problem in _problems(name, value, name in values)]:
        raise DeployError("\n".join([*problems, "Nothing was changed."]))
    return {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _problems(name: str, value: Any, is_value: bool) -> Iterator[str]:
    """What keeps a text from being used. pyinfra 3.10 makes an object of all that Python's int or JSON reads, so that
    1.10 is 1.1, 0123 is 123, and True is true: the name of something else.
    """
    if not isinstance(value, str) and not is_value:
        yield (
            f"--data {name}={_text(value)}: pyinfra reads this as {_kind(value)}, so it may not be what you typed;"
            f" write a path as {name}=./NAME, and a name in quotes: --data '{name}=\"NAME\"'"
        )
    shown = _text(value).encode("utf-8", "backslashreplace").decode()
    if shown != _text(value):
        yield (
            f"--data {name}={shown}: it has bytes that are not UTF-8, which neither a host's journal nor a"
            " command can hold; rename what it names"
        )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    return "JSON"


def _refusal(name: str, known: Mapping[str, str]) -> str:
    if note := renamed.note(name):
        return f"--data {name}=…: this {note}"
    return f"--data {name}=…: there is no such option{suggest(name, [*known, *SETTINGS])}"


def _listed(known: Mapping[str, str]) -> list[str]:
    if not known:
        return ["This script takes no options of its own."]
    return ["The options of this script:", *(f"  --data {name}=…  {meaning}" for name, meaning in known.items())]
