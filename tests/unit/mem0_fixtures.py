"""Fixtures for the tests of mem0: models, the stand-in for One API before them, a real mem0 that cannot report."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from mem0_kit import CHAT, EMBEDDER, Models, serving
from standin_kit import Gateway, Upstream

FOREIGN = ("OPENAI_", "OPENROUTER_", "MEM0_", "QDRANT_", "LLM_", "EMBEDDING_")


@pytest.fixture
def thief() -> Iterator[Upstream]:
    """A server that nothing may ever call."""
    with serving(Upstream()) as server:
        yield server


@pytest.fixture
def memory_models() -> Iterator[Models]:
    server = Models()
    with serving(server):
        yield server


@pytest.fixture
def memory_gateway(tmp_path: Path, memory_models: Models) -> Iterator[Gateway]:
    """The stand-in, with one channel for both models."""
    directory = tmp_path / "one-api"
    directory.mkdir()
    running = Gateway(directory)
    running.add_channel("both", f"{CHAT},{EMBEDDER}", memory_models.url)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def mem0(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The real package; it reads its directory, and whether to report, when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEM0_DIR", str(tmp_path_factory.mktemp("mem0")))
        patch.setenv("MEM0_TELEMETRY", "False")
        module = importlib.import_module("mem0")
    assert importlib.import_module("mem0.memory.telemetry").MEM0_TELEMETRY is False
    return module


@pytest.fixture
def clean_environment() -> Iterator[None]:
    """The process's environment, put back afterwards; nothing of the developer's is in it."""
    before = dict(os.environ)
    for name in before:
        if name.upper().endswith("_PROXY") or name.startswith(FOREIGN):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)
