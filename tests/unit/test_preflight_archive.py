"""What is told, before anything is touched, of an image archive that does not fit the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_gateway.parts import image
from llm_gateway.tasks import preflight
from tests.unit.fake_hosts import FRESH, tiktoken_answers
from tests.unit.test_image_archive import CONFIG_ID, TAG, classic, save
from tests.unit.topology import DIRECTORY, make_node

READY = {**FRESH, **tiktoken_answers(DIRECTORY)}


def found(path: Path, machine: str = "aarch64") -> list[str]:
    """What is told of a host of this machine type with this archive."""
    return preflight.problems(make_node({**READY, "machine": machine}, gateway_image_archive=str(path)).machine)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of the wanted image, for arm64."""
    return save(tmp_path / "image.tar", classic(tags=[TAG]))


def test_the_right_archive(archive: Path) -> None:
    assert found(archive) == []


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    (told,) = found(tmp_path / "none.tar")
    assert told.startswith(f"gateway_image_archive: {tmp_path}/none.tar is not there; make it")
    assert "docker save" in told


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    (told,) = found(tmp_path / "x")
    assert told.startswith(f"gateway_image_archive: {tmp_path}/x is not a file made by `docker save`")


def test_an_archive_of_another_architecture(archive: Path) -> None:
    (told,) = found(archive, "x86_64")
    assert told.startswith(f"gateway_image_archive: {archive} is for arm64, the host is amd64: ")
    assert "docker pull --platform linux/amd64" in told


def test_an_archive_of_another_image(tmp_path: Path) -> None:
    (told,) = found(save(tmp_path / "other.tar", classic(tags=["other:1"])))
    assert "holds other:1, not justsong/one-api:v0.6.10: set gateway_image to what it holds" in told
    (told,) = found(save(tmp_path / "unnamed.tar", classic()))
    assert "holds no named image, not " in told


def test_the_image_is_sent_only_when_the_host_has_another(archive: Path) -> None:
    def is_present(answer: str) -> bool:
        return image.is_present(make_node({**READY, "image": answer}, gateway_image_archive=str(archive)))

    assert is_present(f"sha256:{CONFIG_ID} arm64 null\n")
    assert not is_present(f"sha256:{'c' * 64} arm64 null\n")
    assert not is_present("")


def test_the_image_is_pulled_only_when_the_host_has_not_the_pinned_one() -> None:
    digest = "sha256:" + "d" * 64
    there = {**READY, "image": f'sha256:1 amd64 ["justsong/one-api@{digest}"]\n'}
    assert image.is_present(make_node(there))
    assert image.is_present(make_node(there, gateway_image_digest=digest))
    assert not image.is_present(make_node(there, gateway_image_digest="sha256:" + "e" * 64))
    assert not image.is_present(make_node(READY))


def test_the_reference_and_the_pull_policy(archive: Path) -> None:
    digest = "sha256:" + "d" * 64
    online = make_node(READY, gateway_image_digest=digest)
    assert image.reference(online.settings) == f"{TAG}@{digest}"
    assert image.pull_policy(online) == "missing"
    offline = make_node(READY, gateway_image_digest=digest, gateway_image_archive=str(archive))
    assert image.reference(offline.settings) == TAG
    assert image.pull_policy(offline) == "never"
