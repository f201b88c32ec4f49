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


def test_the_client_for_threads_is_what_make_generated_makes() -> None:
    assert unasync.main("--check") == 0


def test_a_stale_module_is_named_with_the_command_and_left_alone(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = package / "_sync/exchange.py"
    edited.write_text(edited.read_text() + "# by hand\n")
    (package / "_sync/network.py").unlink()
    assert unasync.main("--check") == 1
    told = "stale: client/llm_client/_sync/exchange.py, client/llm_client/_sync/network.py; run `make generated`\n"
    assert capsys.readouterr().err == told
    assert edited.read_text().endswith("# by hand\n")
    assert unasync.main() == 0
    assert unasync.main("--check") == 0


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
