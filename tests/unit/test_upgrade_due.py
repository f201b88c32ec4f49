"""When another image is an upgrade, and when it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import image, serving, tiktoken
from llm_gateway.parts.serving import Serving
from llm_gateway.tasks.upgrades import rollback, upgrade
from llm_gateway.tasks.upgrades.rollback import Kept
from tests.unit.deployed import IMAGE_ID, deployed
from tests.unit.test_image_archive import classic, save
from tests.unit.topology import DIRECTORY, make_node

OTHER_ID = "sha256:" + "2" * 64
DIGEST = "sha256:" + "d" * 64
TAG = "justsong/one-api:v0.6.10"


def gateway(answers: dict[str, str] | None = None, **chosen: Any) -> Node:
    """A gateway that was deployed with the defaults; `chosen` are its settings now."""
    return make_node({**deployed("gw1", "agent1").gateway, **(answers or {})}, **chosen)


def test_the_image_that_serves_is_no_upgrade() -> None:
    assert serving.serving(gateway()) == Serving(IMAGE_ID, TAG)
    assert not upgrade.is_due(gateway())


@pytest.mark.parametrize("chosen", [{"gateway_port": 3001}, {"gateway_timezone": "UTC"}, {"gateway_start_timeout": 9}])
def test_a_change_of_something_else_is_no_upgrade(chosen: dict[str, Any]) -> None:
    assert not upgrade.is_due(gateway(**chosen))


def test_a_name_that_means_another_image_is_one() -> None:
    assert upgrade.is_due(gateway({"image": f"{OTHER_ID} amd64 []\n"}))


def test_another_name_for_the_same_image_is_none() -> None:
    moved = gateway({"image": f"{IMAGE_ID} amd64 []\n"}, gateway_image="mirror.example/one-api:v0.6.10")
    assert not upgrade.is_due(moved)


def test_an_image_that_is_not_there_yet_is_taken_to_be_one() -> None:
    assert upgrade.is_due(gateway({"image": ""}, gateway_image="justsong/one-api:v0.6.11-preview.7"))


def test_a_digest_decides() -> None:
    known = {"image": f'{IMAGE_ID} amd64 ["justsong/one-api@{DIGEST}"]\n'}
    assert not upgrade.is_due(gateway(known, gateway_image_digest=DIGEST))
    assert upgrade.is_due(gateway(known, gateway_image_digest="sha256:" + "e" * 64))


def test_other_bytes_in_the_archive_are_one(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", classic(tags=[TAG]))
    (identifier,) = image.read_archive(str(path)).identifiers
    assert upgrade.is_due(gateway(gateway_image_archive=str(path)))
    container = json.loads(deployed("gw1", "agent1").gateway["container"])[0]
    same = {"container": json.dumps([{**container, "Image": identifier}])}
    assert not upgrade.is_due(gateway(same, gateway_image_archive=str(path)))


def test_before_the_first_start_there_is_none() -> None:
    """A gateway that a person has set up has its own way (llm_gateway.parts.first_start)."""
    values = deployed("gw1", "agent1").gateway
    without_marker = values["tracked_stat"].replace(f"{DIRECTORY}/first-start-done", "/other")
    assert not upgrade.is_due(gateway({"tracked_stat": without_marker, "image": f"{OTHER_ID} amd64 []\n"}))


def test_without_a_container_the_compose_file_tells() -> None:
    removed = {"container": "[]\n", "composed_image": f"{IMAGE_ID} {TAG}\n"}
    assert serving.serving(gateway(removed)) == Serving(IMAGE_ID, TAG)
    assert not upgrade.is_due(gateway(removed))
    assert upgrade.is_due(gateway({**removed, "image": f"{OTHER_ID} amd64 []\n"}))
    assert not upgrade.is_due(gateway({"container": "[]\n", "image": f"{OTHER_ID} amd64 []\n"}))


def test_the_files_by_which_the_gateway_runs_wait_for_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = gateway({"image": ""}, gateway_image="justsong/one-api:v0.6.11-preview.7", gateway_port=3001)
    planned: list[str] = []
    for module in (remote, upgrade):
        for step in ("shell", "write_file", "_upgrade"):
            if hasattr(module, step):
                monkeypatch.setattr(module, step, lambda name, **_: planned.append(name))
    monkeypatch.setattr(tiktoken, "missing_on", lambda _: [])
    upgrade.carry_out(made)
    assert planned == ["Pull the image", "Upgrade the gateway: the new image on a copy first, then the switch"]
    assert made.is_restarted


@pytest.mark.parametrize(
    ("reference", "settings"),
    [
        (TAG, f'gateway_image = "{TAG}"'),
        (f"{TAG}@{DIGEST}", f'gateway_image = "{TAG}", gateway_image_digest = "{DIGEST}"'),
    ],
)
def test_a_rollback_says_how_to_pin_what_serves_then(reference: str, settings: str) -> None:
    assert rollback.pinned(Serving(IMAGE_ID, reference)) == settings
    before = rollback.as_before(gateway(), Kept("", Serving(IMAGE_ID, reference), "", True, False))
    assert image.reference(before.settings) == reference
