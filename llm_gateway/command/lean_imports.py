"""What importing pyinfra 3.10 costs for nothing, in processor time that a run waits for before it can do anything."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

LATER = ("invoke", "pyinfra.operations.server")
"""Modules that are loaded when something of them is used: paramiko's for `Match exec` in an ssh_config, and pyinfra's
for `pyinfra HOST exec`, which brings most of its operations and facts along."""
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""In place of 700: what is imported stays, and was looked through some hundred times."""


def prepare() -> None:
    """Make the import of pyinfra that follows cheap; nothing of it may be imported before.

    What is there afterwards is the same, for other people's steps as well.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # gevent asks a dozen times which packages have a say when it patches Python: all of them are read each time.
    metadata.entry_points = _read_once(metadata.entry_points)
    import pyinfra_cli  # noqa: F401 - patches Python for gevent, before anything else of pyinfra is imported

    for name in LATER:
        _load_later(name)


def _read_once(read: Callable[..., Any]) -> Callable[..., Any]:
    everything = cache(read)

    def entry_points(**selection: Any) -> Any:
        return everything().select(**selection) if selection else everything()

    return entry_points


class _Later(ModuleType):
    """A module that runs when it is first asked for what it does not have yet.

    importlib's LazyLoader is not that lazy before Python 3.13: there, the very import statement runs the module.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def _load_later(name: str) -> None:
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Later
        sys.modules[name] = module
