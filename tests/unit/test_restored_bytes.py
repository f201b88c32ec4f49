"""What is restored is what was asked for: which bytes of this machine become the database, and what is told of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.tasks.restore import formats, local_sources
from llm_gateway.tasks.restore.local_sources import LocalData
from tests.unit import odd_databases

ASKED, OTHER = "what was asked for", "the live gateway's"


@pytest.fixture(autouse=True)
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases are taken together: nothing may be left there."""
    (place := tmp_path / "workshop").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (place := tmp_path / "home").mkdir()
    return place


def _write(path: Path, *names: str, mode: str = "DELETE") -> Path:
    """A whole database with these users."""
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute(f"PRAGMA journal_mode = {mode}")
        made.execute("CREATE TABLE users (name TEXT)")
        made.execute("CREATE TABLE logs (created_at INTEGER)")
        made.execute("INSERT INTO logs VALUES (1757000000)")
        made.executemany("INSERT INTO users VALUES (?)", [(name,) for name in names])
    return path


def _killed(path: Path, *names: str, statement: str = "INSERT INTO users VALUES ('from the wal')") -> Path:
    """A database whose server was killed: some of it is only in its -wal."""
    spare = path.with_name("spare.db")
    _write(spare, *names, mode="WAL")
    with closing(sqlite3.connect(spare, isolation_level=None)) as live:
        live.execute("PRAGMA wal_autocheckpoint = 0")
        live.executescript(statement)
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{spare}{end}", f"{path}{end}")
    for left in path.parent.glob("spare.db*"):
        left.unlink()
    return path


def _users(found: object, tmp_path: Path) -> list[str]:
    """The users in the bytes that would be sent."""
    assert isinstance(found, LocalData)
    sent = tmp_path / "sent.db"
    found.database.seek(0)
    sent.write_bytes(found.database.read())
    with closing(sqlite3.connect(f"file:{sent}?immutable=1", uri=True)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM users ORDER BY name")]


def _notes(found: object) -> str:
    assert isinstance(found, LocalData)
    return "\n".join(found.notes)


def test_a_copy_beside_a_live_database_is_restored_without_the_wal_of_that(home: Path, tmp_path: Path) -> None:
    asked = _write(home / "one-api-2025.db", ASKED)
    _killed(home / "one-api.db", OTHER)
    found = local_sources.find(str(asked))
    assert _users(found, tmp_path) == [ASKED]
    assert "not taken along: one-api.db-wal beside it, which belongs to one-api.db" in _notes(found)
    assert "taken along: its" not in _notes(found)
    assert "newest log row is of 2025-09-04" in _notes(found)


@pytest.mark.parametrize("name", ["one-api.db", "one-api-2025.db", "data.sqlite", "中 文.db"])
def test_what_belongs_to_it_by_its_own_name_is_taken_along_and_told(home: Path, tmp_path: Path, name: str) -> None:
    asked = _killed(home / name, ASKED)
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    found = local_sources.find(str(asked))
    assert _users(found, tmp_path) == ["from the wal", ASKED]
    assert isinstance(found, LocalData)
    assert found.tables["users"] == 2
    assert f"taken along: its {name}-wal" in _notes(found)
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before, "what a person keeps stays as it is"


@pytest.mark.parametrize("pack", [False, True])
def test_the_wal_of_another_database_under_its_own_name_is_left_out(home: Path, tmp_path: Path, pack: bool) -> None:
    _killed(home / "live.db", OTHER)
    asked = _write(home / "one-api.db", ASKED)
    (home / "live.db-wal").rename(home / "one-api.db-wal")  # as when a copy is put in the place of a live one
    if pack:
        asked = tmp_path / "home.tar"
        asked.write_bytes(_tar(home))
    found = local_sources.find(str(asked))
    assert _users(found, tmp_path) == [ASKED]
    assert "not taken along: the -wal beside it, because the database is not written through one" in _notes(found)
    assert "taken along: its" not in _notes(found)


def test_a_link_is_followed_as_sqlite_does_and_told(home: Path, tmp_path: Path) -> None:
    (home / "kept").mkdir()
    _killed(home / "kept/one-api-2025.db", ASKED)
    (home / "one-api.db").symlink_to("kept/one-api-2025.db")
    (home / "one-api.db-wal").write_bytes(b"of another")
    for path in (home / "one-api.db", home):
        found = local_sources.find(str(path))
        assert _users(found, tmp_path) == ["from the wal", ASKED]
        assert f"read as {home}/kept/one-api-2025.db" in _notes(found)


def test_an_open_transaction_of_a_killed_server_is_undone(home: Path, tmp_path: Path) -> None:
    live = _write(home / "live.db", ASKED)
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.executescript(
            "PRAGMA cache_size = 1; BEGIN; UPDATE users SET name = hex(randomblob(9000));"
            "CREATE TABLE more AS SELECT hex(randomblob(90000)) AS x;"
        )
        for end in ("", "-journal"):
            shutil.copy(f"{live}{end}", f"{home}/old.db{end}")
    found = local_sources.find(str(home / "old.db"))
    assert _users(found, tmp_path) == [ASKED]
    assert "taken along: its old.db-journal" in _notes(found)


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": formats.zstd.compress,
}


