"""Files made by `docker save`: both layouts, and what is said of the rest."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.parts.image import ArchiveError, read_archive

CONFIG_ID = "a" * 64
MANIFEST_ID = "b" * 64
CONFIG = {"architecture": "arm64", "os": "linux"}
TAG = "justsong/one-api:v0.6.10"


def save(path: Path, members: dict[str, Any], mode: str = "w") -> Path:
    """A tar file of these members, JSON each unless bytes."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def classic(config: Any = CONFIG, tags: list[str] | None = None) -> dict[str, Any]:
    """What Docker up to 24 writes."""
    name = f"{CONFIG_ID}.json"
    layer = b"\0" * 4096
    return {"layer.tar": layer, name: config, "manifest.json": [{"Config": name, "RepoTags": tags, "Layers": []}]}


def oci() -> dict[str, Any]:
    """What Docker from 25 writes: an OCI layout with Docker's manifest.json beside it."""
    name = f"blobs/sha256/{CONFIG_ID}"
    return {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"schemaVersion": 2, "manifests": [{"digest": f"sha256:{MANIFEST_ID}"}]},
        name: CONFIG,
        "manifest.json": [{"Config": name, "RepoTags": [TAG]}],
    }


def refusal(path: Path) -> str:
    """What is said of this file."""
    with pytest.raises(ArchiveError) as refused:
        read_archive(str(path))
    return str(refused.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_the_classic_layout_is_read(tmp_path: Path, mode: str) -> None:
    archive = read_archive(str(save(tmp_path / "a.tar", classic(tags=[TAG, "other:1"]), mode)))
    assert archive.identifiers == {f"sha256:{CONFIG_ID}"}
    assert archive.architecture == "arm64"
    assert archive.references == (TAG, "other:1")


def test_the_oci_layout_is_read_with_both_of_its_identifiers(tmp_path: Path) -> None:
    """A host with the containerd store knows the image by its manifest, another by its config."""
    archive = read_archive(str(save(tmp_path / "a.tar", oci())))
    assert archive.identifiers == {f"sha256:{CONFIG_ID}", f"sha256:{MANIFEST_ID}"}
    assert archive.references == (TAG,)


def test_an_image_without_a_name_is_read(tmp_path: Path) -> None:
    assert read_archive(str(save(tmp_path / "a.tar", classic()))).references == ()


def test_a_home_directory_is_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "short.tar", classic())
    assert read_archive("~/short.tar").path == tmp_path / "short.tar"


def test_a_missing_file_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "none.tar"
    assert refusal(path) == f"{path} is not there; make it on a machine with the image: docker save IMAGE -o {path}"


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_of_several_images_or_none_is_refused(tmp_path: Path, count: int) -> None:
    path = save(tmp_path / "a.tar", {"manifest.json": [{"Config": "c"}] * count})
    assert refusal(path) == f"{path} holds {count} images; save one: docker save IMAGE -o {path}"


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="empty"),
        pytest.param({"some.txt": b"hello"}, id="another tar file"),
        pytest.param({"manifest.json": b"{"}, id="no JSON"),
        pytest.param({"manifest.json": b"\xff\xfe"}, id="no text"),
        pytest.param({"manifest.json": 1}, id="a number"),
        pytest.param({"manifest.json": ["c"]}, id="a list of text"),
        pytest.param({"manifest.json": {"a": 1}}, id="an object"),
        pytest.param({"manifest.json": [{}]}, id="without a config"),
        pytest.param({"manifest.json": [{"Config": "gone"}]}, id="with a config that is not there"),
        pytest.param(classic(config=[]), id="with a config that is a list"),
        pytest.param({**oci(), "index.json": {"manifests": [{}]}}, id="with an index without digests"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, members: dict[str, Any]) -> None:
    path = save(tmp_path / "a.tar", members)
    assert refusal(path).startswith(f"{path} is not a file made by `docker save`: ")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    whole = save(path, classic()).read_bytes()
    packed = gzip.compress(whole)
    middle = len(packed) // 2
    damaged = {
        "plain text": b"hello",
        "nothing": b"",
        "cut": whole[: len(whole) // 3],
        "cut and packed": packed[:middle],
        "packed and garbled": packed[:middle] + b"\xff" * 20 + packed[middle + 20 :],
    }
    for what, content in damaged.items():
        path.write_bytes(content)
        assert refusal(path).startswith(f"{path} is not a file made by `docker save`"), what
    assert refusal(tmp_path).startswith(f"{tmp_path} is not a file made by `docker save`")
