"""What stood on a host before the first deployment is noted once, and read back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llm_gateway.hosts import before
from llm_gateway.hosts.before import Before
from llm_gateway.model import layout


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BEFORE", str(tmp_path / "var/before"))


def _sh(command: str) -> list[str]:
    done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return done.stdout.splitlines()


def test_a_file_and_what_is_not_there(tmp_path: Path) -> None:
    there, missing = tmp_path / "with a blank", tmp_path / "a/b/c"
    there.write_text("content")
    there.chmod(0o640)
    for path in (there, missing):
        _sh(before.note(str(path)))
    found = before.read(_sh(before.answers()))
    assert found[str(missing)] == Before(None, None, str(tmp_path))
    noted = found[str(there)]
    assert (noted.mode, noted.nearest) == ("640", str(tmp_path))
    assert noted.owner
    assert (tmp_path / "var/before").stat().st_mode & 0o777 == 0o700


def test_the_first_note_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for command in (before.note, before.keep):
        _sh(command(str(path)))
        path.write_text("ours")
    assert before.read(_sh(before.answers()))[str(path)].mode is None
    assert not Path(before.content_of(str(path))).exists()


def test_a_content_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"a": 1}')
    _sh(before.keep(str(path)))
    path.write_text("ours")
    _sh(before.keep(str(path)))
    assert Path(before.content_of(str(path))).read_text() == '{"a": 1}'


def test_where_nothing_was_noted() -> None:
    assert before.read(_sh(f"{before.answers()} || true")) == {}