def _tar(place: Path, packer: Callable[[bytes], bytes] = bytes, *links: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(place, "oneapi")
        for link in links:
            archive.addfile(link)
    return packer(made.getvalue())


def _linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = kind, target
    return link


@pytest.mark.parametrize("suffix", _PACKERS)
def test_a_compressed_database_is_read_with_what_was_compressed_beside_it(
    home: Path, tmp_path: Path, suffix: str
) -> None:
    _killed(home / "one-api.db", ASKED)
    for path in [*home.iterdir()]:
        (home / f"{path.name}{suffix}").write_bytes(_PACKERS[suffix](path.read_bytes()))
        path.unlink()
    found = local_sources.find(str(home / f"one-api.db{suffix}"))
    assert _users(found, tmp_path) == ["from the wal", ASKED]
    (home / f"one-api.db-wal{suffix}").unlink()
    _killed(home / "one-api.db", OTHER)
    found = local_sources.find(str(home / f"one-api.db{suffix}"))
    assert _users(found, tmp_path) == [ASKED], "what lies unpacked beside it belongs to what lies unpacked"
    assert "what was only there is lost" in _notes(found)


@pytest.mark.parametrize("suffix", _PACKERS)
def test_a_compressed_archive_is_read(home: Path, tmp_path: Path, suffix: str) -> None:
    _killed(home / "one-api.db", ASKED)
    (packed := tmp_path / f"home.tar{suffix}").write_bytes(_tar(home, _PACKERS[suffix]))
    found = local_sources.find(str(packed))
    assert _users(found, tmp_path) == ["from the wal", ASKED]
    assert "taken along: its oneapi/one-api.db-wal" in _notes(found)
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged or cut off"):
        local_sources.find(str(packed))


def test_a_zip_archive_is_read(home: Path, tmp_path: Path) -> None:
    _killed(home / "one-api.db", ASKED)
    with zipfile.ZipFile(tmp_path / "home.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in home.iterdir():
            archive.write(path, f"oneapi/data/{path.name}")
    found = local_sources.find(str(tmp_path / "home.zip"))
    assert _users(found, tmp_path) == ["from the wal", ASKED]


def test_links_that_nothing_needs_are_left_out_and_told(home: Path, tmp_path: Path) -> None:
    _write(home / "one-api.db", ASKED)
    links = (
        _linked("oneapi/current", "/etc/shadow"),
        _linked("oneapi/twin.db", "oneapi/one-api.db", tarfile.LNKTYPE),
        _linked("oneapi/pipe", "", tarfile.FIFOTYPE),
    )
    (packed := tmp_path / "home.tar").write_bytes(_tar(home, bytes, *links))
    found = local_sources.find(str(packed))
    assert _users(found, tmp_path) == [ASKED]
    assert "left out, because nothing needs it: oneapi/current (symbolic link), oneapi/twin.db (hard link)" in _notes(
        found
    )


def test_a_second_name_of_the_database_is_the_database(home: Path, tmp_path: Path) -> None:
    _write(home / "a.db", ASKED)
    os.link(home / "a.db", home / "one-api.db")  # tar has the second of the two as a hard link to the first
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("a.db", "one-api.db"):
            archive.add(home / name, f"./{name}")
    (packed := tmp_path / "home.tar").write_bytes(made.getvalue())
    found = local_sources.find(str(packed))
    assert _users(found, tmp_path) == [ASKED]
    assert "left out" not in _notes(found)


def test_a_database_that_is_a_link_is_refused_with_what_to_do(home: Path, tmp_path: Path) -> None:
    packed = tmp_path / "home.tar"
    packed.write_bytes(_tar(home, bytes, _linked("oneapi/one-api.db", "/srv/one-api.db")))
    with pytest.raises(SourceError, match=r"symbolic link to /srv/one-api.db.*tar --dereference"):
        local_sources.find(str(packed))


def test_of_two_members_of_one_name_the_last_is_taken_and_that_is_told(home: Path, tmp_path: Path) -> None:
    first, second = _write(home / "1", OTHER), _write(home / "2", ASKED)
    with tarfile.open(tmp_path / "home.tar", "w") as archive:
        for path in (first, second):
            archive.add(path, "one-api.db")
    found = local_sources.find(str(tmp_path / "home.tar"))
    assert _users(found, tmp_path) == [ASKED]
    assert "one-api.db is in it more than once: the last is taken" in _notes(found)


_SALT = bytes(range(1, 200))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"age-encryption.org/v1\n-> X25519 x", "encrypted with age: age -d"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "encrypted with age"),
        (b"-----BEGIN PGP MESSAGE-----\n", "encrypted with gpg: gpg -d"),
        (b"\x8c\x0d\x04\x07\x03\x02" + _SALT, "encrypted, by gpg as it seems"),
        (b"\x85\x01\x0c\x03" + _SALT, "encrypted, by gpg as it seems"),
        (b"Salted__" + _SALT, "encrypted with openssl"),
        (b"7z\xbc\xaf\x27\x1c\0\x04" + _SALT, "7-Zip archive: unpack it"),
        (b"Rar!\x1a\x07\x01\0" + _SALT, "rar archive: unpack it"),
        (b"\x04\x22\x4d\x18" + _SALT, "compressed with lz4"),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", "SQL dump, not a database: sqlite3"),
        (b"-- MySQL dump 10.13\n", "dump of MySQL"),
        (b"PGDMP\x01\x0e", "dump of PostgreSQL"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"\0" * 8192, "nothing but zeros: an empty archive"),
        (b"<!DOCTYPE html><title>Log in</title>", "page of HTML"),
        (b"\x37\x7f\x06\x82\0\x2d\xe2\x18" + _SALT, r"write-ahead log \(-wal\) alone: name the database"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "it is .*a PDF$"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + _SALT, "a picture"),
        (b"\x7fELF\x02\x01\x01" + _SALT, "a program"),
        (b'{"channels": []}\n', "it is .*a text, neither a database nor an archive"),
        ("通道,模型\n".encode() * 100, "a text, neither a database nor an archive"),  # cut off within a character
        (b"", r"it is .*empty \(0 bytes\)"),
        (bytes(7 * n % 256 for n in range(600)), "neither a database of SQLite nor an archive; encrypted, if"),
        (b"x" * 257 + b"ustar" + b"x" * 300, "a tar archive whose beginning is damaged"),
    ],
)
@pytest.mark.parametrize("packer", [bytes, gzip.compress])
def test_what_cannot_be_read_is_named_for_what_it_is(
    home: Path, packer: Callable[[bytes], bytes], content: bytes, words: str
) -> None:
    (home / "backup").write_bytes(packer(content))
    with pytest.raises(SourceError, match=words):
        local_sources.find(str(home / "backup"))


