"""Scheduled backups: the timer and its files on a host, and whether they are made, judged by what the host answers."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import DeployError

from llm_gateway.hosts.remote import RemoteError
from llm_gateway.parts import timers
from llm_gateway.parts.backups import backup_health, scheduled_backups
from llm_gateway.parts.backups.archive import Outcome
from llm_gateway.parts.backups.scheduled_backups import SERVICE, TIMER
from llm_gateway.tasks import backup
from tests.unit import fake_hosts
from tests.unit.deployed import BACKUP_UNITS, CANARY_UNITS, PRUNING_UNITS, deployed, last_backup
from tests.unit.test_deploy_plan import AGENT, GATEWAY, again
from tests.unit.topology import make_node

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
UNITS = timers.properties(make_node({"timer_units": BACKUP_UNITS}))
GOOD = Outcome(NOW - timedelta(hours=12), True, "scheduled", "x", 1, 1.0, 0.0, "")


def _timer(**changed: str) -> dict[str, dict[str, str]]:
    return {**UNITS, TIMER: {**UNITS[TIMER], **changed}}


def _at(hours: float) -> Outcome:
    return replace(GOOD, at=NOW - timedelta(hours=hours))


def test_all_is_well() -> None:
    assert backup_health.problem(UNITS, GOOD, LONG_AGO, NOW) is None


def test_none_is_missed_before_its_time_has_come() -> None:
    assert backup_health.problem(_timer(LastTriggerUSec=""), None, NOW - timedelta(hours=49), NOW) is None
    told = backup_health.problem(_timer(LastTriggerUSec=""), None, NOW - timedelta(hours=51), NOW)
    assert told
    assert "overdue: none was ever made" in told


@pytest.mark.parametrize(("hours", "is_overdue"), [(0, False), (49, False), (51, True)])
def test_a_daily_one_is_overdue_after_two_days(hours: float, is_overdue: bool) -> None:
    told = backup_health.problem(UNITS, _at(hours), LONG_AGO, NOW)
    assert bool(told and "overdue: the newest is of 2026-11-" in told) is is_overdue


def test_a_weekly_one_is_overdue_after_two_weeks() -> None:
    weekly = _timer(LastTriggerUSec="Mon 2026-11-16 00:00:00 UTC", NextElapseUSecRealtime="Mon 2026-11-23 00:00:00 UTC")
    assert backup_health.problem(weekly, _at(24 * 13), LONG_AGO, NOW) is None
    assert backup_health.problem(weekly, _at(24 * 15), LONG_AGO, NOW) is not None


def test_a_failed_one_is_told_with_its_reason_and_fix() -> None:
    told = backup_health.problem(UNITS, replace(GOOD, ok=False, error="no room: 3 MiB"), LONG_AGO, NOW)
    assert told
    assert "the last one, of 2026-11-22 00:00 UTC, failed: no room: 3 MiB" in told
    assert f"systemctl start {SERVICE}" in told


def test_one_that_was_killed_has_left_no_word() -> None:
    killed = {**UNITS, SERVICE: {"Result": "signal"}}
    assert "was cut off" in str(backup_health.problem(killed, replace(GOOD, at=LONG_AGO), LONG_AGO, NOW))
    assert backup_health.problem(killed, GOOD, LONG_AGO, NOW) is not None, "it was made before the timer's last turn"
    made_by_hand = replace(GOOD, at=NOW)
    assert backup_health.problem(killed, made_by_hand, LONG_AGO, NOW) is None


@pytest.mark.parametrize(
    ("units", "installed", "told"),
    [
        ({}, LONG_AGO, "none are scheduled yet"),
        (UNITS, None, "none are scheduled yet"),
        (_timer(LoadState="not-found"), LONG_AGO, "none are scheduled yet"),
        (_timer(ActiveState="inactive"), LONG_AGO, "does not run, so none are made"),
    ],
)
def test_a_timer_that_is_not_there_is_told(units: Any, installed: datetime | None, told: str) -> None:
    found = backup_health.problem(units, GOOD, installed, NOW)
    assert found
    assert told in found
    assert "run deploy.py" in found


def test_a_host_without_scheduled_backups_is_not_judged() -> None:
    assert backup_health.problem_of(make_node(gateway_backup_schedule=None)) is None
    assert backup_health.problem_of(make_node()) is not None


def test_verification_fails_where_backups_fail(tmp_path: Path) -> None:
    done = again(tmp_path, "-y", script="verify.py", backup_last=last_backup(ok=False, error="age is not there"))
    assert done.returncode == 1
    assert "backups: the last one" in done.stderr
    assert "failed: age is not there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("ActiveState=active", "ActiveState=failed"),
        ("UnitFileState=enabled", "UnitFileState=disabled"),
        ("NeedDaemonReload=no\n\n", "NeedDaemonReload=yes\n\n"),
        ("Id=", "Other="),
    ],
)
def test_a_timer_that_does_not_wait_is_started(tmp_path: Path, was: str, now: str) -> None:
    assert was in BACKUP_UNITS
    done = again(
        tmp_path, "--dry", "--json", timer_units=f"{BACKUP_UNITS.replace(was, now)}\n{CANARY_UNITS}\n{PRUNING_UNITS}"
    )
    assert fake_hosts.planned(done) == ["Start the timer of the backups"]


def _run(tmp_path: Path, script: str = "deploy.py", **data: Any) -> subprocess.CompletedProcess[str]:
    done = deployed(GATEWAY, AGENT)
    return fake_hosts.run(
        tmp_path, "--dry", "--json", script=script, gateways=[fake_hosts.host("gw1", done.gateway, **data)]
    )


def test_without_a_schedule_the_timer_goes(tmp_path: Path) -> None:
    planned = fake_hosts.planned(_run(tmp_path, gateway_backup_schedule=None))
    assert planned == ["Take off the timer of the backups", "Write the settings of the canary"]


def test_a_recipient_needs_age_and_changes_the_settings_alone(tmp_path: Path) -> None:
    planned = fake_hosts.planned(_run(tmp_path, gateway_backup_recipient="age1" + "q" * 58))
    assert planned == ["Install age", "Write the settings of the backups"]


def test_the_gateway_is_not_restarted_for_the_sake_of_backups(tmp_path: Path) -> None:
    planned = fake_hosts.planned(_run(tmp_path, gateway_backup_schedule="Mon 03:00", gateway_backup_keep=2))
    assert planned == [
        "Write the settings of the backups",
        "Write the timer of the backups",
        "Start the timer of the backups",
    ]


def test_a_schedule_that_systemd_does_not_understand_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def analyze(host: object, command: str, stdin: str | None = None) -> list[str]:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RemoteError(done.stderr)
        return done.stdout.splitlines()

    monkeypatch.setattr("llm_gateway.hosts.remote.run", analyze)
    (told,) = scheduled_backups.problems(make_node(gateway_backup_schedule="Mon 33:00"))
    assert re.match(r"gateway_backup_schedule: systemd does not understand 'Mon 33:00' \(.+\); take", told)
    assert list(scheduled_backups.problems(make_node(gateway_backup_schedule="Mon..Fri 03:00"))) == []


def test_backup_plans_one_step_and_says_which(tmp_path: Path) -> None:
    assert fake_hosts.planned(_run(tmp_path, "deploys/backup.py")) == ["Make a backup on the host"]


def test_backup_of_what_was_never_deployed_is_refused(tmp_path: Path) -> None:
    done = fake_hosts.run(tmp_path, "--dry", script="deploys/backup.py", gateways=[fake_hosts.host("gw1")])
    assert done.returncode == 1
    assert "no deployment has been completed in /opt/openclaw-llm-gateway" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(DeployError, match=r"fetch: ~nobody-of-that-name/in: Could not .*; name another directory"):
        backup.directory_here("~nobody-of-that-name/in")


@pytest.mark.parametrize(("place", "words"), [("", "name a directory"), ("a-file/in", "a-file is a file")])
def test_a_place_that_is_none_is_refused(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(DeployError, match=words):
        backup.directory_here(str(tmp_path / place) if place else "")
