"""What can be restored from this machine: a backup of ours, or a gateway's data as people keep them.

That is a directory (`data/` itself, or the one that holds it), a tar archive of one, or a bare one-api.db. All of it is
checked here, before anything is sent; memory stays small whatever the size.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shlex
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pyinfra.api.host import Host

from gateway import streams
from gateway.backups.archive import DATABASE, MANIFEST, Manifest, ManifestError
from gateway.restore import host_sources
from gateway.restore.archive_members import (
    BELONGINGS,
    COMPANIONS,
    DIRECTORY,
    FILE,
    Entry,
    SourceError,
    find_data,
    require_harmless,
    require_ours,
    require_sums,
)

_HEADER = b"SQLite format 3\0"
_UNREADABLE = (tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_MOST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class LocalArchive:
    """A backup of ours on this machine, read to its end."""

    path: Path
    manifest: Manifest

    @property
    def title(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def size(self) -> int:
        """What it takes unpacked, in bytes."""
        return sum(part.size for part in self.manifest.members.values())

    def bring(self, host: Host, directory: str) -> None:
        """Unpack it into an empty directory of the host. Raises StreamError or OSError."""
        with (
            self.path.open("rb") as file,
            streams.open_writer(host, host_sources.unpacking(directory, "-")) as writer,
        ):
            while data := file.read(streams.CHUNK):
                writer.write(data)


@dataclass(frozen=True)
class LocalData:
    """A gateway's data on this machine, in a tar archive or as files: where each part is."""

    path: Path
    places: dict[str, str]
    is_tar: bool
    made_at: datetime
    size: int
    manifest: Manifest | None = None

    @property
    def title(self) -> str:
        """Where it is."""
        return str(self.path)

    def bring(self, host: Host, directory: str) -> None:
        """Send its parts into an empty directory of the host. Raises StreamError or OSError."""
        for name, file in self._files():
            _send(host, file, f"{directory}/{name}")

    def _files(self) -> Iterator[tuple[str, IO[bytes]]]:
        names = {place: name for name, place in self.places.items()}
        if not self.is_tar:
            for place, name in names.items():
                with Path(place).open("rb") as file:
                    yield name, file
            return
        with _reading(self.path) as archive:
            for member in archive:
                if member.name in names and (content := archive.extractfile(member)):
                    yield names[member.name], content


def find(text: str) -> LocalArchive | LocalData:
    """What is at a path of this machine. Raises SourceError."""
    if not text.strip():
        raise SourceError("--data backup= names nothing: say what to restore, or leave it out for the newest backup")
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return _directory(path)
        if not path.is_file():
            raise SourceError(f"there is no such file or directory on this machine{_named_on_host(path)}")
        with path.open("rb") as file:
            start = file.read(len(_HEADER))
        if start == _HEADER:
            return _files(path, {name: str(path.with_name(name)) for name in COMPANIONS} | {DATABASE: str(path)})
        if start.startswith(b"PK"):
            raise SourceError("it is a zip archive: unpack it, and name the directory")
        return _archive(path)
    except (SourceError, ManifestError) as problem:
        raise SourceError(f"{path}: {problem}") from None
    except _UNREADABLE as problem:
        raise SourceError(f"{path} is damaged, cut off, or no archive: {problem}") from None


def _named_on_host(path: Path) -> str:
    """A hint where it looks like the path of something on the host."""
    if not host_sources.is_name(path.name):
        return ""
    return f"; what is in the host's backups/ is named without its path: --data backup={path.name}"


def _directory(path: Path) -> LocalData:
    # Not deeper: a backups/ in it has databases of its own.
    files = [file for folder in (path, path / "data") for file in sorted(folder.glob("*")) if file.is_file()]
    places = find_data([str(file.relative_to(path)) for file in files])
    if "/" not in places[DATABASE]:  # it is `data/` itself
        places = {name: place for name, place in places.items() if name not in BELONGINGS}
    return _files(path, {name: str(path / place) for name, place in places.items()})


def _files(path: Path, places: dict[str, str]) -> LocalData:
    there = {name: place for name, place in places.items() if Path(place).is_file()}
    database = Path(there[DATABASE])
    with database.open("rb") as file:
        _require_database(file)
    made_at = datetime.fromtimestamp(database.stat().st_mtime, UTC)
    return LocalData(path, there, False, made_at, sum(Path(place).stat().st_size for place in there.values()))


def _archive(path: Path) -> LocalArchive | LocalData:
    with _reading(path) as archive:
        first = archive.next()
        if first is None:
            raise SourceError("it is empty")
        if first.name == MANIFEST:
            return _ours(path, archive, first)
    return _theirs(path)


def _ours(path: Path, archive: tarfile.TarFile, first: tarfile.TarInfo) -> LocalArchive:
    content = archive.extractfile(first)
    if content is None or first.size > _MOST_MANIFEST:
        raise SourceError(f"its {MANIFEST} is not one of ours")
    manifest = Manifest.parse(content.read().decode("utf-8", "replace"))
    entries, sums = [_entry(first)], {}
    for member in archive:
        if member is first:
            continue
        entries.append(_entry(member))
        require_harmless(entries[-1:])
        if member.name in manifest.members and (file := archive.extractfile(member)):
            sums[member.name] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    require_ours(entries, manifest)
    require_sums(sums, manifest)
    return LocalArchive(path, manifest)


def _theirs(path: Path) -> LocalData:
    entries, moments = [], {}
    with _reading(path) as archive:
        for member in archive:
            entries.append(_entry(member))
            require_harmless(entries[-1:])
            moments[member.name] = member.mtime
            if member.name.rpartition("/")[2] == DATABASE and (file := archive.extractfile(member)):
                _require_database(file)
    require_harmless(entries)
    sizes = {entry.name: entry.size for entry in entries if entry.kind == FILE}
    places = find_data(sizes)
    made_at = datetime.fromtimestamp(moments[places[DATABASE]], UTC)
    return LocalData(path, places, True, made_at, sum(sizes[place] for place in places.values()))


def _entry(member: tarfile.TarInfo) -> Entry:
    kinds = (
        (member.isreg(), FILE),
        (member.isdir(), DIRECTORY),
        (member.issym(), "symbolic link"),
        (member.islnk(), "hard link"),
        (member.isdev(), "device"),
    )
    return Entry(member.name, next((kind for holds, kind in kinds if holds), "thing of another kind"), member.size)


def _require_database(file: IO[bytes]) -> None:
    if file.read(len(_HEADER)) != _HEADER:
        raise SourceError(f"its {DATABASE} is not an SQLite database, or encrypted")


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar archive from its beginning to its end, which is where gzip has its checksum."""
    with path.open("rb") as raw:
        start = raw.read(6)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), open)
    with closing(opener(path, "rb")) as content:  # type: ignore[operator]
        with tarfile.open(fileobj=content, mode="r|") as archive:
            yield archive
        while content.read(streams.CHUNK):
            pass


def _send(host: Host, file: IO[bytes], target: str) -> None:
    """Send a file's bytes and compare their SHA-256. Raises StreamError."""
    path, summed = shlex.quote(target), hashlib.sha256()
    with streams.open_writer(host, f"umask 077 && cat > {path} && sync {path} && sha256sum < {path}") as writer:
        while data := file.read(streams.CHUNK):
            summed.update(data)
            writer.write(data)
    if writer.output.split()[:1] != [summed.hexdigest()]:
        raise streams.StreamError(f"{target} arrived otherwise than it was sent: run again")
