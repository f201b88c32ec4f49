"""Runs that are cut off, that meet each other, and a Docker that is taken down: nothing is lost, and it heals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import INVENTORY, ROOT, First, Lab
from tests.lab.old_gateway import PASSWORD
from tests.lab.rows import DIRECTORY, OLD_DIRECTORY

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
_LOG_IN = 'curl -s -m 5 -H "Content-Type: application/json" -d @- "http://$0:3000/api/user/login"'


def _await(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def _log_in(lab: Lab, host: str, password: str) -> str:
    body = json.dumps({"username": "root", "password": password})
    return lab.command("peer", "--", "sh", "-c", _LOG_IN, lab.address(host), stdin=body).stdout


def _answers(lab: Lab, host: str) -> bool:
    return lab.command("peer", "--", "curl", "-sf", "-m", "2", f"http://{lab.address(host)}:3000/api/status").code == 0


def test_an_old_gateway_whose_password_is_unknown_goes_on_serving(deployed: Lab, first: First) -> None:
    assert first.without_password.code == 1
    told = " ".join(first.without_password.output.split())
    assert "knows another root password; export ONEAPI_ROOT_PASSWORD=…" in told
    assert "Traceback" not in told
    assert first.old_gateway_served_on


def test_a_taken_over_gateway_keeps_the_password_and_the_files_of_its_person(deployed: Lab) -> None:
    assert json.loads(_log_in(deployed, "old1", PASSWORD))["success"] is True
    kept = deployed.ssh("old1", f"ls -A {OLD_DIRECTORY}/backups/taken-over-files {OLD_DIRECTORY}/backups/taken-over")
    assert {"docker-compose.yml", ".env", "one-api.db"} <= set(kept.split())
    assert deployed.ssh("old1", "docker ps --all --format '{{.Names}}'") == "openclaw-llm-gateway"


def test_a_second_deployment_at_the_same_time_is_refused(deployed: Lab) -> None:
    # Without -y pyinfra waits for a key: the first run has read the hosts and is about to act.
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [PYINFRA, INVENTORY, "deploy.py"], cwd=ROOT, stdin=its_end, stderr=subprocess.PIPE, text=True
    ) as one:
        assert one.stderr
        for line in one.stderr:
            if "Detected changes displayed above" in line:
                break
        refused = deployed.deploy("--limit", "gw1")
        one.send_signal(signal.SIGKILL)
    os.close(terminal)
    os.close(its_end)
    assert refused.code == 1
    told = " ".join(refused.output.split())
    assert re.search(
        r"another run is at work on this host \(deploy.py by \S+@\S+ since 20.* UTC \(process \d+\)\)", told
    )
    # The lock ends with the connection, so there is nothing to clear after the kill.
    _await(lambda: deployed.deploy("--limit", "gw1").code == 0, "the lock of a killed run is gone", 60)


def test_a_docker_that_is_stopped_and_started_brings_the_gateway_back(deployed: Lab) -> None:
    deployed.ssh("gw1", "systemctl stop docker.socket docker && systemctl start docker")
    _await(lambda: _answers(deployed, "gw1"), "the gateway answers after Docker was restarted")


@pytest.fixture
def bare(deployed: Lab) -> Iterator[Lab]:
    """The lab with one more host, gw2, which was never deployed."""
    with deployed.more_hosts("gw2:fresh"):
        yield deployed


def test_a_first_deployment_killed_at_its_first_start_never_opens_the_default_password(bare: Lab) -> None:
    with subprocess.Popen(
        [PYINFRA, "-y", "--limit", "gw2", INVENTORY, "deploy.py"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr
        for line in run.stderr:
            if "Starting operation: Replace the default password" in line:
                break
        else:
            raise AssertionError("the run ended before its first start")
        # The database is there, and with it root/123456.
        _await(lambda: bare.ssh("gw2", f"cat {DIRECTORY}/data/one-api.db 2>/dev/null | wc -c") != "0", "a database")
        run.send_signal(signal.SIGKILL)
    assert bare.command("host-restart", "gw2").code == 0
    assert bare.ssh("gw2", "systemctl is-enabled openclaw-llm-gateway 2>/dev/null || true") in (
        "disabled",
        "not-found",
        "",
    )
    # And a person who is in a hurry cannot open it either.
    bare.ssh("gw2", "systemctl daemon-reload; systemctl start openclaw-llm-gateway || true")
    assert '"success":true' not in _log_in(bare, "gw2", "123456").replace(" ", "")
    again = bare.deploy("--limit", "gw2")
    assert again.code == 0, again.output[-4000:]
    assert json.loads(_log_in(bare, "gw2", "123456"))["success"] is False
