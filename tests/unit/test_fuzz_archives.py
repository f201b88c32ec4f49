"""An archive that is damaged, cut off, or made to do harm: told in words, and nothing of it is used."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.parts import image
from llm_gateway.parts.backups.archive_members import SourceError
from llm_gateway.tasks.restore import local_sources
from tests.unit.fuzz_values import HOSTILE, bounded, junk, spoiled
from tests.unit.test_fuzz_host_files import DEEP, MANIFEST


def _database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE users (id INTEGER)")
        return made.serialize()


DATABASE = _database()
NAMES = (
    "one-api.db",
    "./data/one-api.db",
    "secrets.env",
    "manifest.json",
    "data/",
    "a/../../b",
    "/etc/passwd",
    "a\nb",
    "中 $(id)",
)
KINDS = (
    tarfile.REGTYPE,
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)


def tar(*members: tuple[str, bytes, bytes]) -> bytes:
    """A tar archive of members: name, kind and content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, "/etc/shadow", len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def file(name: str, content: bytes) -> tuple[str, bytes, bytes]:
    return name, tarfile.REGTYPE, content


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes cut off, or with some of them changed, compressed or not."""
    cut = st.integers(0, len(whole)).map(lambda length: whole[:length])
    places = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6)
    either = st.one_of(cut, places.map(lambda changes: _changed(whole, changes)))
    return st.one_of(either, either.map(gzip.compress))


def _changed(whole: bytes, changes: list[tuple[int, int]]) -> bytes:
    content = bytearray(whole)
    for at, value in changes:
        content[at] = value
    return bytes(content)


def manifest(**changes: Any) -> bytes:
    members = {"one-api.db": {"size": len(DATABASE), "sha256": hashlib.sha256(DATABASE).hexdigest()}}
    return json.dumps({**MANIFEST, "members": members, **changes}, default=str).encode()


OURS = tar(file("manifest.json", manifest()), file("one-api.db", DATABASE))
THEIRS = tar(file("data/one-api.db", DATABASE), file("secrets.env", b"A=b\n"))
MEMBERS = st.tuples(
    st.sampled_from([*NAMES, *(text for text in HOSTILE if text.isprintable())]),
    st.sampled_from(KINDS),
    st.just(DATABASE),
)
SAVED = {"architecture": "amd64"}


def docker_save(index: Any, listed: Any = None, config: Any = None) -> bytes:
    listed = [{"Config": "c.json", "RepoTags": ["a:1"]}] if listed is None else listed
    parts = (("manifest.json", listed), ("c.json", SAVED if config is None else config), ("index.json", index))
    return tar(
        *(
            file(name, part if isinstance(part, bytes) else json.dumps(part, default=str).encode())
            for name, part in parts
        )
    )


INDEX = {"manifests": [{"digest": "sha256:1"}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


def found(place: Path, content: bytes) -> local_sources.LocalArchive | local_sources.LocalData | None:
    """What is taken for something to restore; None where it is refused."""
    path = place / "backup.tar.gz"
    path.write_bytes(content)
    try:
        return local_sources.find(str(path))
    except SourceError as problem:
        assert str(problem).startswith(str(path))
        return None


def test_whole_ones_are_found(place: Path) -> None:
    assert isinstance(found(place, gzip.compress(OURS)), local_sources.LocalArchive)
    assert isinstance(found(place, THEIRS), local_sources.LocalData)
    (place / "image.tar").write_bytes(docker_save(INDEX))
    assert image.read_archive.__wrapped__(str(place / "image.tar")).references == ("a:1",)


@hypothesis_settings(bounded, max_examples=100)
@given(content=st.one_of(st.binary(max_size=600), damaged(OURS), damaged(THEIRS)))
def test_a_damaged_backup_is_refused_or_whole(place: Path, content: bytes) -> None:
    taken = found(place, content)
    if isinstance(taken, local_sources.LocalArchive):
        assert taken.size == len(DATABASE)


@hypothesis_settings(bounded, max_examples=100)
@given(members=st.lists(MEMBERS, max_size=4), is_zipped=st.booleans())
def test_nothing_is_taken_that_leads_out_of_the_archive(place: Path, members: list[Any], is_zipped: bool) -> None:
    content = tar(file("data/one-api.db", DATABASE), *members)
    if found(place, gzip.compress(content) if is_zipped else content):
        assert not any(name.startswith("/") or ".." in name.split("/") for name, _, _ in members)


@hypothesis_settings(bounded, max_examples=60)
@given(told=st.one_of(spoiled(MANIFEST), junk))
def test_a_manifest_that_says_something_else_is_refused(place: Path, told: Any) -> None:
    content = json.dumps(told, default=str, skipkeys=True).encode()
    taken = found(place, tar(file("manifest.json", content), file("one-api.db", DATABASE)))
    assert taken is None or taken.manifest is not None


@pytest.mark.parametrize(
    "text", ["", " ", "~", "/", "a" * 5000, "/dev/null", "/dev/zero", "no\x00thing", "latest", "-", "\ud800"]
)
def test_a_path_that_is_no_backup_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        local_sources.find(text)


def read_image(place: Path, content: bytes) -> None:
    path = place / "image.tar"
    path.write_bytes(content)
    try:
        image.read_archive.__wrapped__(str(path))
    except image.ArchiveError as problem:
        assert str(path) in str(problem)


@hypothesis_settings(bounded, max_examples=100)
@given(
    content=st.one_of(
        st.binary(max_size=600), damaged(docker_save(INDEX)), st.lists(MEMBERS, max_size=3).map(lambda m: tar(*m))
    )
)
def test_a_damaged_image_archive_is_refused_or_read(place: Path, content: bytes) -> None:
    read_image(place, content)


@hypothesis_settings(bounded, max_examples=60)
@given(index=st.one_of(spoiled(INDEX), junk), listed=junk, config=junk)
def test_an_image_archive_that_says_something_else_is_refused_or_read(
    place: Path, index: Any, listed: Any, config: Any
) -> None:
    for content in (docker_save(index), docker_save(INDEX, listed), docker_save(INDEX, None, config)):
        read_image(place, content)


def test_an_image_archive_of_endless_brackets_is_refused(place: Path) -> None:
    read_image(place, docker_save(INDEX, DEEP.encode()))


@pytest.mark.parametrize("text", ["~", "/", "a" * 5000, "/dev/null", "no\x00thing", "/dev/zero"])
def test_a_path_that_is_no_image_archive_is_refused(text: str) -> None:
    with pytest.raises(image.ArchiveError):
        image.read_archive(text)
