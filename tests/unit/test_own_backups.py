"""backups/ as people lay it out: behind a link, on a NAS, where there are no modes; followed safely, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts.backups import archive
from llm_gateway.tasks.restore import host_sources
from tests.unit.backup_kit import Backups
from tests.unit.fake_hosts import ROOT
from tests.unit.local_host import TOOLS

SCRIPT = ROOT / "files/own-backups"
USER = 1357
"""Whom One API runs as."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A gateway's directory with data of One API's user."""
    place = tmp_path / "gateway"
    (place / "data").mkdir(parents=True)
    os.chown(place / "data", USER, USER)
    (place / "docker-compose.yml").write_text(f'services:\n  oneapi:\n    user: "{USER}:{USER}"\n')
    return place


def _run(home: Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), str(home)], env={"PATH": path}, capture_output=True, text=True, check=False
    )


def _nothing(home: Path, nas: Path) -> None:
    """A host on which there were no backups yet."""


def _open_to_all(home: Path, nas: Path) -> None:
    (home / "backups").mkdir(mode=0o755)


def _on_a_nas(home: Path, nas: Path) -> None:
    nas.mkdir(mode=0o755)
    (home / "backups").symlink_to(nas)


def _in_a_person_s_home(home: Path, nas: Path) -> None:
    """As of an older gateway that is taken over: all of it is still the person's."""
    for path in (home.parent, home, home / "data"):
        os.chown(path, 1000, 1000)


def _by_two_links(home: Path, nas: Path) -> None:
    _on_a_nas(home, nas)
    (home / "other").symlink_to("backups")
    (home / "backups").rename(home / "first")
    (home / "backups").symlink_to("first")


@pytest.mark.parametrize("lay_out", [_nothing, _open_to_all, _on_a_nas, _by_two_links, _in_a_person_s_home])
def test_it_is_made_for_root_alone_wherever_it_is(home: Path, lay_out: Callable[[Path, Path], None]) -> None:
    lay_out(home, home.parent / "nas")
    for _ in range(2):
        done = _run(home)
        assert (done.returncode, done.stderr) == (0, "")
        assert (home / "backups").stat().st_mode & 0o777 == 0o700


def _not_mounted(home: Path, nas: Path) -> None:
    (home / "backups").symlink_to(nas / "gw1")


def _a_loop(home: Path, nas: Path) -> None:
    (home / "backups").symlink_to(home / "backups")


def _below_the_data(home: Path, nas: Path) -> None:
    (home / "data/backups").mkdir()
    (home / "backups").symlink_to("data/backups")


def _of_one_api(home: Path, nas: Path) -> None:
    _on_a_nas(home, nas)
    os.chown(nas, USER, USER)


def _on_a_way_of_one_api(home: Path, nas: Path) -> None:
    (nas / "mine/backups").mkdir(parents=True)
    os.chown(nas / "mine", USER, USER)
    (home / "backups").symlink_to(nas / "mine/backups")


def _on_a_way_of_everybody(home: Path, nas: Path) -> None:
    (nas / "share/backups").mkdir(parents=True)
    (nas / "share").chmod(0o777)
    (home / "backups").symlink_to(nas / "share/backups")


@pytest.mark.parametrize(
    ("lay_out", "words"),
    [
        (_not_mounted, "leads to {nas}/gw1, which is not there. Is its file system mounted?"),
        (_a_loop, "which is not there"),
        (_below_the_data, "data/backups is One API's: take another place|below the data: take another place"),
        (_of_one_api, "{nas} is One API's: take another place"),
        (_on_a_way_of_one_api, "{nas}/mine is One API's"),
        (_on_a_way_of_everybody, "anybody can write {nas}/share: chmod o-w {nas}/share"),
    ],
)
def test_what_one_api_s_user_could_lead_elsewhere_is_refused(
    home: Path, lay_out: Callable[[Path, Path], None], words: str
) -> None:
    nas = home.parent / "nas"
    lay_out(home, nas)
    before = sorted(str(path) for path in home.parent.rglob("*"))
    done = _run(home)
    assert done.returncode == 1
    assert any(part.format(nas=nas) in done.stderr for part in words.split("|")), done.stderr
    assert sorted(str(path) for path in home.parent.rglob("*")) == before, "nothing is made where it is refused"


@pytest.mark.parametrize(
    ("kind", "fix"),
    [("smb2", "uid=0,gid=0 and dir_mode=0700"), ("msdos", "umask=077 (vfat"), ("nfs", "no_root_squash")],
)
def test_where_there_are_no_modes_it_is_refused_with_the_mount_option(home: Path, kind: str, fix: str) -> None:
    """As such a file system does: chmod fails, or does nothing."""
    _on_a_nas(home, home.parent / "nas")
    programs = home.parent / "bin"
    programs.mkdir()
    real = shutil.which("stat")
    (programs / "chmod").write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
    (programs / "stat").write_text(f'#!/bin/sh\n[ "$1" != -f ] && exec {real} "$@"\necho {kind}\n')
    for stub in programs.iterdir():
        stub.chmod(0o755)
    done = _run(home, f"{programs}:/usr/bin:/bin")
    assert done.returncode == 1
    assert f"can be read by others than root, and its file system ({kind}) takes no modes" in done.stderr
    assert fix in done.stderr
    (home.parent / "nas").chmod(0o700)  # it is mounted so
    assert _run(home, f"{programs}:/usr/bin:/bin").returncode == 0


@pytest.mark.slow
def test_behind_a_link_old_backups_are_removed_and_all_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Backups(tmp_path, TOOLS[0])
    (nas := tmp_path / "nas").mkdir()
    host.directory.symlink_to(nas)
    host.configure(keep=2)
    made = [host.make() for _ in range(4)]
    assert host.names() == [path.name for path in made[-2:]]
    assert sorted(path.name for path in nas.glob("gateway-*")) == host.names()

    def run(_: object, command: str) -> list[str]:
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()

    monkeypatch.setattr(remote, "run", run)
    assert host_sources.find(cast(Any, None), str(host.directory), "latest").title == made[-1].name


@pytest.mark.slow
def test_a_nas_that_is_not_mounted_is_told_and_nothing_is_written_in_its_place(tmp_path: Path) -> None:
    host = Backups(tmp_path, TOOLS[0])
    host.directory.symlink_to(tmp_path / "nas")
    done = host.run()
    assert done.returncode != 0
    assert "which is not there. Is its file system mounted?" in done.stderr
    assert not (tmp_path / "nas").exists()


@pytest.mark.slow
def test_a_database_that_one_api_s_user_has_made_a_link_is_not_followed(tmp_path: Path) -> None:
    host = Backups(tmp_path, TOOLS[0])
    (tmp_path / "root-s.db").write_bytes(host.database.read_bytes())
    host.database.unlink()
    host.database.symlink_to(tmp_path / "root-s.db")
    assert "is a link, which One API's user can lead anywhere" in host.fails()
    assert not [name for name in host.names() if archive.NAME.fullmatch(name)]
