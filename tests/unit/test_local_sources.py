"""What is on this machine is read to its end before it is restored; what is damaged or odd is refused, and why."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pwd
import socket
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.model import layout
from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.tasks.restore import local_sources
from llm_gateway.tasks.restore.local_sources import LocalArchive, LocalData

Members = dict[str, bytes]


@pytest.fixture
def database(tmp_path: Path) -> bytes:
    """The bytes of a database with some rows."""
    path = tmp_path / "made.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE users (id INTEGER); INSERT INTO users VALUES (1);")
    connection.close()
    return path.read_bytes()


def _manifest(members: Members, **others: Any) -> bytes:
    parts = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()}
    return json.dumps(
        {
            "format": 1,
            "made_at": "2026-11-22T10:11:00Z",
            "host": "gw1",
            "reason": "daily",
            "image": {"reference": "justsong/one-api:v0.6.10", "id": "sha256:0"},
            "tables": {"users": 1},
            "members": parts,
            "tiktoken": {},
            "versions": {},
            **others,
        }
    ).encode()


def _pack(path: Path, members: Members, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1_795_000_000
            change(member)
            file.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


def _backup(tmp_path: Path, database: bytes, **others: Any) -> Members:
    members = {"one-api.db": database, "secrets.env": b"A=1\n", ".env": b"B=2\n"}
    return {"manifest.json": _manifest(members, **others), **members}


def test_a_backup_of_ours_is_known_by_its_manifest(tmp_path: Path, database: bytes) -> None:
    found = local_sources.find(str(_pack(tmp_path / "any-name.tar.gz", _backup(tmp_path, database))))
    assert isinstance(found, LocalArchive)
    assert (found.manifest.host, found.manifest.tables) == ("gw1", {"users": 1})
    assert found.size == len(database) + 8


def test_every_flipped_bit_of_a_backup_is_found(tmp_path: Path) -> None:
    members = {"one-api.db": b"SQLite format 3\0" + b"\0" * 84}
    path = _pack(tmp_path / "backup.tar.gz", {"manifest.json": _manifest(members), **members})
    content = path.read_bytes()
    for place in range(10, len(content)):
        flipped = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
        path.write_bytes(flipped)
        try:
            local_sources.find(str(path))
        except SourceError:
            continue
        # The file's name in gzip's header, and the bits that fill up the last byte of its data, mean nothing.
        assert gzip.decompress(flipped) == gzip.decompress(content), f"byte {place}"


def test_a_backup_that_is_cut_off_anywhere_is_refused(tmp_path: Path, database: bytes) -> None:
    path = _pack(tmp_path / "backup.tar.gz", _backup(tmp_path, database))
    content = path.read_bytes()
    for length in (0, 5, 30, len(content) // 2, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(SourceError, match=r"cut off|empty"):
            local_sources.find(str(path))


def _link(member: tarfile.TarInfo) -> None:
    if member.name == ".env":
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/shadow", 0


def _hard_link(member: tarfile.TarInfo) -> None:
    if member.name == ".env":
        member.type, member.linkname, member.size = tarfile.LNKTYPE, "../../etc/shadow", 0


def _device(member: tarfile.TarInfo) -> None:
    if member.name == ".env":
        member.type, member.size = tarfile.CHRTYPE, 0


@pytest.mark.parametrize(
    ("change", "words"), [(_link, "symbolic link"), (_hard_link, "hard link"), (_device, "device")]
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, database: bytes, change: Callable[[tarfile.TarInfo], None], words: str
) -> None:
    path = _pack(tmp_path / "backup.tar.gz", _backup(tmp_path, database), change)
    with pytest.raises(SourceError, match=words):
        local_sources.find(str(path))


@pytest.mark.parametrize("name", ["../one", "/etc/cron.d/x", "a/../../b", "./.."])
def test_what_leads_out_is_refused_in_any_archive(tmp_path: Path, database: bytes, name: str) -> None:
    ours = _pack(tmp_path / "ours.tar.gz", {**_backup(tmp_path, database), name: b"x"})
    theirs = _pack(tmp_path / "theirs.tar.gz", {"data/one-api.db": database, name: b"x"})
    for path in (ours, theirs):
        with pytest.raises(SourceError, match="leads out of the archive"):
            local_sources.find(str(path))


def test_strangers_and_what_is_missing_are_told(tmp_path: Path, database: bytes) -> None:
    members = _backup(tmp_path, database)
    with pytest.raises(SourceError, match=r"holds evil.sh, of which"):
        local_sources.find(str(_pack(tmp_path / "more.tar.gz", {**members, "evil.sh": b"x"})))
    del members[".env"]
    with pytest.raises(SourceError, match=r"\.env is missing from it"):
        local_sources.find(str(_pack(tmp_path / "less.tar.gz", members)))
    newer = _backup(tmp_path, database, format=2)
    with pytest.raises(SourceError, match=r"made by a newer version .* \(git pull\)"):
        local_sources.find(str(_pack(tmp_path / "newer.tar.gz", newer)))


def test_people_s_data_are_found_in_directories_and_archives(tmp_path: Path, database: bytes) -> None:
    home = tmp_path / "oneapi"
    (home / "data" / "logs").mkdir(parents=True)
    (home / "backups").mkdir()
    for place in ("data/one-api.db", "backups/one-api.db", "data/logs/a.log"):
        (home / place).write_bytes(database)
    (home / "data/one-api.db-journal").write_bytes(b"\0" * 600)  # of a transaction that was ended
    (home / "secrets.env").write_text("A=1\n")
    (home / "first-start-done").write_text("")
    packed = tmp_path / "home.tar"
    with tarfile.open(packed, "w") as file:
        file.add(home, "./oneapi")
    compressed = tmp_path / "home.tar.gz"
    compressed.write_bytes(gzip.compress(packed.read_bytes()))
    belongings = {"secrets.env": b"A=1\n", "first-start-done": b""}
    expected = {
        home: belongings,
        home / "data": {},
        home / "data" / "one-api.db": {},
        packed: belongings,
        compressed: belongings,
    }
    for path, those in expected.items():
        found = local_sources.find(str(path))
        assert isinstance(found, LocalData)
        assert found.belongings == those, path
        assert found.tables == {"users": 1}
        assert found.database.read() == database
        assert any(note.startswith("taken along: its ") and "one-api.db-journal" in note for note in found.notes)


def test_without_its_secrets_a_marker_means_nothing(tmp_path: Path, database: bytes) -> None:
    members = {"data/one-api.db": database, "first-start-done": b"", "applied-keys.json": b"{}"}
    found = local_sources.find(str(_pack(tmp_path / "home.tar.gz", members)))
    assert isinstance(found, LocalData)
    assert found.belongings == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing", None, "no such file or directory"),
        ("data.zip", b"PK\3\4" + b"\0" * 100, "is damaged or cut off: File is not a zip file"),
        ("data.db", b"", r"data\.db: it is empty \(0 bytes\)$"),
        (
            "notes.txt",
            b"hello, this is no archive of anything\n" * 40,
            "it is a text, neither a database nor an archive",
        ),
    ],
)
def test_what_is_no_data_is_told(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=words):
        local_sources.find(str(tmp_path / name))


def _fifo(place: Path) -> None:
    os.mkfifo(place)


def _socket(place: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(place))


def _to_a_device(place: Path) -> None:
    place.symlink_to("/dev/null")


def _to_nothing(place: Path) -> None:
    place.symlink_to("gone.db")


def _to_itself(place: Path) -> None:
    place.symlink_to(place.name)


_NO_FILES = [
    (_fifo, "is a pipe, which can be read only once"),
    (_socket, "is a socket: name a file"),
    (_to_a_device, "is a character device"),
    (_to_nothing, "is a symbolic link to gone.db, where nothing is"),
    (_to_itself, "is a symbolic link that leads in a circle"),
]


@pytest.mark.parametrize(("put", "words"), _NO_FILES)
def test_what_is_neither_file_nor_directory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: bytes, put: Callable[[Path], None], words: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    put(Path("named"))
    with pytest.raises(SourceError, match=f"^named: it {words}"):
        local_sources.find("named")
    Path("gateway/data").mkdir(parents=True)
    monkeypatch.chdir("gateway/data")
    put(Path("one-api.db"))
    for place in ("..", "."):
        with pytest.raises(SourceError, match=f"its one-api.db {words}"):
            local_sources.find(place)
    Path("one-api.db").unlink()
    Path("one-api.db").write_bytes(database)
    put(Path("one-api.db-wal"))
    for place in ("..", ".", "one-api.db"):
        with pytest.raises(SourceError, match=f"its one-api.db-wal {words}"):
            local_sources.find(place)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@contextmanager
def _held_back() -> Iterator[str]:
    """As a user whom the modes of files hold back, whose name is given."""
    before = os.geteuid()
    user = pwd.getpwnam("nobody") if before == 0 else pwd.getpwuid(before)
    os.seteuid(user.pw_uid)
    try:
        yield user.pw_name
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("named", ["", "data", "data/one-api.db"])
@pytest.mark.parametrize("closed", ["", "data", "data/one-api.db"])
@pytest.mark.parametrize("mode", [0o000, 0o100])
def test_what_may_not_be_read_is_told_with_whom(
    shared: Path, database: bytes, named: str, closed: str, mode: int
) -> None:
    gateway = shared / "gateway"
    (gateway / "data").mkdir(parents=True)
    (gateway / "data" / "one-api.db").write_bytes(database)
    (gateway / closed).chmod(mode)
    try:
        with _held_back() as user, pytest.raises(SourceError) as refusal:
            local_sources.find(str(gateway / named))
    finally:
        (gateway / closed).chmod(0o700)
    assert f"cannot be read by {user}, who runs this: Permission denied" in str(refusal.value)
    assert "damaged" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~nobody-of-that-name/one-api.db", "no user of that name"),
        ("x" * 300, "cannot be read: .*File name too long"),
        ("https://example.com/one-api.db", "is a URL, and none is fetched: download it"),
        ("gw9:/opt/one-api.db", r"no such file.*copied here first \(scp\)"),
    ],
)
def test_a_path_that_cannot_be_is_told(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        local_sources.find(text)


def test_a_path_of_the_host_and_an_empty_name_are_told(tmp_path: Path) -> None:
    name = "gateway-20261122T101100Z.tar.gz"
    with pytest.raises(SourceError, match=f"named without its path: --data backup={name}"):
        local_sources.find(f"/opt/openclaw-llm-gateway/backups/{name}")
    with pytest.raises(SourceError, match="without its path: --data backup=other-image-20261122T101100Z"):
        local_sources.find(f"{tmp_path}/other-image-20261122T101100Z")
    for text in ("", " "):
        with pytest.raises(SourceError, match="backup= names nothing"):
            local_sources.find(text)


@pytest.mark.parametrize("aside", [*layout.names(layout.Role.WORK), layout.BACKUPS])
def test_an_archive_of_a_gateways_directory_has_one_database(tmp_path: Path, database: bytes, aside: str) -> None:
    """What a run that was cut off has left there is not taken for a second one."""
    members = {
        "gw/data/one-api.db": database,
        f"gw/{aside}/data/one-api.db": b"older",
        f"gw/{aside}/one-api.db": b"new",
    }
    assert isinstance(local_sources.find(str(_pack(tmp_path / "gw.tar.gz", members))), LocalData)


def test_archives_with_no_or_several_databases_are_told(tmp_path: Path, database: bytes) -> None:
    with pytest.raises(SourceError, match=r"one-api\.db, and holds no such file but data/x, data/y: name"):
        local_sources.find(str(_pack(tmp_path / "a.tar.gz", {"data/x": b"x", "data/y": b"y"})))
    many = {f"{number}.txt": b"" for number in range(7)}
    with pytest.raises(SourceError, match=r"but 0\.txt, 1\.txt, 2\.txt, 3\.txt, 4\.txt and 2 more: name"):
        local_sources.find(str(_pack(tmp_path / "many.tar.gz", many)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("od\nd/new-api.db", b"x")
    with pytest.raises(SourceError, match=r"no such file but 'od\\nd/new-api.db': name"):
        local_sources.find(str(tmp_path / "a.zip"))
    two = {"a/one-api.db": database, "b/one-api.db": database}
    with pytest.raises(SourceError, match=r"holds 2 \(a/one-api.db, b/one-api.db\)"):
        local_sources.find(str(_pack(tmp_path / "b.tar.gz", two)))
    with pytest.raises(SourceError, match=r"its one-api\.db is a text, neither"):
        local_sources.find(str(_pack(tmp_path / "c.tar.gz", {"one-api.db": b"encrypted by somebody"})))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="holds no file at all"):
        local_sources.find(str(empty))
    (empty / "photos").mkdir()
    (empty / "new-api.db").write_bytes(database)
    with pytest.raises(SourceError, match=r"holds no such file but new-api\.db, photos: name"):
        local_sources.find(str(empty))
