"""Deploy, verify, the canary and a restore with upstreams as strict as the providers are (lab/personalities.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.personalities import PERSONALITIES
from llm_gateway.parts.canary.scheduled_canary import CANARY
from tests.lab.conftest import INVENTORY, Lab, Run

HOST = "gwm"
REFUSING = [name for name in PERSONALITIES if name.startswith(("minimax-", "openrouter-")) or name == "empty"]
ANSWERING = [name for name in PERSONALITIES if name not in (*REFUSING, "minimax", "dashscope")]
LOOK = f"systemctl start {CANARY.service}; tail -n 1 /var/lib/openclaw-llm-gateway/canary.jsonl"


def _channel(lab: Lab, name: str, *models: str) -> dict[str, Any]:
    shown = lab.command("upstream", "--as", name)
    assert shown.code == 0, shown.output
    key = {"type": 1, "key": "LAB_UPSTREAM_API_KEY"}
    return {**key, "name": name, "base_url": shown.stdout.strip(), "models": list(models)}


def _data(channels: list[dict[str, Any]], model: str = "MiniMax-M2.5") -> list[str]:
    """The settings of group_data/all.py, with the providers' addresses in the lab, and the model that is asked."""
    settings = {"llm_model": model, "embedding_model": "text-embedding-v4", "embedding_dimensions": "1024"}
    options = [f"{name}={value}" for name, value in settings.items()] + [f"gateway_channels={json.dumps(channels)}"]
    return ["--limit", HOST, *(part for option in options for part in ("--data", option))]


@pytest.fixture(scope="module")
def channels(lab: Lab) -> Iterator[list[dict[str, Any]]]:
    """A host of its own, and a channel for each model that answers."""
    with lab.more_hosts(f"{HOST}:ready"):
        defaults = [_channel(lab, "minimax", "MiniMax-M2.5"), _channel(lab, "dashscope", "text-embedding-v4")]
        yield [*defaults, *(_channel(lab, name, f"{name}-model") for name in ANSWERING)]


@pytest.fixture(scope="module")
def deployed_by_default(lab: Lab, channels: list[dict[str, Any]]) -> Run:
    """The first deployment."""
    return lab.deploy(*_data(channels))


def test_the_default_model_is_verified_and_so_is_every_other(
    deployed_by_default: Run, channels: list[dict[str, Any]]
) -> None:
    assert deployed_by_default.code == 0, deployed_by_default.output[-3000:]
    told = " ".join(deployed_by_default.output.split())
    assert f"[{HOST}] verified on http://" in told
    assert "MiniMax-M2.5 completed in" in told
    lines = deployed_by_default.output.splitlines()
    for channel in channels:
        (model,), name = channel["models"], channel["name"]
        (line,) = [line for line in lines if line.partition("]")[2].split()[:2] == [model, name]]
        assert line.endswith(("completed", "embedded (1024 dimensions)")), line


def test_the_canary_is_quiet_and_a_second_run_changes_nothing(
    lab: Lab, deployed_by_default: Run, channels: list[dict[str, Any]]
) -> None:
    result = json.loads(lab.ssh(HOST, LOOK).splitlines()[-1])
    assert (result["ok"], result["error"]) == (True, "")
    again = lab.pyinfra("-y", "--json", *_data(channels), INVENTORY, "deploy.py")
    assert again.code == 0, again.output[-3000:]
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0


def test_a_backup_of_a_gateway_that_serves_gpt_5_is_restored(
    lab: Lab, deployed_by_default: Run, channels: list[dict[str, Any]]
) -> None:
    data = _data(channels, "gpt-5-model")
    for script in ("deploy.py", "deploys/backup.py", "deploys/restore.py", "verify.py"):
        run = lab.pyinfra("-y", *data, INVENTORY, script)
        assert run.code == 0, f"{script}: {run.output[-3000:]}"
    result = json.loads(lab.ssh(HOST, LOOK).splitlines()[-1])
    assert (result["ok"], result["error"]) == (True, "")


def test_what_a_provider_refuses_inside_a_200_is_named(
    lab: Lab, deployed_by_default: Run, channels: list[dict[str, Any]]
) -> None:
    refusing = [_channel(lab, name, f"{name}-model") for name in REFUSING]
    run = lab.deploy(*_data([*channels, *refusing]))
    told = {name: "refuses the key" for name in REFUSING if name.endswith(("1004", "2049", "401"))}
    told |= {name: "its balance is used up" for name in REFUSING if name.endswith(("1008", "402"))}
    told |= {name: "too much was asked at once" for name in REFUSING if name.endswith(("1002", "1039", "429"))}
    run.must_fail_with("verification failed", "empty-model answered with an empty text")
    lines = [line for line in run.output.splitlines() if "  - " in line]
    for name, words in told.items():
        assert any(f"{name}-model" in line and words in line for line in lines), (name, lines)
