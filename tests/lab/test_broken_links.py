"""Verification says which link of the chain broke, how to fix it, and ends with 1; and the fix works."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.rows import directory, rows
from tests.lab.seen_status import status

ONE = ("--limit", "gw1")


def _refused(run: Run, *words: str) -> None:
    assert run.code == 1, run.output[-3000:]
    told = " ".join(run.output.split())
    for word in ("verification failed", *words):
        assert word in told, run.output[-3000:]
    assert "Traceback" not in run.output


def test_another_length_of_vectors_is_refused(deployed: Lab) -> None:
    run = deployed.verify(*ONE, "--data", "embedding_dimensions=1024")
    _refused(run, "it has 576 dimensions, not 1024", "correct embedding_dimensions")


def test_a_model_without_a_channel_is_told(deployed: Lab) -> None:
    run = deployed.verify(*ONE, "--data", "llm_model=no-such-model")
    _refused(run, "no channel serves no-such-model", "gateway_channels")


@contextmanager
def _upstream_paused(lab: Lab) -> Iterator[None]:
    container = f"openclaw-lab-{lab.state['name']}-upstream"
    subprocess.run(["docker", "pause", container], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True)


def test_a_silent_upstream_is_a_time_out(deployed: Lab) -> None:
    with _upstream_paused(deployed):
        run = deployed.verify(*ONE, "--data", "verification_timeout=2")
    _refused(run, "did not answer within 2 s", "verification_timeout")


def test_a_stopped_gateway_is_no_tcp_connection(deployed: Lab) -> None:
    deployed.ssh("gw1", "systemctl stop openclaw-llm-gateway")
    try:
        run = deployed.verify(*ONE)
        _refused(run, "no TCP connection", "systemctl status openclaw-llm-gateway")
    finally:
        healed = deployed.deploy()
    assert healed.code == 0, healed.output[-3000:]
    assert "Publish the gateway" in healed.output


def test_a_provider_key_that_is_refused_is_told_and_the_right_one_heals(deployed: Lab) -> None:
    wrong = deployed.deploy(environment={"LAB_UPSTREAM_API_KEY": "wrong-key-of-the-test"})
    _refused(wrong, "refuses the provider's key", "LAB_UPSTREAM_API_KEY")
    assert "wrong-key-of-the-test" not in wrong.output
    right = deployed.deploy()
    assert right.code == 0, right.output[-3000:]
    assert "~ channel lab-upstream: key changed" in right.output


def _admin(lab: Lab, host: str, method: str, path: str, body: object) -> None:
    """Click in the admin page, as a person would, with the access token from the host."""
    line = lab.ssh(host, f"grep ^ONEAPI_ACCESS_TOKEN= {directory(host)}/secrets.env")
    config = "\n".join(
        (
            f'url = "http://{lab.address(host)}:3000{path}"',
            f'request = "{method}"',
            f'header = "Authorization: {line.split("=", 1)[1]}"',
            'header = "Content-Type: application/json"',
            f"data = {json.dumps(json.dumps(body))}",
        )
    )
    answer = lab.command("peer", "--", "curl", "-s", "-K", "-", stdin=config)
    assert json.loads(answer.stdout)["success"] is True, answer.output


def test_a_disabled_token_is_told_and_stays_disabled(deployed: Lab) -> None:
    token = next(row for row in rows(deployed, "gw1")["tokens"] if row["name"] == "agent1")
    _admin(deployed, "gw1", "PUT", "/api/token/?status_only=1", {"id": token["id"], "status": 2})
    try:
        _refused(deployed.deploy(), "One API refuses the token of agent1", "enable it in the admin page")
    finally:
        _admin(deployed, "gw1", "PUT", "/api/token/?status_only=1", {"id": token["id"], "status": 1})
    assert deployed.verify().code == 0


def test_a_token_deleted_by_hand_is_made_anew_and_handed_over(deployed: Lab) -> None:
    before = next(row for row in rows(deployed, "gw1")["tokens"] if row["name"] == "agent1")
    _admin(deployed, "gw1", "DELETE", f"/api/token/{before['id']}", {})
    pid = deployed.ssh("agent1", "systemctl show -p MainPID --value openclaw-gateway")
    healed = deployed.deploy()
    assert healed.code == 0, healed.output[-3000:]
    after = next(row for row in rows(deployed, "gw1")["tokens"] if row["name"] == "agent1")
    assert after["key"] != before["key"]
    assert f"sk-{after['key']}" in deployed.ssh("agent1", "cat /home/openclaw/.openclaw/.env")
    assert deployed.ssh("agent1", "systemctl show -p MainPID --value openclaw-gateway") != pid, "not restarted"


@contextmanager
def _database_locked(lab: Lab, how: str) -> Iterator[None]:
    """Another program has the database locked: IMMEDIATE, so that nobody else writes; EXCLUSIVE, nor reads."""
    hold = _HOLD.format(how=how, file=f"{directory('gw1')}/data/one-api.db")
    pid = lab.ssh("gw1", "cat > /tmp/hold.sh; setsid sh /tmp/hold.sh > /tmp/held 2>&1 < /dev/null & echo $!", hold)
    try:
        lab.ssh(
            "gw1", "timeout 30 sh -c 'until grep -q held /tmp/held; do sleep 0.1; done' || { cat /tmp/held; exit 1; }"
        )
        yield
    finally:
        lab.ssh("gw1", f"kill -- -{pid}")


_HOLD = """
if command -v sqlite3 > /dev/null; then
    {{ echo "BEGIN {how}; SELECT 'held';"; exec sleep 600; }} | sqlite3 {file}
