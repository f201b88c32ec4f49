"""The canary of a gateway's host: it tells once that nothing is answered any more, and once that it is again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from llm_gateway.contents.desired import CANARY_TOKEN
from llm_gateway.model.layout import METRICS_FILE
from llm_gateway.parts.canary.scheduled_canary import CANARY
from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.rows import DIRECTORY, rows, secrets
from tests.lab.snapshot import snapshot

HOST = "gwc"
HOME = "/var/lib/openclaw-llm-gateway"
ALERTS = "/var/log/alerts-of-tests"
METRICS = f"{HOME}/metrics/{METRICS_FILE}"
DATA = (
    *("--data", "gateway_canary_failures=2"),
    *("--data", f'gateway_alert_command=printf \'%s|%s\\n\' "$1" "$2" >> {ALERTS}'),
)
LIMIT = ("--limit", HOST)
FIREWALL = "openclaw-llm-gateway-firewall"


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Lab]:
    """A gateway of its own, deployed; its timer rests, so that it looks when a test wants it to."""
    with deployed.more_hosts(f"{HOST}:ready"):
        run = deployed.deploy(*LIMIT, *DATA)
        assert run.code == 0, run.output[-4000:]
        assert deployed.ssh(
            HOST, f"systemctl is-active {CANARY.timer}; systemctl is-enabled {CANARY.timer}"
        ).split() == [
            "active",
            "enabled",
        ]
        deployed.ssh(HOST, f"systemctl stop {CANARY.timer}")
        yield deployed


def _look(lab: Lab) -> None:
    # Some looks take less than 2 s, and systemd starts nothing five times within 10 s.
    lab.ssh(HOST, f"systemctl reset-failed {CANARY.service}; systemctl start {CANARY.service}")


def _alerts(lab: Lab) -> list[str]:
    return lab.ssh(HOST, f"cat {ALERTS} 2>/dev/null || true").splitlines()


def _status(lab: Lab) -> dict[str, Any]:
    run = lab.pyinfra(*LIMIT, "--data", "status_json=True", INVENTORY, "deploys/status.py")
    assert run.code == 0, run.output[-3000:]
    (host,) = json.loads(run.stdout)["hosts"]
    found: dict[str, Any] = host
    return found


def _metric(lab: Lab, name: str) -> float:
    (value,) = re.findall(rf"^openclaw_llm_gateway_{name} (\S+)$", lab.ssh(HOST, f"cat {METRICS}"), re.MULTILINE)
    return float(value)


def _upstream(lab: Lab) -> str:
    return str(urlsplit(lab.state["upstream"]["base_url"]).hostname)


def test_it_asks_by_a_token_that_may_do_nothing_else(gateway: Lab) -> None:
    _look(gateway)
    (result,) = [json.loads(line) for line in gateway.ssh(HOST, f"cat {HOME}/canary.jsonl").splitlines()][-1:]
    assert (result["ok"], result["error"]) == (True, "")
    (token,) = [row for row in rows(gateway, HOST)["tokens"] if row["name"] == CANARY_TOKEN]
    assert token["models"] == "smollm2"
    assert [row["token_name"] for row in rows(gateway, HOST)["logs"] if row["token_name"]][-1] == CANARY_TOKEN
    canary = _status(gateway)["gateway"]["canary"]
    assert (canary["result"], canary["error"], canary["ok"]) == ("ok", "", canary["count"])
    assert _metric(gateway, "up") == 1
    assert gateway.ssh(HOST, f"stat -c '%a %U' {METRICS}") == "644 root"
    assert gateway.ssh(
        HOST, f"stat -c '%a %U' {HOME}/canary.jsonl {HOME}/canary.state {DIRECTORY}/canary.conf | sort -u"
    ) == ("600 root")


def test_it_tells_once_that_the_upstream_is_gone_and_once_that_it_is_back(gateway: Lab) -> None:
    upstream = _upstream(gateway)
    gateway.ssh(HOST, f"ip route add unreachable {upstream}")
    try:
        _look(gateway)
        assert _alerts(gateway) == [], "one failure is none yet"
        for _ in range(3):
            _look(gateway)
        (alert,) = _alerts(gateway)
        assert re.match(
            rf"failing\|LLM gateway {HOST} \({gateway.address(HOST)}:3000\): no completion: HTTP 5\d\d: ", alert
        )
        status = _status(gateway)
        assert status["gateway"]["canary"]["result"] == "failed"
        assert any(line.startswith("canary, ") and "no completion: HTTP 5" in line for line in status["attention"])
        assert _metric(gateway, "up") == 0
        assert _metric(gateway, "canary_failures") == 4
    finally:
        gateway.ssh(HOST, f"ip route del unreachable {upstream}")
    for _ in range(2):
        _look(gateway)
    assert [line.partition("|")[0] for line in _alerts(gateway)] == ["failing", "recovered"]
    assert not any(line.startswith("canary, ") for line in _status(gateway)["attention"])
    told = gateway.ssh(HOST, f"cat {ALERTS} {METRICS} {HOME}/canary.*; journalctl --no-pager -u {CANARY.service}")
    assert not [secret for secret in secrets(gateway, HOST) if len(secret) > 7 and secret in told]


def test_a_person_who_stops_the_gateway_is_not_told_of_it(gateway: Lab) -> None:
    before = _alerts(gateway)
    gateway.ssh(HOST, "systemctl stop openclaw-llm-gateway")
    for _ in range(3):
        _look(gateway)
    assert _alerts(gateway) == before
    assert _status(gateway)["gateway"]["canary"]["result"] == "stopped"
    assert _metric(gateway, "up") == 0
    gateway.ssh(HOST, "systemctl start openclaw-llm-gateway")
    run = gateway.deploy(*LIMIT, *DATA)
    assert run.code == 0, run.output[-3000:]
    assert "Start the timer of the canary" in run.output


def test_rules_that_are_not_those_that_were_loaded_are_told_at_once_though_the_host_itself_is_answered(
    gateway: Lab,
) -> None:
    before = len(_alerts(gateway))
    gateway.ssh(HOST, f"echo of-others > /run/{FIREWALL}/loaded")
    _look(gateway)
    (alert,) = _alerts(gateway)[before:]
    assert alert.startswith("failing|")
    assert "the firewall's rules are not there, or not those that were loaded" in alert
    assert (_metric(gateway, "up"), _metric(gateway, "firewall_up")) == (1, 0)
    gateway.verify(*LIMIT, *DATA).must_fail_with(
        "firewall: the rules in the kernel do not match those that were loaded; run deploy.py"
    )
    assert any(line.startswith("firewall: ") for line in _status(gateway)["attention"])
    run = gateway.deploy(*LIMIT, *DATA)
    assert run.code == 0, run.output[-3000:]
    _look(gateway)
    assert [line.partition("|")[0] for line in _alerts(gateway)[before:]] == ["failing", "recovered"]
    assert _metric(gateway, "firewall_up") == 1


@pytest.mark.full  # it waits for the time that an answer may take, twice
def test_a_container_that_is_paused_is_told_and_a_deployment_fixes_it(gateway: Lab) -> None:
    gateway.ssh(HOST, "docker pause openclaw-llm-gateway")
    try:
        _look(gateway)
        attention = _status(gateway)["attention"]
        assert any("its container is paused, so that nobody is answered" in line for line in attention)
        assert any(line.startswith("canary, ") and "docker unpause openclaw-llm-gateway" in line for line in attention)
        run = gateway.deploy(*LIMIT, *DATA)
        assert run.code == 0, run.output[-3000:]
    finally:  # a frozen process outlives the lab's host
        gateway.ssh(HOST, "docker unpause openclaw-llm-gateway 2>/dev/null || true")
    _look(gateway)
    assert _metric(gateway, "up") == 1


def test_metrics_are_left_nowhere_when_their_place_changes(gateway: Lab) -> None:
    gateway.ssh(HOST, "mkdir -p /srv/metrics")
    elsewhere = ("--data", "gateway_metrics_directory=/srv/metrics")
    run = gateway.deploy(*LIMIT, *DATA, *elsewhere)
    assert run.code == 0, run.output[-3000:]
    _look(gateway)
    files = f"ls {METRICS} /srv/metrics/{METRICS_FILE} 2>/dev/null || true"
    assert gateway.ssh(HOST, files) == f"/srv/metrics/{METRICS_FILE}"
    back = gateway.deploy(*LIMIT, *DATA)
    assert back.code == 0, back.output[-3000:]
    _look(gateway)
    assert gateway.ssh(HOST, files) == METRICS
    assert gateway.deploy(*LIMIT, *DATA, *elsewhere).code == 0
    _look(gateway)


def test_one_that_does_not_look_is_seen(gateway: Lab) -> None:
    assert gateway.verify(*LIMIT, *DATA).code == 0
    gateway.ssh(HOST, f"systemctl stop {CANARY.timer}")
    gateway.verify(*LIMIT, *DATA).must_fail_with(f"canary: {CANARY.timer} does not run", "run deploy.py")
    assert any(f"{CANARY.timer} does not run" in line for line in _status(gateway)["attention"])


def test_new_keys_and_older_data_need_nothing_of_it(gateway: Lab) -> None:
    """It reads its key from the database that is there."""
    gateway.ssh(HOST, f"{DIRECTORY}/make-backup 'before the rotation'")
    run = gateway.pyinfra("-y", *LIMIT, *DATA, "--data", "keys=tokens", INVENTORY, "deploys/rotate_keys.py")
    assert run.code == 0, run.output[-3000:]
    names = [row["name"] for row in rows(gateway, HOST)["tokens"]]
    assert [name for name in names if name.startswith(CANARY_TOKEN)] == [CANARY_TOKEN], "the old one has gone"
    _look(gateway)
    restored = gateway.pyinfra("-y", *LIMIT, *DATA, INVENTORY, "deploys/restore.py")
    assert restored.code == 0, restored.output[-3000:]
    _look(gateway)
    last = gateway.ssh(HOST, f"tail -n 2 {HOME}/canary.jsonl").splitlines()
    assert [json.loads(line)["ok"] for line in last] == [True, True]


def test_without_an_interval_there_is_none_a_removal_leaves_nothing_and_a_restoration_has_one(gateway: Lab) -> None:
    # The settings name another place for the metrics than the one that they were written to.
    run = gateway.deploy(*LIMIT, "--data", "gateway_canary_interval=null")
    assert run.code == 0, run.output[-3000:]
    assert gateway.ssh(HOST, "ls -A /srv/metrics") == ""
    assert "Take off the timer of the canary" in run.output
    assert gateway.ssh(HOST, f"ls {METRICS} {CANARY.path} 2>/dev/null | wc -l") == "0"
    assert gateway.verify(*LIMIT, "--data", "gateway_canary_interval=null").code == 0
    again = gateway.deploy(*LIMIT, "--data", "gateway_metrics_directory=/srv/metrics")
    assert again.code == 0, again.output[-3000:]
    _look(gateway)
    assert gateway.ssh(HOST, "ls -A /srv/metrics") == METRICS_FILE
    _remove(gateway)
    assert gateway.ssh(HOST, "ls -A /srv/metrics") == ""
    restored = gateway.pyinfra("-y", *LIMIT, INVENTORY, "deploys/restore.py")
    assert restored.code == 0, restored.output[-3000:]
    assert gateway.ssh(HOST, f"systemctl is-active {CANARY.timer}") == "active", "also where nothing was left of it"
    _look(gateway)
    assert _metric(gateway, "up") == 1
    _remove(gateway)
    left = [line for line in snapshot(gateway, HOST) if "canary" in line]
    assert left == []


def _remove(lab: Lab) -> Run:
    run = lab.pyinfra("-y", *LIMIT, INVENTORY, "deploys/remove.py", "--data", f"yes={HOST}")
    assert run.code == 0, run.output[-3000:]
    return run
