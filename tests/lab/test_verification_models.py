"""Every declared model is asked through the gateway, each channel by itself, and what fails is told in a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import INVENTORY, Lab, python

NAMES = [f"model-{number}" for number in range(12)]


def _channels(lab: Lab) -> list[dict[str, Any]]:
    """The lab's own channel, one with more models, one of lower priority for the same, one whose port is closed."""
    upstream = lab.state["upstream"]
    base = {"type": 1, "base_url": upstream["base_url"], "key": "LAB_UPSTREAM_API_KEY"}
    chat = upstream["chat_model"]
    return [
        {**base, "name": "lab-upstream", "models": [chat]},
        {**base, "name": "many", "models": [*NAMES, "text-embedding-test", "some-reranker"]},
        {**base, "name": "spare", "models": [chat], "priority": -1},
    ]


def _data(channels: list[dict[str, Any]]) -> list[str]:
    return ["--limit", "gw1", "--data", f"gateway_channels={json.dumps(channels)}"]


@pytest.fixture(scope="module")
def declared(deployed: Lab) -> Iterator[Lab]:
    """The lab with more channels on gw1; afterwards they are there, disabled by nobody and declared no more."""
    run = deployed.deploy(*_data(_channels(deployed)))
    assert run.code == 0, run.output[-3000:]
    table = _table(run.output)
    assert {("text-embedding-test", "many"), ("smollm2", "spare"), *((name, "many") for name in NAMES)} <= set(table)
    assert ("smollm2", "lab-upstream") in table, "the proof"
    yield deployed
    restored = deployed.deploy("--limit", "gw1")
    assert restored.code == 0, restored.output[-3000:]


def _table(output: str) -> dict[tuple[str, str], str]:
    """Of each line of the table: the model and its channel, and the rest."""
    lines = [line.partition("[gw1]")[2].split() for line in output.splitlines()]
    start = lines.index(["model", "channel", "latency", "result"])
    end = next(number for number in range(start, len(lines)) if lines[number][0] in ("verified", "verification"))
    return {(line[0], line[1]): " ".join(line[2:]) for line in lines[start + 1 : end]}


def test_a_run_that_changes_nothing_asks_two_questions(declared: Lab) -> None:
    run = declared.deploy(*_data(_channels(declared)))
    assert run.code == 0, run.output[-3000:]
    assert "latency" not in run.output
    assert run.output.count("verified on") == 1


def test_all_models_are_asked_by_the_command_of_its_own(declared: Lab) -> None:
    run = python("verify.py", INVENTORY, "--models", "all", *_data(_channels(declared)))
    assert run.code == 0, run.output[-3000:]
    table = _table(run.output)
    assert all(table[name, "many"].endswith("s completed") for name in NAMES)
    assert table["text-embedding-test", "many"].endswith("s embedded (576 dimensions)")
    assert "not asked" in table["some-reranker", "many"]
    assert table["smollm2", "spare"].endswith("s completed"), "the one that One API would not choose"


def test_a_spare_channel_that_is_broken_is_told_though_its_models_answer(declared: Lab) -> None:
    broken = _channels(declared)
    broken[2]["base_url"] = broken[2]["base_url"].rpartition(":")[0] + ":9"
    try:
        run = declared.deploy(*_data(broken))
        assert run.code == 1, run.output[-3000:]
        table = _table(run.output)
        assert table["smollm2", "lab-upstream"].endswith(("completed", "embedded (576 dimensions)"))
        assert table["smollm2", "spare"].endswith("FAILED (HTTP 500)")
        told = " ".join(run.output.split())
        assert "verification failed: channel spare: gw1 cannot reach the upstream of smollm2" in told
    finally:
        healed = declared.deploy(*_data(_channels(declared)))
    assert healed.code == 0, healed.output[-3000:]