def test_an_encrypted_zip_is_named(home: Path, tmp_path: Path) -> None:
    _write(home / "one-api.db", ASKED)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(home / "one-api.db", "one-api.db")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + at] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SourceError, match="encrypted zip archive"):
        local_sources.find(str(tmp_path / "a.zip"))


@pytest.mark.parametrize("kind", odd_databases.KINDS)
def test_an_odd_database_is_taken_as_it_is_and_told(home: Path, kind: str) -> None:
    found = local_sources.find(str(odd_databases.make(home / "one-api.db", kind)))
    assert isinstance(found, LocalData)
    assert found.tables["users"] == 3
    told = {odd_databases.NULL: "UPDATE", odd_databases.INDEX: "to fix it: REINDEX", odd_databases.NEWLINE: ""}[kind]
    assert told in _notes(found)
    assert ("inconsistent, but complete" in _notes(found)) == bool(told)


def test_a_damaged_database_and_one_that_does_not_fit_its_wal_are_refused(home: Path) -> None:
    asked = _killed(home / "one-api.db", *(f"user {number}" * 50 for number in range(100)))
    small = _write(home / "small.db", "x")
    shutil.copy(small, asked)  # the wal is of what was there before
    with asked.open("r+b") as file:
        file.seek(100)
        file.write(b"\xee" * 900)
    with pytest.raises(SourceError, match="its database is damaged"):
        local_sources.find(str(asked))


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda wal: _flipped(wal, 200), "a checksum is wrong behind frame 0 of 2"),
        (lambda wal: _flipped(wal, 32 + 4120 + 200), "a checksum is wrong behind frame 1 of 2"),
        (lambda wal: _flipped(wal, 32 + 10), "a checksum is wrong behind frame 0 of 2"),  # a frame's own salt
        (lambda wal: _flipped(wal, 32 + 4120 + 14), "a checksum is wrong behind frame 1 of 2"),
        (lambda wal: _flipped(wal, 17), "damaged at its beginning, and all 8272 bytes"),
        (lambda wal: wal[:20], "damaged at its beginning, and all 20 bytes"),
        (lambda wal: wal[:-2000], "cut off in frame 2"),
        (lambda wal: wal[:4000], "cut off in frame 1"),
        (lambda wal: wal[:32] + wal[32 + 4120 :], "a checksum is wrong behind frame 0 of 1"),
    ],
)
def test_a_wal_of_which_sqlite_would_lose_something_is_refused(
    home: Path, change: Callable[[bytes], bytes], words: str
) -> None:
    two = "INSERT INTO users VALUES ('first'); INSERT INTO users VALUES ('second')"
    asked = _killed(home / "one-api.db", ASKED, statement=two)
    wal = home / "one-api.db-wal"
    wal.write_bytes(change(wal.read_bytes()))
    with pytest.raises(SourceError, match=f"{words}.*remove the -wal"):
        local_sources.find(str(asked))


