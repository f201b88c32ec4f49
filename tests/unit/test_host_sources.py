"""What a host keeps in its backups/ is found by its name, whoever has put it there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.tasks.restore import host_sources
from llm_gateway.tasks.restore.host_sources import HostDirectory
from tests.unit import odd_databases


@pytest.fixture
def backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's backups/, this machine being the host."""

    def run(host: object, command: str) -> list[str]:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()

    monkeypatch.setattr(remote, "run", run)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "place"),
    [("replaced-20261122T101100Z-77", "data/one-api.db"), ("other-image-20261122T101100Z", "one-api.db")],
)
def test_what_was_replaced_is_found_and_brought(backups: Path, name: str, place: str) -> None:
    kept = backups / name / place
    kept.parent.mkdir(parents=True)
    odd_databases.make(kept, *odd_databases.KINDS)
    content = kept.read_bytes()
    assert host_sources.is_name(name)
    found = host_sources.find(cast(Any, None), str(backups), name)
    assert isinstance(found, HostDirectory)
    assert (found.title, f"{found.made_at:%Y-%m-%d %H:%M}") == (name, "2026-11-22 10:11")
    assert found.size > 4000
    assert found.tables == odd_databases.ROWS
    kept.with_name("one-api.db-journal").write_bytes(b"more")
    (target := backups / "target").mkdir()
    found.bring(cast(Any, None), str(target))
    assert sorted(path.name for path in target.iterdir()) == ["one-api.db", "one-api.db-journal"]
    assert (target / "one-api.db").read_bytes() == content


def test_one_without_a_database_is_refused(backups: Path) -> None:
    (backups / "other-image-20261122T101100Z").mkdir()
    with pytest.raises(SourceError, match=r"no data/one-api.db"):
        host_sources.find(cast(Any, None), str(backups), "other-image-20261122T101100Z")


def test_one_that_lies_here_too_is_told_with_its_other_name(backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "replaced-20261122T101100Z"
    monkeypatch.chdir(backups)
    (there := backups / "there").mkdir()
    (there / name).mkdir()
    odd_databases.make(there / name / "one-api.db")
    assert host_sources.find(cast(Any, None), str(there), name).notes == ()
    (backups / name).mkdir()
    missing = "replaced-20251122T101100Z"
    with pytest.raises(SourceError) as refusal:
        host_sources.find(cast(Any, None), str(there), missing)
    assert f"where there is {name} (also in the present directory)" in str(refusal.value)
    assert "named --data" not in str(refusal.value)
    assert f"for that one: --data backup=./{name}" in " ".join(
        host_sources.find(cast(Any, None), str(there), name).notes
    )
    (backups / missing).mkdir()
    with pytest.raises(SourceError, match=rf"not in .*; the one in the present directory is named .*\./{missing}$"):
        host_sources.find(cast(Any, None), str(there), missing)
