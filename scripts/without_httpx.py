"""A pytest plugin: httpx and httpcore cannot be imported, as on a machine that has httpx2 in their place."""

from __future__ import annotations

import sys

import pytest

_HIDDEN = ("httpx", "httpcore")


def pytest_configure() -> None:
    loaded = [name for name in _HIDDEN if sys.modules.get(name) is not None]
    if loaded:
        raise pytest.UsageError(f"{', '.join(loaded)} was imported before it could be hidden")
    for name in _HIDDEN:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it is a ModuleNotFoundError


def pytest_report_header() -> str:
    from llm_client.http_library import httpx

    return f"the client runs on {httpx.__name__} {httpx.__version__}"
