"""Fixtures for the tests of the stand-in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standin_kit import Gateway, Upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A stand-in with a fresh database, shared by a file's tests."""
    running = Gateway(tmp_path_factory.mktemp("data"))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a stand-in of one's own (again and again in the same directory)."""
    running: list[Gateway] = []

    def begin(**env: str) -> Gateway:
        for old in running:
            old.stop()
        running[:] = [Gateway(tmp_path, **env)]
        return running[0]

    yield begin
    for last in running:
        last.stop()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """An OpenAI-compatible upstream on loopback."""
    server = Upstream()
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
