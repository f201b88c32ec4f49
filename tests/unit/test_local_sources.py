"""What is on this machine is read to its end before it is restored; what is damaged or odd is refused, and why."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.restore import local_sources
from gateway.restore.archive_members import SourceError
from gateway.restore.local_sources import LocalArchive, LocalData

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
    for place in ("data/one-api.db", "data/one-api.db-journal", "backups/one-api.db", "data/logs/a.log"):
        (home / place).write_bytes(database)
    (home / "secrets.env").write_text("A=1\n")
    (home / "first-start-done").write_text("")
    packed = tmp_path / "home.tar"
    with tarfile.open(packed, "w") as file:
        file.add(home, "./oneapi")
    compressed = tmp_path / "home.tar.gz"
    compressed.write_bytes(gzip.compress(packed.read_bytes()))
    of_data = {"one-api.db", "one-api.db-journal"}
    expected = {
        home: {*of_data, "secrets.env", "first-start-done"},
        home / "data": of_data,
        home / "data" / "one-api.db": of_data,
        packed: {*of_data, "secrets.env", "first-start-done"},
        compressed: {*of_data, "secrets.env", "first-start-done"},
    }
    for path, names in expected.items():
        found = local_sources.find(str(path))
        assert isinstance(found, LocalData)
        assert {*found.places} == names, path


def test_without_its_secrets_a_marker_means_nothing(tmp_path: Path, database: bytes) -> None:
    members = {"data/one-api.db": database, "first-start-done": b"", "applied-keys.json": b"{}"}
    found = local_sources.find(str(_pack(tmp_path / "home.tar.gz", members)))
    assert isinstance(found, LocalData)
    assert {*found.places} == {"one-api.db"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing", None, "no such file or directory"),
        ("data.zip", b"PK\3\4" + b"\0" * 100, "zip archive: unpack it"),
        ("data.db", b"", "empty"),
        ("notes.txt", b"hello, this is no archive of anything\n" * 40, "no archive"),
    ],
)
def test_what_is_no_data_is_told(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=words):
        local_sources.find(str(tmp_path / name))


def test_a_path_of_the_host_and_an_empty_name_are_told(tmp_path: Path) -> None:
    name = "gateway-20261122T101100Z.tar.gz"
    with pytest.raises(SourceError, match=f"named without its path: --data backup={name}"):
        local_sources.find(f"/opt/openclaw-llm-gateway/backups/{name}")
    with pytest.raises(SourceError, match="without its path: --data backup=other-image-20261122T101100Z"):
        local_sources.find(f"{tmp_path}/other-image-20261122T101100Z")
    for text in ("", " "):
        with pytest.raises(SourceError, match="backup= names nothing"):
            local_sources.find(text)


def test_archives_with_no_or_several_databases_are_told(tmp_path: Path, database: bytes) -> None:
    with pytest.raises(SourceError, match="holds no such file"):
        local_sources.find(str(_pack(tmp_path / "a.tar.gz", {"data/x": b"x"})))
    two = {"a/one-api.db": database, "b/one-api.db": database}
    with pytest.raises(SourceError, match=r"holds 2 \(a/one-api.db, b/one-api.db\)"):
        local_sources.find(str(_pack(tmp_path / "b.tar.gz", two)))
    with pytest.raises(SourceError, match="not an SQLite database"):
        local_sources.find(str(_pack(tmp_path / "c.tar.gz", {"one-api.db": b"encrypted by somebody"})))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="holds no such file"):
        local_sources.find(str(empty))
