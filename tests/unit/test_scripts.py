"""`python verify.py INVENTORY --models …`: pyinfra with verify.py and its own output, on fake hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import ROOT
from tests.unit.test_deploy_plan import AGENT, GATEWAY, leaks, prelude

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "arguments", [["--modells"], ["inventory.py", "--models", "some"], ["--quiet", "inventory.py"]]
)
def test_wrong_arguments_are_told(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "verify.py"), *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert f"Usage: python {ROOT / 'verify.py'} [OPTIONS] [INVENTORY]" in result.stderr
    assert "Traceback" not in result.stderr


def verify(place: Path, *arguments: str) -> str:
    """What `verify.py` tells of a deployed gateway and its OpenClaw host."""
    done = deployed(GATEWAY, AGENT)
    groups = {"gateways": [fake_hosts.host("gw1", done.gateway)], "openclaw": [fake_hosts.host("agent1", done.agent)]}
    inventory = place / "inventory.py"
    lines = [prelude(place, channels=done.channels, tokens=done.tokens), *(f"{n} = {h!r}" for n, h in groups.items())]
    inventory.write_text("\n".join(lines) + "\n")
    result = subprocess.run(
        [sys.executable, str(ROOT / "verify.py"), "inventory.py", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    assert "Traceback" not in told
    assert leaks(told) == []
    assert told.count("verified on http://100.64.0.10:3000") == 2
    return told


def test_all_models_are_asked_where_nothing_is_said(tmp_path: Path) -> None:
    told = verify(tmp_path)
    words = [line.split()[1:] for line in told.splitlines() if line.strip().startswith(f"[{GATEWAY}]")]
    start = words.index(["model", "channel", "latency", "result"])
    assert [line[:2] for line in words[start + 1 : start + 4]] == [
        ["MiniMax-M2.5", "minimax"],
        ["text-embedding-v4", "dashscope"],
        ["qwen3.5-plus", "dashscope"],
    ]
    assert told.count("latency") == 1, "the OpenClaw host asks for its two models and no more"


@pytest.mark.parametrize("scope", ["changed", "none"])
def test_no_more_than_the_two_models_where_that_is_said(tmp_path: Path, scope: str) -> None:
    assert "latency" not in verify(tmp_path, "--models", scope)


def plan(place: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """What `deploys/plan.py` makes of a deployed gateway and its OpenClaw host."""
    done = deployed(GATEWAY, AGENT)
    answers = {**done.gateway, **changed}
    groups = {"gateways": [fake_hosts.host("gw1", answers)], "openclaw": [fake_hosts.host("agent1", done.agent)]}
    inventory = place / "inventory.py"
    lines = [prelude(place, channels=done.channels, tokens=done.tokens), *(f"{n} = {h!r}" for n, h in groups.items())]
    inventory.write_text("\n".join(lines) + "\n")
    return subprocess.run(
        [sys.executable, str(ROOT / "deploys/plan.py"), "inventory.py", "--check", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **fake_hosts.KEYS},
    )


def test_a_plan_of_what_is_as_declared(tmp_path: Path) -> None:
    result = plan(tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {GATEWAY: []}
    assert leaks(result.stdout + result.stderr) == []


def test_a_plan_for_people_stands_alone_on_stdout(tmp_path: Path) -> None:
    result = plan(tmp_path)
    assert (result.returncode, result.stdout) == (0, f"{GATEWAY}: as declared: nothing to change\n"), result.stderr
    changed = plan(tmp_path, "--data", 'gateway_options={"RetryTimes": 3}')
    assert (changed.returncode, changed.stdout) == (3, f"{GATEWAY}: ~ option RetryTimes: 10 → 3\n"), changed.stderr


def test_a_plan_of_what_differs(tmp_path: Path) -> None:
    result = plan(tmp_path, "--json", "--data", 'gateway_options={"RetryTimes": 3}')
    assert result.returncode == 3, result.stderr
    (change,) = json.loads(result.stdout)[GATEWAY]
    assert (change["sign"], change["kind"], change["name"]) == ("~", "option", "RetryTimes")


@pytest.mark.parametrize(
    ("arguments", "shown"), [(["--limit", AGENT], {}), (["--limit", GATEWAY], {GATEWAY: []})], ids=["agent", "gateway"]
)
def test_a_plan_of_some_hosts(tmp_path: Path, arguments: list[str], shown: dict[str, list[object]]) -> None:
    result = plan(tmp_path, "--json", *arguments)
    assert json.loads(result.stdout) == shown, result.stderr
    assert result.returncode == (0 if shown else 1)
    assert ("No gateway in this run" in result.stderr) == (not shown)
    assert "Traceback" not in result.stderr


def test_a_gateway_that_cannot_be_planned_is_null(tmp_path: Path) -> None:
    result = plan(tmp_path, "--json", api_channels="HTTP/1.0 200 OK\r\n\r\nno JSON")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {GATEWAY: None}
    assert "Traceback" not in result.stderr