def test_the_wal_of_a_larger_database_is_refused(home: Path) -> None:
    _killed(home / "large.db", *(f"user {number}" * 50 for number in range(100)))
    asked = _killed(home / "one-api.db", ASKED)
    (home / "large.db-wal").rename(home / "one-api.db-wal")
    with pytest.raises(SourceError, match="its -wal is of another database"):
        local_sources.find(str(asked))


_FILL = "CREATE TABLE more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
_FILL += " SELECT hex(randomblob(500)) AS x FROM n;"
_ONE = "INSERT INTO users VALUES ('from the wal');"
_SEEN = "INSERT INTO logs VALUES (1757000000);"


@pytest.mark.parametrize(
    ("statement", "change", "words"),
    [
        (f"{_FILL} PRAGMA wal_checkpoint(RESTART); {_ONE}", bytes, "all 1 committed frames are taken in"),
        (f"{_FILL} PRAGMA journal_size_limit = 9999; PRAGMA wal_checkpoint(RESTART); {_ONE}", bytes, "all 1 committed"),
        (
            f"{_SEEN} PRAGMA cache_size = 1; BEGIN; {_FILL} ROLLBACK; {_ONE}",
            bytes,
            "all 2 committed frames are taken in; ",
        ),
        (f"{_ONE} PRAGMA cache_size = 1; BEGIN; {_FILL}", bytes, "behind them were never committed"),
        (_ONE, lambda wal: wal + wal[32:56], "all 1 committed frames are taken in"),
        (f"{_ONE} PRAGMA wal_checkpoint(TRUNCATE);", bytes, "taken along: its one-api.db-wal, 0 bytes"),
        (f"{_ONE} PRAGMA wal_checkpoint(TRUNCATE);", lambda wal: wal + bytes(9000), "nothing but zeros"),
        (f"{_FILL} BEGIN; {_FILL.replace('more', 'less')} DROP TABLE less; {_ONE} COMMIT;", bytes, "all "),
    ],
)
def test_a_wal_with_more_in_it_than_is_committed_is_taken(
    home: Path, tmp_path: Path, statement: str, change: Callable[[bytes], bytes], words: str
) -> None:
    asked = _killed(home / "one-api.db", ASKED, statement=statement)
    wal = home / "one-api.db-wal"
    wal.write_bytes(change(wal.read_bytes()))
    found = local_sources.find(str(asked))
    assert _users(found, tmp_path) == ["from the wal", ASKED]
    assert words in _notes(found)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("key TEXT, model_limits TEXT, deleted_at TEXT", "new-api's.*its tokens have model_limits, deleted_at"),
        ("key TEXT, deleted_at TEXT", "its tokens have deleted_at"),
        ("key TEXT, models TEXT, subnet TEXT", ""),  # One API's own limits
    ],
)
def test_a_database_of_new_api_is_refused_as_that(home: Path, columns: str, words: str) -> None:
    asked = _write(home / "one-api.db", ASKED)
    with closing(sqlite3.connect(asked, isolation_level=None)) as made:
        made.execute(f"CREATE TABLE tokens ({columns})")
    if not words:
        assert isinstance(local_sources.find(str(asked)), LocalData)
        return
    with pytest.raises(SourceError, match=f"{words}.*would be unlimited"):
        local_sources.find(str(asked))


