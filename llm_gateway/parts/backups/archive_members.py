"""What may be in an archive that is to be restored: judged by its list of members, before any of it is unpacked."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_gateway.model import layout
from llm_gateway.model.layout import BACKUPS, COMPANIONS, DATA, DATABASE, SECRETS, Role
from llm_gateway.parts.backups.archive import MANIFEST, Manifest

FILE, DIRECTORY, SYMBOLIC_LINK, HARD_LINK = "file", "directory", "symbolic link", "hard link"
KINDS = {"-": FILE, "d": DIRECTORY, "l": SYMBOLIC_LINK, "h": HARD_LINK, "c": "device", "b": "device", "p": "pipe"}
"""What `tar -tv` says first of a member."""
BELONGINGS = layout.names(Role.RESTORED)
"""What is restored beside the database. They go together: without its secrets the others mean nothing."""
_ASIDE = {BACKUPS, *layout.names(Role.WORK)}
"""Where a gateway's directory holds databases that are not the one that it uses."""
_MOST_MEMBERS = 100_000


class SourceError(Exception):
    """This cannot be restored; the text says why and what fixes it."""


@dataclass(frozen=True)
class Entry:
    """A member of an archive: its name, its kind ("file", "symbolic link", …), its bytes, and where a link leads."""

    name: str
    kind: str
    size: int
    target: str = ""


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
    require_inside(entries)
    for entry in entries:
        if entry.kind not in (FILE, DIRECTORY):
            raise SourceError(f"it has a member {entry.name!r} that is a {entry.kind}: nothing of it is used")


def require_inside(entries: Sequence[Entry]) -> None:
    """Refuse what would be written elsewhere than where it is unpacked. Raises SourceError."""
    if len(entries) > _MOST_MEMBERS:
        raise SourceError(f"it has more than {_MOST_MEMBERS} members: it is not a gateway's")
    for entry in entries:
        if entry.name.startswith(("/", "\\")) or ".." in entry.name.split("/"):
            raise SourceError(f"it has a member {entry.name!r}, which leads out of the archive: nothing of it is used")


def find_data(entries: Iterable[Entry], there: Sequence[str] | None = None) -> dict[str, Entry]:
    """Where a gateway's data are among the files of a directory or archive of another making: by what each is.

    Such as "one-api.db", "one-api.db-wal", "secrets.env", each with its entry; of several of one name the last counts,
    as it does when an archive is unpacked.
    Parameters: `there`, what is to be told of where no database is found; None: the names of the files in `entries`.
    Raises SourceError.
    """
    entries = tuple(entries)
    known = {entry.name: entry for entry in entries if not _ASIDE & {*entry.name.split("/")}}
    databases = sorted(name for name in known if name.rpartition("/")[2] == DATABASE)
    if len(databases) != 1:
        others = [entry.name for entry in entries if entry.kind == FILE] if there is None else there
        found = f"holds {len(databases)} ({', '.join(databases[:3])})" if databases else _held(others)
        near = sorted(name for name in known if name.rpartition("/")[2].startswith(DATABASE)) if not databases else []
        hint = f"; there is {', '.join(near[:3])}: unpack it, and name the file itself" if near else ""
        raise SourceError(
            f"it must hold one {DATABASE}, and {found}: name the directory or archive of one gateway{hint}"
        )
    folder = databases[0].removesuffix(DATABASE)
    above = folder.removesuffix(f"{DATA}/") if f"/{folder}".endswith(f"/{DATA}/") else folder
    places = {DATABASE: databases[0], **{f"{DATABASE}{end}": f"{databases[0]}{end}" for end in COMPANIONS}}
    if above != folder or not folder:  # in `data/` of a gateway's directory, or beside the rest of it
        places |= {name: f"{above}{name}" for name in BELONGINGS}
    found_places = {name: _real(known[place], known) for name, place in places.items() if place in known}
    if SECRETS not in found_places:
        return {name: entry for name, entry in found_places.items() if name not in BELONGINGS}
    return found_places


def _held(names: Sequence[str]) -> str:
    """What there is in place of a database."""
    if not names:
        return "holds no file at all"
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:5])
    return f"holds no such file but {shown}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def _real(entry: Entry, known: Mapping[str, Entry]) -> Entry:
    """The file of a needed member; tar has a second name of a file as a hard link to the first. Raises SourceError."""
    if entry.kind == HARD_LINK:
        named = {posixpath.normpath(name): other for name, other in known.items() if other.kind == FILE}
        if found := named.get(posixpath.normpath(entry.target)):
            return found
    if entry.kind != FILE:
        leads = f" to {entry.target}" if entry.target else ""
        raise SourceError(
            f"its {entry.name} is a {entry.kind}{leads}, not a file: pack the file itself (tar --dereference)"
        )
    return entry
