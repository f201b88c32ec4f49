"""What can be restored from a host's own backups/: an archive, or what an earlier restore replaced."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pyinfra.api.host import Host

from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.postgresql import counts_of_dump
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.model.layout import DATABASE, DUMP
from llm_gateway.model.shell import program
from llm_gateway.parts.backups import archive
from llm_gateway.parts.backups.archive import MANIFEST, Manifest, ManifestError
from llm_gateway.parts.backups.archive_members import KINDS, Entry, SourceError, require_ours, require_sums

REPLACED = re.compile(r"(replaced|other-image)-[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
"""The name of a directory that keeps what a restore, a migration or a switch to another image has replaced."""
_SCRIPT = Path(__file__).with_name("host_sources.sh")


class OfManifest:
    """What its manifest says of a backup."""

    manifest: Manifest

    @property
    def size(self) -> int:
        """What it takes unpacked, in bytes."""
        return sum(part.size for part in self.manifest.members.values())

    @property
    def made_at(self) -> datetime:
        """When it was made."""
        return self.manifest.made_at

    @property
    def tables(self) -> Mapping[str, int]:
        """The rows of each table."""
        return self.manifest.tables

    @property
    def is_dump(self) -> bool:
        """Whether it is of a PostgreSQL."""
        return self.manifest.is_dump


@dataclass(frozen=True)
class HostArchive(OfManifest):
    """A backup that lies on the host, checked without unpacking it."""

    place: ClassVar[str] = "in backups/ on the host"
    path: str
    manifest: Manifest
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name."""
        return self.path.rpartition("/")[2]

    def bring(self, host: Host, directory: str) -> None:
        """Unpack it into an empty directory of the host. Raises RemoteError."""
        remote.run(host, unpacking(directory, shlex.quote(self.path)))


@dataclass(frozen=True)
class HostDirectory:
    """What an earlier run has replaced."""

    place: ClassVar[str] = HostArchive.place
    path: str
    made_at: datetime
    size: int
    tables: Mapping[str, int]
    is_dump: bool
    notes: tuple[str, ...] = ()
    manifest: Manifest | None = None

    @property
    def title(self) -> str:
        """Its name."""
        return self.path.rpartition("/")[2]

    def bring(self, host: Host, directory: str) -> None:
        """Copy it into an empty directory of the host. Raises RemoteError."""
        remote.run(host, _script("copy", source=self.path, target=directory))


def find(host: Host, backups: str, name: str) -> HostArchive | HostDirectory:
    """What lies under that name in a host's backups/, "latest" for the newest; an archive is read to its end.

    Raises SourceError.
    """
    here = Path(name).exists()
    note = f"one of that name lies in the present directory, too; for that one: --data backup=./{name}" if here else ""
    try:
        names = remote.run(host, _script("names", source=backups))
        if name == "latest":
            newest = archive.newest(names)
            if newest is None:
                raise SourceError(
                    f"there is no backup in {backups} on the host: name one of this machine, --data backup=/path"
                )
            name = newest
        elif name not in names:
            known = ", ".join(f"{each}{_here_too(each)}" for each in sorted(names)[-5:]) or "nothing"
            other = f"; the one in the present directory is named --data backup=./{name}" if here else ""
            raise SourceError(f"{name} is not in {backups} on the host, where there is {known}{other}")
        if REPLACED.fullmatch(name):
            return _directory(host, f"{backups}/{name}", note)
        return _archive(host, f"{backups}/{name}", note)
    except remote.RemoteError as problem:
        raise SourceError(f"{backups} on the host cannot be read: {problem}") from None


def is_name(text: str) -> bool:
    """Whether it is the name of something in a host's backups/, or "latest"; else it is a path."""
    return text == "latest" or bool(archive.NAME.fullmatch(text) or REPLACED.fullmatch(text))


def unpacking(directory: str, source: str) -> str:
    """A shell command that unpacks a checked archive there; `source` is a quoted path, or - for standard input."""
    # Plain names only, as was checked; tar's own care comes on top.
    return (
        f"umask 077 && tar -xzf {source} -C {shlex.quote(directory)} --no-same-owner --no-same-permissions"
        " --no-overwrite-dir --no-recursion"
    )


def _here_too(name: str) -> str:
    """A mark where what is called so on the host is to be had in the present directory, too."""
    return " (also in the present directory)" if Path(name).exists() else ""


def _archive(host: Host, path: str, note: str) -> HostArchive:
    name = path.rpartition("/")[2]
    try:
        lines = remote.run(host, _script("list", source=path))
        entries = [_entry(line.partition(" ")[2]) for line in lines if line.startswith("entry ")]
        if not entries or entries[0].name != MANIFEST:
            raise SourceError(f"its first member is not {MANIFEST}: it is not a backup of ours")
        (encoded,) = (line.partition(" ")[2] for line in lines if line.startswith("manifest "))
        manifest = Manifest.parse(base64.b64decode(encoded).decode("utf-8", "replace"))
        require_ours(entries, manifest)
        sums = (line.split() for line in remote.run(host, _script("sums", source=path)))
        require_sums({part[0]: part[1] for part in sums if len(part) > 1}, manifest)
    except remote.RemoteError as problem:
        raise SourceError(f"{name} is damaged or cut off: {problem}") from None
    except (SourceError, ManifestError) as problem:
        raise SourceError(f"{name}: {problem}") from None
    return HostArchive(path, manifest, (note,) if note else ())


def _entry(line: str) -> Entry:
    """A line of `tar -tv --numeric-owner --full-time --quoting-style=escape`."""
    mode, _, size, _, _, name = line.split(maxsplit=5)
    kind = KINDS.get(mode[0], "thing of another kind")
    return Entry(name, kind, int(size) if size.isdigit() else 0)


def _directory(host: Host, path: str, note: str) -> HostDirectory:
    database, size = remote.run(host, _script("size", source=path))[-2:]
    at = path[path.rindex("/") :].removeprefix("/replaced-").removeprefix("/other-image-")[:16]
    moment = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    try:
        is_dump = bool(remote.run(host, f"[ ! -e {shlex.quote(f'{database}/{DUMP}')} ] || echo yes"))
        file = SQLiteStore(host, f"{database}/{DATABASE}")
        counts = counts_of_dump(host, f"{database}/{DUMP}") if is_dump else file.counts()
    except tables.TablesError as problem:
        raise SourceError(f"{path.rpartition('/')[2]}: {problem}") from None
    return HostDirectory(path, moment, int(size), counts, is_dump, (note,) if note else ())


def _script(function: str, **values: str) -> str:
    return program(values, _SCRIPT, call=function)
