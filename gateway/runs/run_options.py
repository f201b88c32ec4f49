"""What a script under deploys/ is told by `--data NAME=VALUE`, beside the settings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pyinfra.api import DeployError
from pyinfra.api.state import State

from gateway import settings


def read(state: State, known: Mapping[str, str]) -> dict[str, str]:
    """The options of this run that are no settings, as they were written.

    Parameters: `known`, the script's options and what each means, in words for people.
    Raises DeployError, with the mend, for a name that is neither.
    """
    given = {name: value for name, value in state.inventory.get_override_data().items() if name not in settings.names()}
    if unknown := [name for name in given if name not in known]:
        raise DeployError("\n".join([*(_refusal(name, known) for name in unknown), *_listed(known)]))
    return {name: as_written(value) for name, value in given.items()}


def as_written(value: Any) -> str:
    """The text that pyinfra has made an object of: it reads what looks like JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _refusal(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, [*known, *settings.names()], n=1, cutoff=0.6)
    mend = f"; did you mean {close[0]}?" if close else ""
    return f"--data {name}=…: there is no such option{mend}"


def _listed(known: Mapping[str, str]) -> list[str]:
    if not known:
        return ["This script takes no options of its own."]
    return ["The options of this script:", *(f"  --data {name}=…  {meaning}" for name, meaning in known.items())]