else
    python3 -c 'import sqlite3, time
connection = sqlite3.connect("{file}", isolation_level=None)
connection.execute("BEGIN {how}")
print("held", flush=True)
time.sleep(600)'
fi
"""


def test_a_locked_database_is_no_wrong_token(deployed: Lab) -> None:
    with _database_locked(deployed, "EXCLUSIVE"):
        _refused(deployed.verify(*ONE), "gw1", "one-api.db locked: ", "End it")
        told = status(INVENTORY, "--check")
        assert told.code == 3, told.output
        shown = " ".join(told.output.split())
        assert "gw1: whether it is as declared is not known: the gateway cannot use its database: another" in shown
        plan = deployed.pyinfra("-y", *ONE, INVENTORY, "deploys/plan.py")
        assert plan.code == 1 and "one-api.db locked: " in plan.output, plan.output[-3000:]
        for run in (told, plan):
            assert "reset_admin" not in run.output, run.output
    assert deployed.verify(*ONE).code == 0


def test_registration_that_is_not_stored_as_closed_fails_the_run(deployed: Lab) -> None:
    _admin(deployed, "gw1", "PUT", "/api/option/", {"key": "RegisterEnabled", "value": "true"})
    with _database_locked(deployed, "IMMEDIATE"):
        refused = deployed.deploy(*ONE)
        assert refused.code == 1, refused.output[-3000:]
        told = " ".join(refused.output.split())
        assert "RegisterEnabled: the gateway says that it is set, and its database does not hold it" in told
        assert "one-api.db locked: " in told
    fixed = deployed.deploy(*ONE)
    assert fixed.code == 0, fixed.output[-3000:]
    assert "~ option RegisterEnabled: set again" in fixed.output
    deployed.ssh("gw1", "systemctl restart openclaw-llm-gateway")
    deployed.deploy(*ONE)
    assert "~ option RegisterEnabled" not in deployed.deploy(*ONE).output


@pytest.mark.parametrize("user", ("root", "operator"))
def test_verification_works_as_root_and_as_a_sudo_user(deployed: Lab, user: str) -> None:
    sudo = "false" if user == "root" else "true"
    run = deployed.verify("--data", f"ssh_user={user}", "--data", f"_sudo={sudo}")
    assert run.code == 0, run.output[-3000:]
    assert run.output.count("verified on") == 4  # old1 is a gateway and has OpenClaw
