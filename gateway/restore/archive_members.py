"""What may be in an archive that is to be restored: judged by its list of members, before any of it is unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.backups.archive import DATABASE, MANIFEST, Manifest

FILE, DIRECTORY = "file", "directory"
KINDS = {"-": FILE, "d": DIRECTORY, "l": "symbolic link", "h": "hard link", "c": "device", "b": "device", "p": "pipe"}
"""What `tar -tv` says first of a member."""
COMPANIONS = (f"{DATABASE}-journal", f"{DATABASE}-wal")
"""What SQLite needs beside a database that was copied while it was being written, or whose server was killed."""
BELONGINGS = ("secrets.env", "applied-keys.json", "first-start-done")
"""What is restored beside the database. They go together: without its secrets the others mean nothing."""
_ASIDE = {"backups", "replaced", "previous", "incoming", "trial"}
"""Where a gateway's directory holds databases that are not the one that it uses."""
_MOST_MEMBERS = 100_000


class SourceError(Exception):
    """This cannot be restored; the text says why and what mends it."""


@dataclass(frozen=True)
class Entry:
    """A member of a tar archive: its name, what it is ("file", "symbolic link", ...) and its size in bytes."""

    name: str
    kind: str
    size: int


def require_ours(entries: Sequence[Entry], manifest: Manifest) -> None:
    """Check that an archive holds what its manifest says, and nothing else. Raises SourceError."""
    require_harmless(entries)
    names = [entry.name for entry in entries]
    wanted = {MANIFEST, *manifest.members}
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{', '.join(doubled)} is in it twice: it is not a backup of ours")
    if strangers := sorted({*names} - wanted):
        raise SourceError(f"it holds {', '.join(strangers[:5])}, of which its {MANIFEST} says nothing")
    if missing := sorted(wanted - {*names}):
        raise SourceError(f"{', '.join(missing)} is missing from it: it is cut off, or not a backup of ours")
    for entry in entries:
        if entry.kind != FILE:
            raise SourceError(f"{entry.name} is a {entry.kind} in it, not a file: it is not a backup of ours")
        if entry.name != MANIFEST and entry.size != manifest.members[entry.name].size:
            raise SourceError(
                f"{entry.name} has {entry.size} bytes in it, not {manifest.members[entry.name].size}: it is damaged"
            )


def require_sums(sums: Mapping[str, str], manifest: Manifest) -> None:
    """Check the SHA-256 of every member. Raises SourceError."""
    if wrong := [name for name, part in manifest.members.items() if sums.get(name) != part.sha256]:
        raise SourceError(f"{', '.join(sorted(wrong))}: the SHA-256 is wrong, so it is damaged; take another backup")


def require_harmless(entries: Sequence[Entry]) -> None:
    """Refuse what would be written elsewhere than where it is unpacked, and what is no file. Raises SourceError."""
    if len(entries) > _MOST_MEMBERS:
        raise SourceError(f"it has more than {_MOST_MEMBERS} members: it is not a gateway's")
    for entry in entries:
        if entry.name.startswith(("/", "\\")) or ".." in entry.name.split("/"):
            raise SourceError(f"it has a member {entry.name!r}, which leads out of the archive: nothing of it is used")
        if entry.kind not in (FILE, DIRECTORY):
            raise SourceError(f"it has a member {entry.name!r} that is a {entry.kind}: nothing of it is used")


def find_data(names: Iterable[str]) -> dict[str, str]:
    """Where a gateway's data are among the files of a directory or archive of another making: by what each is.

    Such as {"one-api.db": "./data/one-api.db", "secrets.env": "./secrets.env"}. Raises SourceError.
    """
    known = {name for name in names if not _ASIDE & {*name.split("/")}}
    databases = sorted(name for name in known if name.rpartition("/")[2] == DATABASE)
    if len(databases) != 1:
        found = f"holds {len(databases)} ({', '.join(databases[:3])})" if databases else "holds no such file"
        raise SourceError(f"it must hold one {DATABASE}, and {found}: name the directory or archive of one gateway")
    folder = databases[0].removesuffix(DATABASE)
    above = folder.removesuffix("data/") if f"/{folder}".endswith("/data/") else folder
    places = {DATABASE: databases[0], **{name: f"{folder}{name}" for name in COMPANIONS}}
    if above != folder or not folder:  # in `data/` of a gateway's directory, or beside the rest of it
        places |= {name: f"{above}{name}" for name in BELONGINGS}
    found_places = {name: place for name, place in places.items() if place in known}
    if "secrets.env" not in found_places:
        return {name: place for name, place in found_places.items() if name not in BELONGINGS}
    return found_places
