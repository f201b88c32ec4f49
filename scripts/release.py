"""`make release`: wheels and sdists of both distributions, the bill of materials and checksums, in `dist/`.

    python -m scripts.release check | make BUILD_PYTHON SBOM

`BUILD_PYTHON`: a Python that has what requirements/release.txt locks; `SBOM`: what `make sbom` has made. `check`: only
say whether there can be a release.

What is built is the commit and nothing beside it: its files as git has them, with its time as that of every file. So
one commit gives the same bytes in every folder, at every time, on every machine whose Python compresses alike (zlib,
not zlib-ng). Each distribution is built twice, and a difference ends it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts import changelog

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = (".", "client")
"""The folders with a pyproject.toml."""
VERSION_FILE = "llm_gateway/model/version.py"
SUMS = "SHA256SUMS"
_DATED = r"^## \[{}\] - \d{{4}}-\d\d-\d\d$"


class ReleaseError(Exception):
    """There can be no release; the text says why, and what to do."""


def check(root: Path) -> str:
    """The version that can be released from here. Raises ReleaseError where none can be."""
    version = _version(root / VERSION_FILE)
    if changed := _git(root, "status", "--porcelain").splitlines():
        named = ", ".join(line[3:] for line in changed[:3]) + (", …" if len(changed) > 3 else "")
        raise ReleaseError(f"what git has not is not released: {named}; commit it, or `git stash -u`")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(_DATED.format(re.escape(version)), text, re.MULTILINE):
        raise ReleaseError(
            f"CHANGELOG.md has no entry for {version}: below `## [{changelog.UNRELEASED}]` write"
            f" `## [{version}] - YYYY-MM-DD` above what is new in it, and commit"
        )
    if not (changelog.entry(text, version) or "").strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}: write what a user can notice, and commit")
    tagged = _git(root, "tag", "--list", f"v{version}").strip()
    if tagged and _git(root, "rev-list", "-n", "1", tagged) != _git(root, "rev-parse", "HEAD"):
        raise ReleaseError(f"{tagged} is another commit: raise VERSION in {VERSION_FILE}")
    return version


def build(root: Path, place: Path, python: str) -> list[Path]:
    """Build all distributions of the commit that `root` is at, into the folder `place`.

    Parameters: `python`, one that has the build backend. Returns the files, by their names.
    """
    epoch = _git(root, "log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory() as folder:
        archive = _run_git(root, "-c", "tar.umask=0022", "archive", "HEAD")
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="tar")
        for distribution in DISTRIBUTIONS:
            _build(Path(folder) / distribution, place, python, epoch)
    return sorted(place.iterdir())


def _build(source: Path, place: Path, python: str, epoch: str) -> None:
    """A wheel and an sdist. Everything that they could take from this machine is given."""
    done = subprocess.run(
        [python, "-I", "-m", "hatchling", "build", "--directory", str(place)],
        cwd=source,
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": epoch, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{source.name} cannot be built: {done.stderr.strip()}")


def build_twice(root: Path, place: Path, python: str) -> list[Path]:
    """As `build`. Raises ReleaseError where a second build differs."""
    files = build(root, place, python)
    with tempfile.TemporaryDirectory() as folder:
        again = build(root, Path(folder), python)
        differing = [
            one.name for one, other in zip(files, again, strict=True) if one.read_bytes() != other.read_bytes()
        ]
    if differing:
        raise ReleaseError(f"built twice, {', '.join(differing)} came out different: two builds must give equal bytes")
    return files


def sums(files: Sequence[Path]) -> str:
    """Their checksums, as `sha256sum -c` reads them."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


def release(root: Path, python: str, sbom: Path) -> str:
    """Make `dist/` anew. Returns what to tell of it. Raises ReleaseError."""
    version = check(root)
    made, place = root / "dist.new", root / "dist"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    files = [*build_twice(root, made, python), made / "sbom.cdx.json"]
    shutil.copyfile(sbom, files[-1])
    (made / SUMS).write_text(sums(files), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)
    commit = _git(root, "rev-parse", "--short", "HEAD").strip()
    client = _version(root / "client/llm_client/version.py")
    return "\n".join(
        [
            f"dist/ has version {version} of commit {commit}, with the client {client}:",
            *(f"  {file.name}" for file in files),
            f"  {SUMS}",
            f"Next: git tag -a v{version} -m {version} && git push origin v{version}",
            f"then put dist/ where people get it; they check it by `sha256sum -c {SUMS}`.",
        ]
    )


def _version(file: Path) -> str:
    found = re.search(r'^VERSION = "([^"]+)"$', file.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ReleaseError(f"{file} names no VERSION")
    return found[1]


def _git(root: Path, *arguments: str) -> str:
    return _run_git(root, *arguments).decode()


def _run_git(root: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Make the release and say what to do next; 1 where there can be none."""
    try:
        if arguments == ["check"]:
            check(root)
        else:
            _, python, sbom = arguments
            print(release(root, str(Path(python).absolute()), Path(sbom)))
    except ReleaseError as problem:
        print(f"release: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
