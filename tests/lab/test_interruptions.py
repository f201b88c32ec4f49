"""Runs that are cut off, that meet each other, and a Docker that is taken down: nothing is lost, and it heals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab.conftest import INVENTORY, First, Lab
from tests.lab.faults import await_line, await_that, running
from tests.lab.old_gateway import PASSWORD
from tests.lab.rows import DIRECTORY, OLD_DIRECTORY

_LOG_IN = 'curl -s -m 5 -H "Content-Type: application/json" -d @- "http://$0:3000/api/user/login"'


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
    kept = deployed.ssh("old1", f"ls -A {OLD_DIRECTORY}/backups/taken-over-files {OLD_DIRECTORY}/backups/taken-over-2*")
    assert {"docker-compose.yml", ".env", "one-api.db"} <= set(kept.split())
    assert deployed.ssh("old1", "docker ps --all --format '{{.Names}}'") == "openclaw-llm-gateway"


def test_a_second_deployment_at_the_same_time_is_refused(deployed: Lab) -> None:
    # Where it may ask, pyinfra waits for a key: the first run has read the hosts and is about to act.
    with running(INVENTORY, "deploy.py", typed="") as one:
        await_line(one, "Detected changes displayed above")
        refused = deployed.deploy("--limit", "gw1")
    assert refused.code == 1
    told = " ".join(refused.output.split())
    assert re.search(
        r"another run is at work on this host \(deploy.py by \S+@\S+ since 20.* UTC \(process \d+\)\)", told
    )
    # The lock ends with the connection, so there is nothing to clear after the kill.
    await_that(lambda: deployed.deploy("--limit", "gw1").code == 0, "the lock of a killed run is gone")


def test_a_docker_that_is_stopped_and_started_brings_the_gateway_back(deployed: Lab) -> None:
    deployed.ssh("gw1", "systemctl stop docker.socket docker && systemctl start docker")
    await_that(lambda: _answers(deployed, "gw1"), "the gateway answers after Docker was restarted", 120)


@pytest.fixture
def bare(deployed: Lab) -> Iterator[Lab]:
    """The lab with one more host, gw2, which was never deployed."""
    with deployed.more_hosts("gw2:fresh"):
        yield deployed


def test_a_first_deployment_killed_at_its_first_start_never_opens_the_default_password(bare: Lab) -> None:
    with running("--limit", "gw2", INVENTORY, "deploy.py") as run:
        await_line(run, "Starting operation: Replace the default password")
        # The database is there, and with it root/123456.
        look = f"cat {DIRECTORY}/data/one-api.db 2>/dev/null | wc -c"
        await_that(lambda: bare.ssh("gw2", look) != "0", "a database", 120)
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
