"""Fixtures for the tests of the stand-in of new-api."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standin_newapi_kit import NewGateway


@pytest.fixture(scope="module")
def new_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewGateway]:
    """A stand-in of new-api with a fresh database and self-use mode, shared by a file's tests."""
    running = NewGateway(tmp_path_factory.mktemp("data")).set_up(SelfUseModeEnabled=True)
    yield running
    running.stop()


@pytest.fixture
def start_new(tmp_path: Path) -> Iterator[Callable[..., NewGateway]]:
    """Start a stand-in of one's own (again and again in the same directory)."""
    running: list[NewGateway] = []

    def begin(**env: str) -> NewGateway:
        for old in running:
            old.stop()
        running[:] = [NewGateway(tmp_path, **env)]
        return running[0]

    yield begin
    for last in running:
        last.stop()