@pytest.mark.parametrize(
    ("name", "is_told"),
    [("one-api.db.old", True), ("ONE-API.DB", True), ("one-api.db.gz", True), ("notes.txt", False), ("x.gz", False)],
)
@pytest.mark.parametrize("pack", ["tar", "zip", ""])
def test_another_database_beside_it_is_told_as_left_out(home: Path, name: str, is_told: bool, pack: str) -> None:
    _write(home / "one-api.db", ASKED)
    other = _write(home / "spare.db", OTHER).rename(home / name)
    if name.endswith(".gz"):
        other.write_bytes(gzip.compress(other.read_bytes()))
    elif not is_told:
        other.write_bytes(b"no database")
    asked = home
    if pack:
        shutil.make_archive(str(home.with_name("packed")), pack, home)
        asked = home.with_name(f"packed.{pack}")
    notes = _notes(local_sources.find(str(asked)))
    told = "./" if pack == "tar" else ""
    assert (f"left out: {told}{name}, another database" in notes) == is_told, notes
    assert ("another database" in notes) == is_told


def test_what_is_written_to_meanwhile_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _write(home / "one-api.db", ASKED)
    unpack = local_sources._unpack

    def written_to(file: Path, target: Path) -> None:
        unpack(file, target)
        with closing(sqlite3.connect(asked, isolation_level=None)) as writer:
            writer.execute("INSERT INTO users VALUES ('meanwhile')")

    monkeypatch.setattr(local_sources, "_unpack", written_to)
    with pytest.raises(SourceError, match="written to while it was read"):
        local_sources.find(str(asked))


def test_nothing_is_left_of_what_was_taken_together(home: Path, workshop: Path) -> None:
    _killed(home / "one-api.db", ASKED)
    found = local_sources.find(str(home))
    assert isinstance(found, LocalData)
    assert list(workshop.iterdir()) == []
    assert ASKED not in repr(found), "no content is shown"


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("content", "is_taken"),
    [(b"", True), (b"\0" * 512, True), (b"\xd9\xd5" + b"x" * 600, False), (b"x" * 4096, False)],
)
def test_a_journal_that_undoes_nothing_is_refused(home: Path, content: bytes, is_taken: bool, pack: bool) -> None:
    _write(home / "one-api.db", ASKED)
    (home / "one-api.db-journal").write_bytes(content)
    asked = Path(shutil.make_archive(str(home.with_name("packed")), "tar", home)) if pack else home
    if is_taken:
        assert isinstance(local_sources.find(str(asked)), LocalData)
        return
    with pytest.raises(SourceError, match="its -journal is damaged at its beginning"):
        local_sources.find(str(asked))


@pytest.mark.parametrize("name", ["one-api.db", "one-api.db-wal", "one-api.db-journal"])
def test_a_directory_in_the_place_of_a_file_is_told(home: Path, name: str) -> None:
    _write(home / "one-api.db", ASKED).rename(home / "spare")
    if name != "one-api.db":
        (home / "spare").rename(home / "one-api.db")
    (home / name).mkdir()
    for asked in (home, *([home / "one-api.db"] if name != "one-api.db" else [])):
        with pytest.raises(SourceError, match=f"its {name} is a directory .Docker makes one"):
            local_sources.find(str(asked))


def test_a_name_of_several_lines_is_told_on_one(home: Path) -> None:
    found = local_sources.find(str(_write(home / "a\nb.db", ASKED)))
    assert found.title.endswith("a\\nb.db")


@pytest.mark.parametrize("modified", [1e30, -1e30, float("inf"), float("nan"), 99999999999999, -5, "soon"])
def test_an_archive_may_say_any_time(home: Path, tmp_path: Path, modified: object) -> None:
    _write(home / "one-api.db", ASKED)
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = archive.gettarinfo(home / "one-api.db", "a\nb/one-api.db")
        member.pax_headers = {"mtime": str(modified)}
        archive.addfile(member, (home / "one-api.db").open("rb"))
    found = local_sources.find(str(tmp_path / "a.tar"))
    assert _users(found, tmp_path) == [ASKED]
    assert "it is a\\nb/one-api.db in it" in _notes(found)


def test_a_zip_of_a_compression_that_is_not_read_is_named(home: Path, tmp_path: Path) -> None:
    _write(home / "one-api.db", ASKED)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(home / "one-api.db", "one-api.db")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(magic) + at] = 9  # Deflate64, as Windows makes it of more than 2 GiB
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SourceError, match=r"compressed in a way that is not read here: unpack it \(7z x\)"):
        local_sources.find(str(tmp_path / "a.zip"))
