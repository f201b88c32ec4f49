"""What a person may get wrong: told through a real pyinfra, all at once, before anything is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit import fake_hosts
from tests.unit.fake_hosts import FRESH, KEYS, OPENCLAW, ROOT

pytestmark = pytest.mark.slow

PLAIN = "nothing was changed"


def refusal(place: Path, *arguments: str, **options: Any) -> str:
    """The output of a run that must be refused, and must not have gone on to any operation."""
    seen = place / "seen.json"
    prelude = f"from tests.unit import in_memory\nin_memory.install({str(seen)!r})"
    result = fake_hosts.run(place, *arguments, **{"prelude": prelude, **options})
    told = result.stdout + result.stderr
    assert result.returncode == 1, told
    assert "Traceback" not in told
    executed = json.loads(seen.read_text())["hosts"].values()
    changed = [command for commands in executed for command in commands[1:]]
    assert all('"outcome": "refused"' in command for command in changed), "more than that, after the state was read"
    return told


def test_all_problems_of_all_settings_are_told_at_once(tmp_path: Path) -> None:
    told = refusal(
        tmp_path,
        *("-y", "--data", "OTHER_API_KEY=hush"),
        environment={"MINIMAX_API_KEY": "a b"},
        gateways=[
            fake_hosts.host("gw1", gateway_port="3000", gateway_prot=1),
            fake_hosts.host("gw2", gateway_image="justsong/one-api:latest", MY_API_KEY="hush"),
            fake_hosts.host("gw3", docker_http_proxy="http://me:hush@proxy.example", secrets_file="/nowhere"),
        ],
        openclaw=[
            fake_hosts.host("agent1"),
            fake_hosts.host("agent2", openclaw_gateway="gw9"),
            fake_hosts.host("agent3", openclaw_gateway=["@fake/gw1", "gw8", "gw9"]),
            fake_hosts.host("agent4", openclaw_gateway=["@fake/gw1", "@fake/gw1"]),
            fake_hosts.host("agent5", openclaw_gateway=[]),
        ],
        somebody=[fake_hosts.host("stranger")],
    )
    for problem in (
        "@fake/gw1: gateway_port: must be a whole number from 1 to 65535; it is '3000'",
        "@fake/gw1: gateway_prot: no such setting; did you mean 'gateway_port'?",
        "@fake/gw1: DASHSCOPE_API_KEY: this secret is missing; `export DASHSCOPE_API_KEY=…` in the shell",
        "@fake/gw1: MINIMAX_API_KEY: this secret holds a blank, a line break or a non-ASCII character",
        '@fake/gw2: gateway_image: must be pinned: "latest" changes without you; name a version',
        "@fake/gw2: MY_API_KEY: secrets are not taken from the inventory or --data",
        "@fake/gw1: OTHER_API_KEY: secrets are not taken from the inventory or --data",
        "@fake/gw3: docker_http_proxy: must not hold a user name or password",
        "@fake/gw3: secrets_file: /nowhere cannot be read",
        "@fake/agent1: openclaw_gateway: name one of the gateways: @fake/gw1, @fake/gw2",
        "@fake/agent2: openclaw_gateway: gw9 is not a host of the group `gateways`",
        "@fake/agent3: openclaw_gateway: gw8, gw9 are not hosts of the group `gateways`",
        "@fake/agent4: openclaw_gateway: must not contain duplicates: @fake/gw1",
        "@fake/agent5: openclaw_gateway: must be the name of a host in `gateways`, or a list of such names: the",
        "@fake/stranger: is in neither group, `gateways` nor `openclaw`",
    ):
        assert told.count(f"  - {problem}") == 1, told
    assert told.count(PLAIN) == 1
    assert "hush" not in told


def test_all_problems_of_all_hosts_are_told_at_once(tmp_path: Path) -> None:
    unread = {"fake_responses": {"Reads all that a run needs": {"success": False, "stderr": "disk on fire"}}}
    cut = {"fake_responses": {"Reads all that a run needs": fake_hosts.answer(FRESH)[:-1]}}
    taken = 'LISTEN 0 5 100.64.0.10:3000 0.0.0.0:* users:(("nginx",pid=8,fd=6))\n'
    told = refusal(
        tmp_path,
        "-y",
        gateways=[
            fake_hosts.host("gw1", {**FRESH, "listeners": taken}, gateway_tailscale_address="100.64.0.99"),
            fake_hosts.host("gw2", {**FRESH, "tailscale0": ""}, gateway_image_archive="/nowhere.tar"),
            fake_hosts.host("gw3", {**FRESH, "secrets": "hush hush\n"}),
            fake_hosts.host("gw4", **unread),
            fake_hosts.host("gw5", **cut),
            fake_hosts.host("gw6", {**FRESH, "applied_keys": "{damaged"}),
        ],
    )
    for problem in (
        "@fake/gw1: port 3000 on 100.64.0.10 is taken by nginx (process 8)",
        "@fake/gw1: gateway_tailscale_address is 100.64.0.99, but the host's is 100.64.0.10",
        "@fake/gw2: it has no Tailscale address",
        "@fake/gw2: gateway_image_archive: /nowhere.tar is not there",
        "@fake/gw3: /opt/openclaw-llm-gateway/secrets.env is damaged: line 1: ",
        "@fake/gw4: its state cannot be read: disk on fire",
        "@fake/gw5: its state cannot be read: the host's answer broke off before its end",
    ):
        assert told.count(f"  - {problem}") == 1, told
    assert "@fake/gw6" not in told.partition(PLAIN)[2], "lost fingerprints mean that keys are applied again"
    assert told.count(PLAIN) == 1
    assert "hush" not in told


def test_no_gateway_for_an_openclaw_host(tmp_path: Path) -> None:
    told = refusal(tmp_path, "-y", openclaw=[fake_hosts.host("agent1", {**FRESH, **OPENCLAW})])
    assert "@fake/agent1: openclaw_gateway: the group `gateways` has no host; add one to the inventory" in told


NO_HOST = "No host to work on: is "


def test_empty_groups(tmp_path: Path) -> None:
    assert NO_HOST in refusal(tmp_path, "-y", gateways=[], openclaw=[])


def test_a_limit_that_matches_no_host(tmp_path: Path) -> None:
    told = refusal(tmp_path, "-y", "--limit", "gw9", gateways=[fake_hosts.host("gw1")])
    assert NO_HOST in told
    assert "does --limit match one of them?" in told


@pytest.mark.parametrize("name", ["inventroy.py", f"{'a-long-directory/' * 5}inventory.py"])
def test_a_mistyped_inventory(name: str) -> None:
    """pyinfra takes a file that is not there for the name of a host, which may be too long for one."""
    result = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "-y", name, "deploy.py"],
        cwd=ROOT,
        env={**os.environ, **KEYS},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    told = result.stdout + result.stderr
    assert result.returncode == 1, told
    assert f"There is no inventory file {name} (seen from {ROOT}): correct the path." in told
    assert "Traceback" not in told


def test_hosts_out_of_this_run_are_not_asked_for_their_keys(tmp_path: Path) -> None:
    """Each team's keys are with that team; what is wrong with the settings is told all the same."""
    other = [{"name": "other", "base_url": "https://a.example", "key": "OTHER_API_KEY", "models": ["m"]}]
    hosts = {"gateways": [fake_hosts.host("gw1"), fake_hosts.host("gw2", gateway_channels=other)]}
    result = fake_hosts.run(tmp_path, "--dry", "--limit", "@fake/gw1", **hosts)
    assert result.returncode == 0, result.stderr
    assert "OTHER_API_KEY: this secret is missing" in refusal(tmp_path, "-y", **hosts)
    hosts["gateways"][1] = fake_hosts.host("gw2", gateway_port=0)
    told = refusal(tmp_path, "-y", "--limit", "@fake/gw1", **hosts)
    assert "@fake/gw2: gateway_port: must be a whole number" in told


def test_a_host_that_fails_in_the_middle_leaves_the_others_to_be_deployed(tmp_path: Path) -> None:
    broken = {"fake_responses": {"docker pull": {"success": False, "stderr": "no space left on device"}}}
    result = fake_hosts.run(
        tmp_path,
        "-y",
        prelude=f"from tests.unit import in_memory\nin_memory.install({str(tmp_path / 'seen.json')!r})",
        gateways=[
            fake_hosts.host("gw1"),
            fake_hosts.host("gw2", **broken),
            fake_hosts.host("gw3", embedding_dimensions=576),
        ],
    )
    told = result.stdout + result.stderr
    assert result.returncode == 1
    assert "no space left on device" in told
    assert "@fake/gw2: FAILED at: Pull the image" in told
    assert "@fake/gw1: admin page http://100.64.0.10:3000" in told
    assert told.count("verified on ") == 1
    assert "verification failed: text-embedding-v4: HTTP 200 with a vector that must not be stored" in told
    assert "it has 1024 dimensions, not 576" in told
    assert "@fake/gw3: FAILED" in told
    assert "Traceback" not in told
