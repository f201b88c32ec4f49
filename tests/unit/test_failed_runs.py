"""What a person reads at the end of a run that did not go through: on each host, what was done and what was not."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import invocation
from tests.unit import fake_hosts
from tests.unit.fake_hosts import FRESH, OPENCLAW, ROOT
from tests.unit.test_deploy_plan import prelude

PULL_FAILS = {"docker pull": {"success": False, "stderr": "no such host"}}
IN_FLEET_PY = re.compile(r"\.py line \d+|Traceback")


def ending(told: str) -> str:
    """From the summary's first line to the end, without pyinfra's margin."""
    plain = re.sub("^ {4}", "", told, flags=re.MULTILINE)
    return plain[plain.index("@fake/gw1: FAILED") :]


def failing(place: Path, *more: tuple[str, dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """deploy.py, where the image of gw1 cannot be pulled."""
    gateways = [fake_hosts.host("gw1", fake_responses=PULL_FAILS), *more]
    agent = fake_hosts.host("agent1", {**FRESH, **OPENCLAW}, openclaw_gateway="@fake/gw1")
    return fake_hosts.run(place, "-y", prelude=prelude(place), gateways=gateways, openclaw=[agent])


@pytest.mark.slow
def test_a_failed_run_ends_with_what_was_done_on_each_host_and_what_was_not(tmp_path: Path) -> None:
    """pyinfra's last line would be "No hosts remaining!", since the OpenClaw host fails with its gateway."""
    result = failing(tmp_path)
    assert result.returncode == 1
    told = ending(result.stderr)
    gateway, agent = told.partition("@fake/agent1: ")[::2]
    lines = gateway.splitlines()
    assert lines[0] == "@fake/gw1: FAILED at: Pull the image"
    assert lines[1].startswith("  done: Install Docker from the distribution's packages, and nftables, sqlite3; ")
    assert lines[1].endswith("Write the systemd unit")
    assert lines[2].startswith("  not done: Replace the default password out of everybody's reach; "), lines[2]
    assert "Declare channels, tokens and options; " in lines[2]
    assert agent.splitlines()[0] == "FAILED at: Point OpenClaw at the gateway"
    assert agent.splitlines()[1] == "  done: nothing"
    *_, again, page = agent.splitlines()
    assert page == "More: docs/docker.md#deploy-without-a-registry-mainland-china-air-gap"
    assert again == (
        "Fix what failed (the errors above say why), then run the same command again to resume:"
        f" pyinfra -y {tmp_path / 'inventory.py'} {ROOT / 'deploy.py'}"
    )
    assert not IN_FLEET_PY.search(result.stderr)


@pytest.mark.slow
def test_a_host_that_went_through_beside_one_that_failed_is_told_apart(tmp_path: Path) -> None:
    result = failing(tmp_path, fake_hosts.host("gw2"))
    assert result.returncode == 1
    told = ending(result.stderr)
    assert "@fake/gw1: FAILED at: Pull the image" in told
    assert re.search(r"@fake/gw2: admin page http://\S+ .*; \d+ changes\n", told)
    assert told.count("  not done: ") == 2


@pytest.mark.slow
def test_a_host_that_was_not_reached_is_told(tmp_path: Path) -> None:
    missing = ("gw0", {"ssh_hostname": "127.0.0.1", "ssh_port": 1, "ssh_config_file": "/dev/null"})
    result = failing(tmp_path, missing)
    assert result.returncode == 1
    assert "gw0: NOT REACHED; nothing was done on it" in ending(result.stderr)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same(tmp_path: Path) -> None:
    slow = fake_hosts.host("gw1", fake_responses={})
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"gateways = {[(slow[0], {**slow[1], 'fake_delay': 0.5})]!r}\n")
    pyinfra = Path(sys.executable).with_name("pyinfra")
    with subprocess.Popen(
        [str(pyinfra), "-y", str(inventory), str(ROOT / "deploy.py")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**fake_hosts.KEYS, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    ) as run:
        assert run.stderr
        for line in run.stderr:
            if "Success" in line:
                break
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
        assert run.wait(timeout=30) == 130
    assert "@fake/gw1: INTERRUPTED\n" in told, told
    assert "  done: Install Docker from the distribution's packages, and nftables, sqlite3" in told
    assert "  not done: " in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["-y", "inv.py", "deploy.py"], "pyinfra -y inv.py deploy.py"),
        (["inv.py", "deploy.py", "--ssh-password", "hush"], "pyinfra inv.py deploy.py --ssh-password '…'"),
        (["--ssh-key-password=hush", "inv.py"], "pyinfra '--ssh-key-password=…' inv.py"),
        (["--data", "ssh_password=hush", "a b.py"], "pyinfra --data 'ssh_password=…' 'a b.py'"),
        (["--data=_sudo_password=hush"], "pyinfra '--data=_sudo_password=…'"),
        (["--data", "backup=latest", "--same-sudo-password"], "pyinfra --data backup=latest --same-sudo-password"),
        (["--same-sudo-password", "inv.py"], "pyinfra --same-sudo-password inv.py"),
    ],
)
def test_the_command_to_repeat_holds_no_password(monkeypatch: pytest.MonkeyPatch, typed: list[str], shown: str) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/pyinfra", *typed])
    assert invocation.command() == shown
