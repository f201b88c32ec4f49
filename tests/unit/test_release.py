"""`make release`: one commit, one set of bytes; nothing that is not committed, and no version that nobody described."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.model.checkout import ROOT
from llm_gateway.model.version import VERSION
from scripts import release

UV = str(Path(sys.executable).with_name("uv"))
ENTRY = f"## [Unreleased]\n\n## [{VERSION}] - 2027-01-31\n\n- All of it.\n"
WHEELS = {"pyinfra_llm_gateway", "llm_client"}


def git(root: Path, *arguments: str) -> None:
    """Run git as nobody in particular, at a moment of its own."""
    who = {f"GIT_{role}_{what}": "x@y.z" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    when = {"GIT_AUTHOR_DATE": "2027-01-31T12:00:00Z", "GIT_COMMITTER_DATE": "2027-01-31T12:00:00Z"}
    plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(["git", "-C", str(root), *arguments], env={**os.environ, **who, **when, **plain}, check=True)


def commit(root: Path) -> None:
    """Commit all that is there."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "x")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with what is checked."""
    root = tmp_path / "small"
    (root / "llm_gateway/model").mkdir(parents=True)
    (root / "llm_gateway/model/version.py").write_text(f'VERSION = "{VERSION}"\n')
    (root / "CHANGELOG.md").write_text(ENTRY)
    git(tmp_path, "init", "--quiet", str(root))
    commit(root)
    return root


def test_a_commit_whose_version_is_described_can_be_released(small: Path) -> None:
    assert release.check(small) == VERSION
    git(small, "tag", f"v{VERSION}")
    assert release.check(small) == VERSION


def test_what_is_not_committed_is_not_released(small: Path) -> None:
    (small / "new.py").touch()
    with pytest.raises(release.ReleaseError, match=r"what git has not is not released: new\.py; commit it, or"):
        release.check(small)


@pytest.mark.parametrize(
    ("changelog", "told"),
    [
        ("## [Unreleased]\n\n- All of it.\n", f"CHANGELOG.md has no entry for {VERSION}: below `## \\[Unreleased\\]`"),
        (f"## [{VERSION}]\n\n- Undated.\n", "CHANGELOG.md has no entry"),
        (f"## [{VERSION}] - 2027-01-31\n\n## [0.0.9] - 2026-01-01\n\n- x\n", "CHANGELOG.md says nothing of"),
    ],
)
def test_a_version_that_nobody_described_is_not_released(small: Path, changelog: str, told: str) -> None:
    (small / "CHANGELOG.md").write_text(changelog)
    commit(small)
    with pytest.raises(release.ReleaseError, match=told):
        release.check(small)


def test_a_version_is_one_commit(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(small, "tag", f"v{VERSION}")
    (small / "more.py").touch()
    commit(small)
    assert release.main(["check"], small) == 1
    assert (
        capsys.readouterr().err == f"release: v{VERSION} is another commit: raise VERSION in {release.VERSION_FILE}\n"
    )


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """This checkout, as a commit of two repositories in different places, made at different times, with other modes."""
    one = tmp_path_factory.mktemp("one") / "checkout"
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (one / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, one / name)
            (one / name).chmod((ROOT / name).stat().st_mode)
    (one / "CHANGELOG.md").write_text(ENTRY)
    git(one.parent, "init", "--quiet", str(one))
    commit(one)
    other = tmp_path_factory.mktemp("other-place") / "a clone"
    before = os.umask(0o077)
    git(one.parent, "clone", "--quiet", str(one), str(other))
    for file in other.rglob("*.py"):
        os.utime(file, (0, 1_000_000_000))
    (other / "llm_gateway" / "left_behind.pyc").touch()  # which nobody has committed
    yield one, other
    os.umask(before)


@pytest.fixture(scope="module")
def released(copies: tuple[Path, Path]) -> Path:
    """`dist/` of the first."""
    bill = copies[0].parent / "sbom.cdx.json"
    bill.write_text("{}")
    told = release.release(copies[0], sys.executable, bill)
    assert f"Next: git tag -a v{VERSION} -m {VERSION}" in told
    return copies[0] / "dist"


@pytest.mark.slow
def test_two_builds_give_equal_bytes(copies: tuple[Path, Path], released: Path, tmp_path: Path) -> None:
    again = release.build(copies[1], tmp_path, sys.executable)
    assert {file.name.partition("-")[0] for file in again} == WHEELS
    assert len(again) == 4
    for file in again:
        assert file.read_bytes() == (released / file.name).read_bytes(), file.name


@pytest.mark.slow
def test_the_files_are_told_by_their_checksums(released: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", release.SUMS], cwd=released, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(list(released.iterdir())) - 1 == 5


@pytest.mark.slow
def test_nothing_but_the_commit_is_in_a_wheel(released: Path) -> None:
    for wheel in released.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            assert {info.date_time for info in archive.infolist()} == {(2027, 1, 31, 12, 0, 0)}
            assert [name for name in archive.namelist() if "left_behind" in name or "/tests/" in name] == []


@pytest.mark.slow
def test_the_wheels_work_in_an_empty_environment(released: Path, tmp_path: Path) -> None:
    """With the runtime's locked packages and no others; the pages that a failed run names come along."""
    python = tmp_path / "environment/bin/python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])], check=True)
    locked = ["--constraint", str(ROOT / "requirements/runtime.txt")]
    wheels = [str(wheel) for wheel in released.glob("*.whl")]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", str(python), *locked, *wheels], check=True)
    for program, *arguments in (
        ["llm-gateway", "--help"],
        ["llm-client", "--help"],
        ["python", "-m", "llm_gateway", "deploy", "no.py"],
    ):
        done = subprocess.run(
            [str(python.with_name(program)), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
    assert done.returncode == 1
    page = next(line for line in done.stderr.splitlines() if line.startswith("More: ")).removeprefix("More: ")
    assert (tmp_path / page.partition("#")[0]).is_file()
