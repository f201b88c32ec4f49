"""The client for threads is generated: what is stale is told, and written anew on request only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import unasync


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "client/llm_client"
    shutil.copytree(unasync.PACKAGE, copy)
    shutil.copy(unasync.ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(unasync, "ROOT", tmp_path)
    monkeypatch.setattr(unasync, "PACKAGE", copy)
    return copy


def test_words_of_event_loops_are_replaced_in_code_and_docstrings(package: Path) -> None:
    source = package / "_async/network.py"
    source.write_text(
        'async def aembed() -> None:\n    """`AsyncStream`: ``await stream.aclose()``."""\n    await stream.aclose()\n'
    )
    head, rest = unasync.generated("network").split("\n", 1)
    assert head == "# Generated from _async/network.py by `make generated`: change that one."
    assert rest == 'def embed() -> None:\n    """`Stream`: ``stream.close()``."""\n    stream.close()\n'


def test_a_sentence_that_is_gone_is_told(package: Path) -> None:
    source = package / "_async/streams.py"
    source.write_text(source.read_text().replace("An asynchronous", "An"))
    with pytest.raises(SystemExit, match=r"_async/streams\.py: `An asynchronous` is gone"):
        unasync.generated("streams")
