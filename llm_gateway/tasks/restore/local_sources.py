"""What can be restored from this machine: a backup of ours, or a gateway's data as people keep them.

That is a directory (`data/` itself, or the one that holds it), an archive of one, or a bare database, also compressed.
All of it is checked here, before anything is sent; memory stays small whatever the size.

Which bytes become the gateway's database is decided once: the file and what belongs to it by its own name are copied
aside, SQLite takes in what a killed server left half done, and what comes of that is looked at, shown, and sent.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import posixpath
import pwd
import re
import shlex
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar

from pyinfra.api.host import Host

from llm_gateway.hosts import progress, streams, tables
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.model.layout import COMPANIONS, DATABASE
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.backups.archive import MANIFEST, Manifest, ManifestError
from llm_gateway.parts.backups.archive_members import (
    BELONGINGS,
    DIRECTORY,
    FILE,
    Entry,
    SourceError,
    find_data,
    require_harmless,
    require_inside,
    require_ours,
    require_sums,
)
from llm_gateway.tasks.restore import archive_files, formats, host_sources, write_ahead_log
from llm_gateway.tasks.restore.archive_files import Member

_MOST_MANIFEST = 1 << 20
_MOST_BELONGING = 1 << 20
_NAMES = {DATABASE, *(f"{DATABASE}{end}" for end in COMPANIONS), *BELONGINGS}
_NO_FILES = (
    (stat.S_ISFIFO, "a pipe, which can be read only once: put what comes out of it into a file, and name that"),
    (stat.S_ISSOCK, "a socket: name a file or a directory"),
    (stat.S_ISBLK, "a block device: mount it, and name the directory"),
    (stat.S_ISCHR, "a character device: name a file or a directory"),
)
_OF_THE_MACHINE = (errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Of these a file is no cause."""
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_WAL_MODE = b"\x02\x02"
"""Bytes 18 and 19 of a database that is written through a -wal."""


@dataclass(frozen=True)
class LocalArchive(host_sources.OfManifest):
    """A backup of ours on this machine, read to its end."""

    place: ClassVar[str] = "of this machine"
    path: Path
    manifest: Manifest
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name."""
        return self.path.name

    def bring(self, host: Host, directory: str) -> None:
        """Unpack it into an empty directory of the host. Raises StreamError or OSError."""
        with (
            self.path.open("rb") as file,
            streams.open_writer(host, host_sources.unpacking(directory, "-")) as writer,
        ):
            moved = progress.Moved(host, f"sending {self.path.name}", self.path.stat().st_size)
            while data := file.read(streams.CHUNK):
                writer.write(data)
                moved(len(data))


@dataclass(frozen=True)
class LocalData:
    """A gateway's data of this machine, as they were when they were looked at.

    Args:
        path: where they come from.
        database: the one file that becomes the gateway's, open; it has no name any more.
        belongings: what is restored beside it, by name.
        made_at: when the database was last changed.
        tables: the rows of each table.
        notes: for people, what was taken along, what was left out, what is odd.
    """

    place: ClassVar[str] = "of this machine"
    path: Path
    database: IO[bytes]
    belongings: Mapping[str, bytes] = field(repr=False)
    made_at: datetime
    size: int
    tables: Mapping[str, int]
    notes: tuple[str, ...]
    manifest: Manifest | None = None
    is_dump: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """Where it is, on one line."""
        return _on_one_line(str(self.path))

    def bring(self, host: Host, directory: str) -> None:
        """Send its parts into an empty directory of the host. Raises StreamError or OSError."""
        self.database.seek(0)
        _send(host, self.database, f"{directory}/{DATABASE}")
        for name, content in self.belongings.items():
            _send(host, io.BytesIO(content), f"{directory}/{name}")


def find(text: str) -> LocalArchive | LocalData:
    """What is at a path of this machine. Raises SourceError."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise SourceError(f"{text} is a URL, and none is fetched: download it, and name the file")
    if not text.strip():
        raise SourceError("--data backup= names nothing: say what to restore, or leave it out for the newest backup")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise SourceError(f"{text}: this machine has no user of that name; write the whole path") from None
    try:
        kind = _kind(path, "it")
        if kind is None:
            raise SourceError(f"there is no such file or directory on this machine{_named_elsewhere(path)}")
        return _directory(path) if kind == DIRECTORY else _file(path)
    except (SourceError, ManifestError) as problem:
        raise SourceError(f"{path}: {problem}") from None
    except PermissionError as problem:
        raise SourceError(
            f"{problem.filename or path} cannot be read by {_user()}, who runs this: {problem.strerror}; have it, and"
            " the directories above it, readable for that user, or run as one who may read it"
        ) from None
    except NotImplementedError:
        raise SourceError(
            f"{path} is a zip archive that is compressed in a way that is not read here: unpack it (7z x), and name the"
            " directory"
        ) from None
    except archive_files.UNREADABLE as problem:
        if getattr(problem, "errno", None) in _OF_THE_MACHINE:
            raise SourceError(f"{path} cannot be read: {problem}") from None
        raise SourceError(f"{path} is damaged or cut off: {problem}") from None


