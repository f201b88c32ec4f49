"""The members of an archive of this machine, tar or zip, one after another: nothing is unpacked by its name."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from llm_gateway.hosts import streams
from llm_gateway.parts.backups.archive_members import DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK, Entry, SourceError
from llm_gateway.tasks.restore import formats


class NoArchiveError(Exception):
    """What a file holds does not begin as an archive does."""


UNREADABLE = (tarfile.TarError, *formats.UNREADABLE)


@dataclass(frozen=True)
class Member:
    """A member: what its list says, when it was changed (seconds since 1970), and its bytes, to be read at once."""

    entry: Entry
    modified: float
    open: Callable[[], IO[bytes] | None]


@contextmanager
def reading(path: Path) -> Iterator[Iterator[Member]]:
    """An archive from its beginning to its end, which is where gzip has its checksum.

    Raises NoArchiveError, and as UNREADABLE says where it is damaged or cut off.
    """
    with path.open("rb") as raw:
        start = formats.head(raw)
    if start.startswith(formats.ZIP):
        with zipfile.ZipFile(path) as archive:
            yield (_of_zip(archive, info) for info in archive.infolist())
        return
    known = formats.compression(start)
    with closing(known.open(path) if known else path.open("rb")) as content:
        try:
            packed = tarfile.open(fileobj=content, mode="r|")  # noqa: SIM115 - closed below
        except tarfile.ReadError:
            raise NoArchiveError from None
        with packed:
            yield (_of_tar(packed, member) for member in packed)
        while content.read(streams.CHUNK):
            pass


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Member:
    kinds = (
        (member.isreg(), FILE),
        (member.isdir(), DIRECTORY),
        (member.issym(), SYMBOLIC_LINK),
        (member.islnk(), HARD_LINK),
        (member.isdev(), "device"),
    )
    kind = next((kind for holds, kind in kinds if holds), "thing of another kind")
    entry = Entry(member.name, kind, member.size, member.linkname)
    return Member(entry, member.mtime, lambda: archive.extractfile(member))


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    kind = DIRECTORY if info.is_dir() else SYMBOLIC_LINK if stat.S_ISLNK(mode) else FILE

    def unpack() -> IO[bytes]:
        if info.flag_bits & 1:
            raise SourceError("it is an encrypted zip archive: unpack it (7z x), and name the directory")
        return archive.open(info)

    return Member(Entry(info.filename, kind, info.file_size), _moment(info), unpack)


def _moment(info: zipfile.ZipInfo) -> float:
    try:
        return datetime(*info.date_time).timestamp()  # a zip has the time of wherever it was packed
    except ValueError:
        return 0.0
