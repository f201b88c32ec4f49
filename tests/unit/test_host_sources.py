"""What a host keeps in its backups/ is found by its name, whoever has put it there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from gateway import remote
from gateway.restore import host_sources
from gateway.restore.archive_members import SourceError
from gateway.restore.host_sources import HostDirectory


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
    kept.write_bytes(b"rows" * 1000)
    kept.with_name("one-api.db-journal").write_bytes(b"more")
    assert host_sources.is_name(name)
    found = host_sources.find(cast(Any, None), str(backups), name)
    assert isinstance(found, HostDirectory)
    assert (found.title, f"{found.made_at:%Y-%m-%d %H:%M}") == (name, "2026-11-22 10:11")
    assert found.size > 4000
    (target := backups / "target").mkdir()
    found.bring(cast(Any, None), str(target))
    assert sorted(path.name for path in target.iterdir()) == ["one-api.db", "one-api.db-journal"]
    assert (target / "one-api.db").read_bytes() == b"rows" * 1000


def test_one_without_a_database_is_refused(backups: Path) -> None:
    (backups / "other-image-20261122T101100Z").mkdir()
    with pytest.raises(SourceError, match=r"no data/one-api.db"):
        host_sources.find(cast(Any, None), str(backups), "other-image-20261122T101100Z")