def _kind(path: Path, subject: str) -> str | None:
    """FILE or DIRECTORY, None where there is nothing. Raises SourceError where it is something else, or OSError.

    Parameters: `subject`, what it is called where it is refused, such as "its one-api.db-wal".
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise SourceError(f"{subject} is a symbolic link to {path.readlink()}, where nothing is") from None
        return None
    except OSError as problem:
        if problem.errno != errno.ELOOP:
            raise
        raise SourceError(f"{subject} is a symbolic link that leads in a circle: name the file itself") from None
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return DIRECTORY
    raise SourceError(f"{subject} is {next(words for holds, words in _NO_FILES if holds(mode))}")


def _is_file(file: Path) -> bool:
    """Whether one of the files that belong together is there. Raises SourceError where it is and cannot be one."""
    kind = _kind(file, f"its {file.name}")
    if kind == DIRECTORY:
        raise SourceError(f"its {file.name} is a directory (Docker makes one where a file to mount is missing)")
    return kind == FILE


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"  # a container's user without a name


def _named_elsewhere(path: Path) -> str:
    """A hint where it looks like the path of something on a host."""
    if re.match(r"[^/]+:", str(path)):
        return "; what is on another machine is copied here first (scp)"
    if not host_sources.is_name(path.name):
        return ""
    return f"; what is in the host's backups/ is named without its path: --data backup={path.name}"


def _directory(path: Path) -> LocalData:
    # Not deeper: a backups/ in it has databases of its own.
    folders = [path, path / "data"] if _kind(path / "data", "its data") == DIRECTORY else [path]
    files = [file for folder in folders for file in sorted(folder.iterdir()) if _may_be_data(file)]
    there = sorted(file.name for file in path.iterdir())
    places = find_data([Entry(str(file.relative_to(path)), FILE, file.stat().st_size) for file in files], there)
    is_data = "/" not in places[DATABASE].name  # it is `data/` itself
    belongings = {name: path / entry.name for name, entry in places.items() if name in BELONGINGS and not is_data}
    others = [str(file.relative_to(path)) for file in files if _is_other_database(file.name, _head(file))]
    return _of_files(path, path / places[DATABASE].name, belongings, _others_note(places, others))


def _is_other_database(name: str, start: bytes) -> bool:
    """Whether it is one, or is called so, such as one-api.db.gz."""
    return start.startswith(formats.HEADER) or (
        name.startswith(f"{DATABASE}.") and formats.compression(start) is not None
    )


def _others_note(places: Mapping[str, Entry], databases: Iterable[str]) -> str:
    """What to say of the databases beside the one that is restored."""
    others = sorted({*databases} - {places[DATABASE].name})
    named = f"{', '.join(others[:5])}{', …' if len(others) > 5 else ''}"
    return f"left out: {named}, another database beside it; to restore that, name the file itself" if others else ""


def _head(file: Path) -> bytes:
    if not os.access(file, os.R_OK):
        return b""  # what is beside it need not be ours to read
    with file.open("rb") as content:
        return formats.head(content)


def _may_be_data(file: Path) -> bool:
    """Whether it is a file that is looked for, or may be one by another name; what else lies there is left alone."""
    if file.name in _NAMES:
        return _is_file(file)
    return file.name.lower().startswith(DATABASE) and file.is_file()


def _file(path: Path) -> LocalArchive | LocalData:
    with path.open("rb") as file:
        start = formats.head(file)
    if start.startswith(formats.HEADER):
        return _of_files(path, path, {})
    if start.startswith(formats.ZIP):
        return _theirs(path)
    within, inside = "", start
    if known := formats.compression(start):
        with closing(known.open(path)) as content:
            inside = formats.head(content)
        within = f"compressed with {known.name}, and in that "
        if inside.startswith(formats.HEADER):
            return _of_files(path, path, {})
        if again := formats.compression(inside):
            raise SourceError(f"it is {within}compressed with {again.name}: unpack it once, and name what comes out")
    if words := formats.name(inside):
        raise SourceError(f"it is {within}{words}")
    try:
        return _archive(path)
    except archive_files.NoArchiveError:
        raise SourceError(f"it is {within}{formats.told(inside)}") from None


# -- a database and what belongs to it by its own name -----------------------------------------------------------------


def _of_files(path: Path, named: Path, belongings: Mapping[str, Path], others: str = "") -> LocalData:
    """The data whose database is this file, compressed or not."""
    real = named.resolve()  # by which SQLite itself names what belongs to it
    companions = {end: file for end in COMPANIONS if _is_file(file := _companion(real, end))}
    with _Workshop() as workshop:
        files = {"": real, **companions}
        before = {end: _looks(file) for end, file in files.items()}
        for end, file in files.items():
            _unpack(file, workshop.database.with_name(f"{DATABASE}{end}"))
        now = {end: _looks(file) for end, file in files.items()}
        if now != before or any(_companion(real, end).is_file() for end in {*COMPANIONS} - {*companions}):
            raise SourceError(
                "it was written to while it was read: stop what writes to it, or copy it by SQLite (.backup)"
            )
        notes = [others, f"read as {real}" if real != named.absolute() else ""]
        notes += [_companion_note(file, workshop, end) for end, file in companions.items()]
        notes += [
            f"not taken along: {other.name} beside it, which belongs to {other.name.removesuffix(end)}"
            for end in COMPANIONS
            if (other := real.with_name(f"{DATABASE}{end}")).is_file() and other not in companions.values()
        ]
        made_at = max(file.stat().st_mtime for file in files.values())
        return workshop.finish(path, {name: _small(file) for name, file in belongings.items()}, made_at, notes)


def _companion(database: Path, end: str) -> Path:
    """The file of that kind that is its own; of one that was compressed, its own one was, too."""
    with database.open("rb") as file:
        known = formats.compression(formats.head(file))
    if known and database.name.endswith(known.suffix):
        return database.with_name(f"{database.name.removesuffix(known.suffix)}{end}{known.suffix}")
    return database.with_name(f"{database.name}{end}")


def _companion_note(file: Path, workshop: _Workshop, end: str) -> str:
    size = workshop.database.with_name(f"{DATABASE}{end}").stat().st_size
    moment = _moment(file.stat().st_mtime)
    return f"taken along: its {file.name}, {size} bytes, of {moment:%Y-%m-%d %H:%M} UTC"


def _require_journal(journal: Path) -> None:
    """SQLite removes one whose beginning is damaged, and says nothing: what it would have undone stays in the database.

    One that begins with a zero is of a transaction that is over, or has not begun to write.
    """
    with journal.open("rb") as file:
        start = file.read(len(_JOURNAL_MAGIC))
    if start[:1] not in (b"", b"\0") and start != _JOURNAL_MAGIC:
        raise SourceError(
            "its -journal is damaged at its beginning, so that a half-done transaction cannot be undone: take another"
            " copy of both; to restore the database as it is all the same, remove the -journal, and name that"
        )


def _moment(seconds: float) -> datetime:
    """A time since 1970, or that moment where it is none: an archive may say anything."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _on_one_line(text: str) -> str:
    """A text with names of others in it, of which some cannot be shown."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _looks(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unpack(file: Path, target: Path) -> None:
    with file.open("rb") as raw:
        known = formats.compression(formats.head(raw))
    with closing(known.open(file) if known else file.open("rb")) as content:
        _write(content, target)


def _small(file: Path) -> bytes:
    with file.open("rb") as content:
        return _read_small(content, file.name)


def _read_small(content: IO[bytes], name: str) -> bytes:
    found = content.read(_MOST_BELONGING + 1)
    if len(found) > _MOST_BELONGING:
        raise SourceError(f"its {name} is larger than 1 MiB: it is not a gateway's")
    return found


def _write(content: IO[bytes], target: Path) -> None:
    try:
        with target.open("wb") as file:
            shutil.copyfileobj(content, file, streams.CHUNK)
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceError(
            f"no room for a copy in {tempfile.gettempdir()}: set TMPDIR to a directory with room"
        ) from None


class _Workshop:
    """A directory for its owner alone, in which a database is taken together; nothing of it is left at the end."""

    def __enter__(self) -> _Workshop:
        self._directory = tempfile.TemporaryDirectory(prefix="gateway-restore-")
        self.database = Path(self._directory.name) / DATABASE
        return self

    def __exit__(self, *problem: object) -> None:
        self._directory.cleanup()

    def finish(self, path: Path, belongings: Mapping[str, bytes], made_at: float, notes: list[str]) -> LocalData:
        """What SQLite makes of it. Raises SourceError."""
        with self.database.open("rb") as file:
            start = formats.head(file)
        if not start.startswith(formats.HEADER):
            raise SourceError(f"its {DATABASE} is {formats.told(start)}")
        wal = self.database.with_name(f"{DATABASE}-wal")
        if start[18:20] == _WAL_MODE and not wal.exists():
            notes.append("it is one that is written through a -wal, and none is beside it: what was only there is lost")
        elif start[18:20] != _WAL_MODE and wal.exists():
            wal.unlink()  # SQLite would take in any; but only a database that says so itself is written through one
            notes[:] = [note for note in notes if not (note.startswith("taken along") and "-wal, " in note)]
            notes.append("not taken along: the -wal beside it, because the database is not written through one")
        if (journal := self.database.with_name(f"{DATABASE}-journal")).exists():
            _require_journal(journal)
        newest = self._settle(notes)
        try:
            store = SQLiteStore(None, str(self.database))
            verdict, counts, schema = store.examine(), store.counts(), store.schema()
        except tables.TablesError as problem:
            raise SourceError(
                f"its database is damaged ({str(problem).partition(': ')[2]}): take another backup"
            ) from None
        if verdict.damage:
            raise SourceError(
                f"its database is damaged ({verdict.damage}): take another backup, or what `sqlite3 … .recover` saves"
            )
        recognition.require_usable(schema)
        notes += recognition.notes(schema)
        notes += [f"inconsistent, but complete: {what}; to fix it: {fix}" for what, fix in verdict.odd]
        if newest:
            notes.insert(0, f"its newest log row is of {newest:%Y-%m-%d %H:%M} UTC")
        file = self.database.open("rb")
        moment = _moment(made_at)
        size = os.fstat(file.fileno()).st_size + sum(map(len, belongings.values()))
        return LocalData(
            path, file, belongings, moment, size, counts, tuple(_on_one_line(note) for note in notes if note)
        )

    def _settle(self, notes: list[str]) -> datetime | None:
        """Have SQLite take in what lies beside it. Returns when its newest log row was made. Raises SourceError."""
        wal = self.database.with_name(f"{DATABASE}-wal")
        log, wal_size = (write_ahead_log.read(wal), wal.stat().st_size) if wal.exists() else (None, 0)
        size = self.database.stat().st_size
        try:
            with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("COMMIT")
                _, taken, _ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()  # TRUNCATE counts none
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                newest = _newest(connection)
        except sqlite3.Error as problem:
            raise SourceError(f"its database is damaged ({problem}): take another backup") from None
        if busy:
            raise SourceError("SQLite does not take in what is beside it: copy it by SQLite itself (.backup)")
        if log is not None:
            notes.append(log.require_taken(taken, size))
        elif wal_size:
            notes.append("its -wal is nothing but zeros: what was only there is lost")
        return newest


def _newest(connection: sqlite3.Connection) -> datetime | None:
    try:
        ((seconds,),) = connection.execute("SELECT max(created_at) FROM logs")
        return datetime.fromtimestamp(seconds, UTC)
    except (sqlite3.Error, TypeError, ValueError, OverflowError, OSError):
        return None  # no such table, no row, or no time in it


# -- archives ----------------------------------------------------------------------------------------------------------


def _archive(path: Path) -> LocalArchive | LocalData:
    with archive_files.reading(path) as members:
        first = next(members, None)
        if first is None:
            raise SourceError("it is empty")
        if first.entry.name == MANIFEST:
            return _ours(path, first, members)
    return _theirs(path)


def _ours(path: Path, first: Member, members: Iterator[Member]) -> LocalArchive:
    content = first.open()
    if content is None or first.entry.size > _MOST_MANIFEST:
        raise SourceError(f"its {MANIFEST} is not one of ours")
    manifest = Manifest.parse(content.read().decode("utf-8", "replace"))
    entries, sums = [first.entry], {}
    for member in members:
        entries.append(member.entry)
        require_harmless(entries[-1:])
        if member.entry.name in manifest.members and (file := member.open()):
            sums[member.entry.name] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    require_ours(entries, manifest)
    require_sums(sums, manifest)
    return LocalArchive(path, manifest)


def _theirs(path: Path) -> LocalData:
    with archive_files.reading(path) as members:
        entries = []
        for member in members:
            entries.append(member.entry)
            require_inside(entries[-1:])
    require_inside(entries)
    places = find_data(entries)
    names = {entry.name: name for name, entry in places.items()}
    belongings, made_at, databases = {}, 0.0, []
    with _Workshop() as workshop:
        with archive_files.reading(path) as members:
            for member in members:  # of two of one name the last is kept, as when it is unpacked
                name = names.get(member.entry.name)
                if member.entry.kind != FILE or not (content := member.open()):
                    continue
                if name is None:
                    if _is_other_database(member.entry.name.rpartition("/")[2], formats.head(content)):
                        databases.append(member.entry.name)
                elif name in BELONGINGS:
                    belongings[name] = _read_small(content, name)
                else:
                    _write(content, workshop.database.with_name(name))
                    made_at = max(made_at, member.modified)
        notes = [*_archive_notes(entries, places), _others_note(places, databases)]
        return workshop.finish(path, belongings, made_at, notes)


def _archive_notes(entries: list[Entry], places: Mapping[str, Entry]) -> Iterator[str]:
    yield f"it is {places[DATABASE].name} in it"
    for end in COMPANIONS:
        if entry := places.get(f"{DATABASE}{end}"):
            yield f"taken along: its {entry.name}, {entry.size} bytes"
    for entry in places.values():
        if [each.name for each in entries].count(entry.name) > 1:
            yield f"{entry.name} is in it more than once: the last is taken"
    taken = {(name, posixpath.normpath(entry.name)) for name, entry in places.items()}
    links = (entry for entry in entries if entry.kind not in (FILE, DIRECTORY))
    placed = (((posixpath.basename(entry.name), posixpath.normpath(entry.target)), entry) for entry in links)
    if left := [entry for place, entry in placed if place not in taken]:
        named = ", ".join(f"{entry.name} ({entry.kind})" for entry in left[:5])
        yield f"left out, because nothing needs it: {named}{', …' if len(left) > 5 else ''}"


def _left(file: IO[bytes]) -> int:
    """The bytes from where it stands to its end."""
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    return end - here


def _send(host: Host, file: IO[bytes], target: str) -> None:
    """Send a file's bytes and compare their SHA-256. Raises StreamError."""
    path, summed = shlex.quote(target), hashlib.sha256()
    moved = progress.Moved(host, f"sending {posixpath.basename(target)}", _left(file))
    with streams.open_writer(host, f"umask 077 && cat > {path} && sync {path} && sha256sum < {path}") as writer:
        while data := file.read(streams.CHUNK):
            summed.update(data)
            writer.write(data)
            moved(len(data))
    if writer.output.split()[:1] != [summed.hexdigest()]:
        raise streams.StreamError(f"{target}: checksum mismatch after copying; run again")
