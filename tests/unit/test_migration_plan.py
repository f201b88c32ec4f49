"""What a migration tells beforehand of the two images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_gateway.tasks.migration import plan
from tests.unit.topology import make_node

WANTED = "justsong/one-api:v0.6.11"


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (WANTED, [f"with {WANTED}, as there"]),
        (
            "justsong/one-api:v0.6.12",
            [
                f"with {WANTED} (justsong/one-api:v0.6.12 serves on old)",
                "an older one may fail on the data of a newer one",
                'gateway_image = "justsong/one-api:v0.6.12"',
            ],
        ),
        ("", [f"with {WANTED} (it is not known what serves on old)"]),
    ],
)
def test_another_image_is_told_before_anything_is_moved(there: str, words: list[str]) -> None:
    target = make_node(name="gw1", gateway_image=WANTED, gateway_image_digest=None)
    found = SimpleNamespace(
        image=there, generated=None, container="one-api", database="/x/data/one-api.db", size=1, strangers=(), data="/x"
    )
    move: Any = SimpleNamespace(
        is_over=False, source_name="old", target_name="gw1", target=target, found=found, limit=240, agents=[]
    )
    told = "\n".join(plan.lines(cast(Any, move)))
    for text in words:
        assert text in told
    assert ("different versions" in told) == (there != WANTED)
