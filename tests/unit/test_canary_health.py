"""The canary on a host, judged by what the host answers: its files, its timer, and what it found."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_gateway.contents import desired
from llm_gateway.hosts.remote import RemoteError
from llm_gateway.inputs import host_data, settings
from llm_gateway.model.checks import InvalidError, in_seconds, time_span
from llm_gateway.parts import timers
from llm_gateway.parts.canary import canary_health, scheduled_canary
from llm_gateway.parts.canary.canary_health import Found, first_ones
from llm_gateway.parts.canary.scheduled_canary import CANARY
from llm_gateway.status import canary_status
from llm_gateway.status.canary_status import Canary
from llm_gateway.status.status_answers import StatusAnswers
from tests.unit import fake_hosts
from tests.unit.deployed import BACKUP_UNITS, CANARY_UNITS, deployed
from tests.unit.fake_hosts import FRESH, answer
from tests.unit.test_deploy_plan import AGENT, GATEWAY, again
from tests.unit.topology import make_node

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
FIVE = timedelta(minutes=5)
UNITS = timers.properties(make_node({"timer_units": CANARY_UNITS}))
STATE = (
    "at=1795348800\nresult=failed\nseconds=0.80\n"
    "text.answer=no completion: HTTP 503\ntext.disk=\ntext.backup=late=1\nend\n"
)


def _units(unit: str, **changed: str) -> dict[str, dict[str, str]]:
    return {**UNITS, unit: {**UNITS[unit], **changed}}


def _found(minutes: float) -> Found:
    return Found(NOW - timedelta(minutes=minutes), "ok", 1.0, {})


def test_all_is_well() -> None:
    assert canary_health.problem(UNITS, _found(4), FIVE, LONG_AGO, NOW) is None
    assert canary_health.problem(UNITS, None, FIVE, NOW - FIVE, NOW) is None, "its time has not come"


@pytest.mark.parametrize(
    ("units", "last", "told"),
    [
        (_units(CANARY.timer, ActiveState="inactive"), _found(4), f"{CANARY.timer} does not run"),
        ({}, _found(4), f"{CANARY.timer} does not run"),
        (_units(CANARY.service, Result="exit-code"), _found(4), "does not work ("),
        (UNITS, _found(101), "it last looked on 2026-11-22 10:19 UTC"),
        (UNITS, None, "it has never looked"),
    ],
)
def test_one_that_does_not_look_is_told(units: dict[str, Any], last: Found | None, told: str) -> None:
    assert told in str(canary_health.problem(units, last, FIVE, LONG_AGO, NOW))


def test_what_it_found_is_read() -> None:
    found = Found.parse(first_ones(STATE.splitlines()))
    assert found is not None
    assert (found.at, found.result, found.seconds) == (datetime(2026, 11, 22, 12, tzinfo=UTC), "failed", 0.8)
    assert dict(found.wrong) == {"answer": "no completion: HTTP 503", "backup": "late=1"}


@pytest.mark.parametrize("text", ["", "at=1\n", "nonsense", STATE.replace("end\n", ""), STATE.replace("0.80", "soon")])
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    assert Found.parse(first_ones(text.splitlines())) is None


def test_a_longer_text_under_a_shorter_one_is_not_read() -> None:
    assert first_ones(["at=1", "end", "t=5", "end"]) == {"at": "1"}


def test_the_settings_reach_the_script_as_they_are() -> None:
    command = """echo "$1" 'it'"'"'s' $HOME `date` %n 模型"""
    made = make_node(
        llm_model="模型/m-1",
        gateway_channels=[
            {"name": "c", "type": "openai", "base_url": "https://x.example", "key": "K", "models": ["模型/m-1"]}
        ],
        gateway_alert_command=command,
        gateway_metrics_directory="/srv/metrics",
        gateway_backup_schedule=None,
    )
    script, conf = scheduled_canary.script_files(made)
    assert (script.mode, conf.mode) == ("755", "600")
    lines = [line for line in conf.content.decode().splitlines() if not line.startswith("#")]
    values = {name: (shlex.split(value) or [""])[0] for name, _, value in (line.partition("=") for line in lines)}
    assert values["command"] == command
    assert (values["metrics"], values["backups"], values["failures"]) == ("/srv/metrics", "no", "3")
    assert values["body"].isascii(), "its length is its number of bytes"
    body = json.loads(values["body"])
    assert (body["model"], set(body)) == (made.settings.llm_model, {"model", "messages"})


def test_its_token_may_do_nothing_else() -> None:
    made = make_node()
    spec = desired.own_token(made.gateway, desired.CANARY_TOKEN)
    assert (spec.models, spec.quota) == (("MiniMax-M2.5",), None)
    assert desired.own_token(made.gateway, desired.VERIFICATION_TOKEN).models == ()
    assert desired.CANARY_TOKEN in desired.own_tokens(made.gateway)
    assert desired.CANARY_TOKEN not in desired.own_tokens(make_node(gateway_canary_interval=None).gateway)


METRICS = "/var/lib/openclaw-llm-gateway/metrics"


def _planned(tmp_path: Any, **data: Any) -> list[str]:
    answers = {**deployed(GATEWAY, AGENT).gateway, "canary_metrics": f"{METRICS}\n"}
    run = fake_hosts.run(tmp_path, "--dry", "--json", gateways=[fake_hosts.host("gw1", answers, **data)])
    return [name for name in fake_hosts.planned(run) if "canary" in name or "metrics" in name]


def test_without_an_interval_it_goes(tmp_path: Any) -> None:
    assert _planned(tmp_path, gateway_canary_interval=None) == [
        "Remove the metrics, which would be out of date",
        "Take off the timer of the canary",
    ]
    assert canary_health.problem_of(make_node(gateway_canary_interval=None)) is None
    assert canary_health.problem_of(make_node()) == "there is none yet on this host: run deploy.py"


def test_another_interval_is_a_new_timer_alone(tmp_path: Any) -> None:
    planned = _planned(tmp_path, gateway_canary_interval="1h")
    assert planned == ["Write the timer of the canary", "Start the timer of the canary"]


def test_metrics_in_a_place_that_is_left_are_removed_there_before_their_place_is_forgotten(tmp_path: Any) -> None:
    assert _planned(tmp_path) == []
    assert _planned(tmp_path, gateway_metrics_directory="/srv/new") == [
        "Remove the metrics, which would be out of date",
        "Write the settings of the canary",
        "Write the unit of the canary",
        "Start the timer of the canary",
    ]


def test_metrics_are_looked_for_where_the_canary_on_the_host_writes_them() -> None:
    made = make_node({"canary_metrics": "/srv/old\n"}, gateway_metrics_directory="/srv/new")
    assert scheduled_canary.metrics_files(made) == [
        *("/srv/old/openclaw_llm_gateway.prom", "/srv/old/openclaw_llm_gateway.prom.new"),
        *("/srv/new/openclaw_llm_gateway.prom", "/srv/new/openclaw_llm_gateway.prom.new"),
    ]
    for text in ("", "''\n", "it's\n"):
        own = [f"{METRICS}/openclaw_llm_gateway.prom{end}" for end in ("", ".new")]
        assert scheduled_canary.metrics_files(make_node({"canary_metrics": text})) == own


def test_verification_fails_where_nobody_looks(tmp_path: Any) -> None:
    done = again(tmp_path, "-y", script="verify.py", timer_units=BACKUP_UNITS)
    assert done.returncode == 1
    assert f"canary: {CANARY.timer} does not run, so nobody looks: run deploy.py" in done.stderr


def test_a_directory_for_metrics_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        asked.append(command)
        raise RemoteError("no output")

    monkeypatch.setattr("llm_gateway.hosts.remote.run", run)
    (told,) = scheduled_canary.problems(make_node(gateway_metrics_directory="/srv/metrics"))
    assert told.startswith("gateway_metrics_directory: there is no directory /srv/metrics on this host: make it")
    assert asked == ["[ -d /srv/metrics ]"]
    assert list(scheduled_canary.problems(make_node())) == [], "the one of its own is made"
    assert list(scheduled_canary.problems(make_node({**FRESH, "busy": "x"}, gateway_metrics_directory="/srv/m"))) == []


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("5min", 300), ("2h", 7200), ("1d", 86400)])
def test_spans(text: str, seconds: int) -> None:
    assert in_seconds(time_span("10s", "1d")(text)) == seconds


@pytest.mark.parametrize(
    "value", ["5", "5 min", "0s", "-1min", "5min 3s", "9s", "25h", "infinity", "5m\n", 5, True, "min"]
)
def test_what_is_no_span_is_refused(value: object) -> None:
    with pytest.raises(InvalidError):
        time_span("10s", "1d")(value)


def test_a_command_that_nobody_would_call_is_told() -> None:
    data = {**settings.defaults(), "gateway_canary_interval": None, "gateway_alert_command": "true"}
    assert any(
        text.startswith("gateway_alert_command: gateway_canary_interval is None") for text in host_data.check(data)[1]
    )


def _status(state: str, results: str) -> Canary:
    now = int(datetime.now(UTC).timestamp())
    made = make_node({**deployed(GATEWAY, AGENT).gateway, "canary_state": state.replace("1795348800", str(now - 180))})
    return canary_status.of(made, StatusAnswers.parse(answer({"canary_results": results})), float(now))


def test_status_counts_what_came_and_says_what_did_not() -> None:
    ok, failed = '{"ok": true}\n', '{"ok": false}\n'
    found = _status(STATE, ok * 3 + failed + '{"ok": tr')
    assert (found.result, found.age, found.ok, found.count) == ("failed", 180.0, 3, 4)
    assert list(canary_status.attention(found)) == ["canary, 3 min ago: no completion: HTTP 503"]
    assert canary_status.told(found, "-").startswith("failed 3 min ago; 3 of 4 ok")
    well = _status(STATE.replace("failed", "ok").replace("no completion: HTTP 503", ""), ok * 4)
    assert canary_status.told(well, "-").startswith("ok 3 min ago, 0.8 s; 4 of 4 ok")
    assert canary_status.short(well, "-").startswith("ok 3 min ago, 0.8 s")
    assert "of 4" not in canary_status.short(well, "-")
    assert canary_status.told(_status("", ""), "-").startswith("-")


def test_a_stopped_gateway_needs_nobody() -> None:
    found = _status(STATE.replace("failed", "stopped"), "")
    assert [text for text in canary_status.attention(found) if "no completion" in text] == []


def test_status_tells_what_only_the_canary_looks_at_and_who_gets_no_alarms() -> None:
    more = "text.restarts=\ntext.budget=agent1 has used 85 %\ntext.firewall=others\nundelivered.ntfy:A=HTTP 403\nend\n"
    found = _status(STATE.replace("end\n", more), "")
    assert found.wrong == (
        "budget: agent1 has used 85 %",
        "no alarm could be sent to ntfy:A: HTTP 403; deploys/alerts.py sends a test message",
    )
    assert list(canary_status.attention(found))[-2:] == list(found.wrong)
