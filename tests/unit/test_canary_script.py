"""files/canary: what it asks, what it tells whom, and when it is silent."""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.contents.desired import CANARY_TOKEN
from llm_gateway.parts.canary.canary_health import CONDITIONS, Found, first_ones
from tests.unit.canary_kit import COMPLETION, KEY, SCRIPT, Canary
from tests.unit.local_host import TOOLS

pytestmark = pytest.mark.slow

UNIT = "openclaw-llm-gateway.service"


@pytest.fixture(params=TOOLS)
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Canary]:
    """A host that has the one or the other program for SQLite."""
    found = Canary(tmp_path, request.param)
    yield found
    found.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Canary]:
    """A host with sqlite3 where this machine has it."""
    found = Canary(tmp_path, TOOLS[0])
    yield found
    found.close()


def metrics(text: str) -> dict[str, float]:
    """Read as Prometheus reads its text format ("exposition formats"); what it refuses is an AssertionError."""
    assert text.endswith("\n")
    name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    values: dict[str, float] = {}
    for line in text.splitlines():
        if match := re.fullmatch(rf"# HELP ({name}) (.*)", line):
            assert match[1] not in helped, "a second HELP"
            helped.add(match[1])
        elif match := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|histogram|summary|untyped)", line):
            assert match[1] not in kinds, "a second TYPE"
            assert match[1] not in values, "TYPE behind its samples"
            kinds[match[1]] = match[2]
        else:
            match = re.fullmatch(rf"({name}(?:\{{name=\"[a-z_]+\"\}})?) ([0-9.eE+-]+|NaN|[+-]Inf)", line)
            assert match, line
            assert match[1] not in values, "a second sample"
            values[match[1]] = float(match[2])
    assert helped == set(kinds) == {key.partition("{")[0] for key in values}
    return values


def test_it_asks_as_users_do_and_keeps_the_result(either: Canary) -> None:
    assert either.must_look() == ""
    assert either.asked == [(f"Bearer sk-{KEY}", {"model": "m 'x'", "max_tokens": 1})]
    (result,) = either.results
    assert result["ok"] is True
    assert result["error"] == ""
    assert 0 <= result["seconds"] < 10
    found = Found.parse(first_ones(either.state))
    assert found is not None
    assert (found.result, dict(found.wrong)) == ("ok", {})
    assert abs(found.at.timestamp() - time.time()) < 60
    assert either.alerts == []


def test_the_script_knows_the_name_of_its_token_and_what_python_reads() -> None:
    text = SCRIPT.read_text()
    assert f"\ntoken={CANARY_TOKEN}\n" in text
    assert f"\nconditions=({' '.join(CONDITIONS)})\n" in text


def test_metrics_are_what_prometheus_reads(host: Canary) -> None:
    host.must_look()
    found = metrics(host.metrics)
    names = ("up", "canary_seconds", "canary_last_success_timestamp_seconds", "canary_failures")
    more = ("backup_last_success_timestamp_seconds", "disk_free_bytes", "firewall_up", "restarts")
    wrong = tuple(f'problem{{name="{name}"}}' for name in CONDITIONS)
    key = "tailnet_key_expiry_timestamp_seconds"
    assert set(found) == {f"openclaw_llm_gateway_{name}" for name in (*names, *more, key, *wrong)}
    assert not any(found[f"openclaw_llm_gateway_{name}"] for name in wrong)
    assert found["openclaw_llm_gateway_up"] == 1
    assert abs(found["openclaw_llm_gateway_canary_last_success_timestamp_seconds"] - time.time()) < 60
    assert found["openclaw_llm_gateway_disk_free_bytes"] > 1 << 20
    file = host.home / "metrics" / "openclaw_llm_gateway.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    succeeded = found["openclaw_llm_gateway_canary_last_success_timestamp_seconds"]
    host.answer = (500, b"{}")
    host.must_look()
    found = metrics(host.metrics)
    assert found["openclaw_llm_gateway_up"] == 0
    assert found["openclaw_llm_gateway_canary_failures"] == 1
    assert found["openclaw_llm_gateway_canary_last_success_timestamp_seconds"] == succeeded


@pytest.mark.parametrize(
    "wrong", ["up 1\n", "# TYPE up gauge\n# HELP up x\nup one\n", "# HELP up x\n# TYPE up gauge\nup 1"]
)
def test_what_prometheus_would_refuse_is_refused_here(wrong: str) -> None:
    with pytest.raises(AssertionError):
        metrics(wrong)


def test_it_is_told_once_after_so_many_failures_and_once_when_it_is_over(host: Canary) -> None:
    host.answer = (503, b'{"error": {"message": "no channel for sk-secret"}}')
    for _ in range(2):
        host.must_look()
    assert host.alerts == []
    for _ in range(3):
        host.must_look()
    ((kind, text),) = host.alerts
    assert kind == "failing"
    assert re.fullmatch(
        r"LLM gateway gw1 \(127\.0\.0\.1:\d+\): no completion: HTTP 503: verify\.py says at which link"
        r" \(since \d{4}-\d\d-\d\d \d\d:\d\d UTC\)",
        text,
    )
    host.answer = (200, COMPLETION)
    for _ in range(2):
        host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered"]
    assert "answer has recovered" in host.alerts[1][1]
    host.answer = (503, b"")
    for _ in range(3):
        host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered", "failing"]
    everything = "".join(path.read_text() for path in host.home.rglob("*") if path.is_file())
    assert "sk-secret" not in everything
    assert KEY not in everything


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b'{"choices": [], "object": "nonsense"}'), "its answer is not a completion"),
        ((200, b"<html>choices</html>"), "its answer is not a completion"),
        ((401, b"{}"), f"refuses the token {CANARY_TOKEN} (HTTP 401)"),
        ((429, b"{}"), "HTTP 429"),
        (None, "broke off before an answer"),
    ],
)
def test_what_is_no_completion_is_a_failure(host: Canary, answer: tuple[int, bytes] | None, told: str) -> None:
    host.answer = answer
    assert told in host.must_look()
    assert host.results[0]["ok"] is False
    assert told in host.results[0]["error"]


def test_where_nothing_listens_it_says_what_the_gateway_waits_for(host: Canary) -> None:
    host.close()
    host.configure(deadline=1)
    host.properties[UNIT]["ActiveState"] = "activating"
    assert f"{UNIT} is activating" in host.must_look()
    host.configure(deadline=1000)
    host.properties[UNIT]["StatusText"] = "waiting: 100.64.0.1 is on no interface of this host"
    host.must_look()
    assert host.results[-1]["error"] == "the gateway is waiting: 100.64.0.1 is on no interface of this host"


def test_a_gateway_that_is_just_starting_is_waited_for(host: Canary) -> None:
    host.close()
    host.properties[UNIT]["ActiveState"] = "activating"

    def begin() -> None:
        while not host.slept.exists():
            time.sleep(0.01)
        host.listen_again()

    starting = threading.Thread(target=begin)
    starting.start()
    assert host.must_look() == ""
    starting.join()
    assert [result["ok"] for result in host.results] == [True]


_NO_ANSWER = 'case "$*" in *tailscale*) shift && exec "$@" ;; esac; exit 124'


@pytest.mark.parametrize(("state", "words"), [("Stopped", "Tailscale is down"), ("NeedsLogin", "is logged out of")])
def test_where_tailscale_lets_nobody_in_that_is_told(host: Canary, state: str, words: str) -> None:
    host.stub("tailscale", f'echo \'"BackendState": "{state}"\'')
    host.must_look()
    assert words in host.results[0]["error"]
    assert "`tailscale up`" in host.results[0]["error"]
    assert host.asked == []


def test_where_no_answer_comes_it_does_not_wait_for_ever(host: Canary) -> None:
    host.stub("timeout", _NO_ANSWER)
    host.must_look()
    assert host.results[0]["error"] == "no answer within 60 s"


def test_a_missing_or_damaged_database_and_a_disabled_token_are_told(either: Canary) -> None:
    either.write_token(CANARY_TOKEN, status=2)
    assert "is missing or disabled" in either.must_look()
    (either.place / "data" / "one-api.db").write_bytes(b"damaged" * 1000)
    assert "its database is damaged" in either.must_look()
    (either.place / "data" / "one-api.db").unlink()
    assert "is its disk mounted?" in either.must_look()
    assert either.asked == []
    assert not (either.place / "data" / "one-api.db").exists(), "nothing is made there"


def test_where_the_command_fails_it_is_called_again_the_next_time(host: Canary) -> None:
    host.answer = (500, b"")
    host.configure(failures=1, command="echo password=x; exit 9")
    for _ in range(2):
        done = host.look()
        assert done.returncode == 1
        assert "gateway_alert_command failed with exit code 9" in done.stderr
        assert "password=x" not in done.stderr + "".join(host.state)
    assert stat.S_IMODE((host.home / "canary-alert.log").stat().st_mode) == 0o600
    host.configure(failures=1)
    host.must_look()
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing"]


def test_the_command_finds_roots_home_when_the_timer_calls_it(host: Canary) -> None:
    """systemd sets none of these for a system service without User=; mail and msmtp look for their files there."""
    host.answer = (500, b"")
    host.configure(failures=1, command=f'echo "$HOME $USER $LOGNAME" > {host.place}/login')
    host.must_look()
    assert (host.place / "login").read_text() == "/root root root\n"


def test_what_is_over_before_it_could_be_told_is_not_told(host: Canary) -> None:
    host.answer = (500, b"")
    host.configure(failures=1, command="exit 1")
    assert host.look().returncode == 1
    host.answer = (200, COMPLETION)
    host.configure(failures=1)
    host.must_look()
    assert host.alerts == []


def test_a_disk_that_is_nearly_full_is_told_at_once(host: Canary) -> None:
    host.stub("df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/a 90000000 9 100000 99%% /\\n'")
    host.must_look()
    ((kind, text),) = host.alerts
    assert kind == "failing"
    assert "only 97 MiB of 87890 are free on the disk of" in text
    host.stub("df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/a 90000000 9 4000000 99%% /\\n'")
    host.must_look()
    assert len(host.alerts) == 1, "less than 5 %"
    host.stub("df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/a 90000000 9 5000000 99%% /\\n'")
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered"]


def test_where_the_disk_has_no_room_for_what_it_found_it_is_told_once_all_the_same(host: Canary) -> None:
    host.must_look()
    host.stub("df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/a 90000000 9 0 100%% /\\n'")
    host.stub("mv", "exit 1")
    for _ in range(3):
        assert "is the disk full?" in host.look().stderr
    assert [kind for kind, _ in host.alerts] == ["failing"]


def test_a_failed_backup_counts_and_so_does_an_overdue_one(host: Canary) -> None:
    host.configure(failures=1, backups="yes")
    last = host.place / "backups" / "last.json"
    last.write_text('{"at": "2026-11-22T03:00:00Z", "ok": true, "reason": "say \\"ok\\": false"}\n')
    host.must_look()
    made = metrics(host.metrics)["openclaw_llm_gateway_backup_last_success_timestamp_seconds"]
    assert made == 1795316400
    assert host.alerts == []
    last.write_text('{"at": "2026-11-22T04:00:00Z", "ok": false, "reason": "say \\"ok\\": true"}\n')
    host.must_look()
    assert "the last backup failed: `journalctl -u openclaw-llm-gateway-backup`" in host.alerts[-1][1]
    assert metrics(host.metrics)["openclaw_llm_gateway_backup_last_success_timestamp_seconds"] == made, "is remembered"
    last.write_text('{"at": "2026-11-22T05:00:00Z", "ok": true}\n')
    host.must_look()
    assert host.alerts[-1][0] == "recovered"
    long_ago = int(time.time()) - 86400 * 3
    host.stub("stat", f"echo {long_ago}")
    last.write_text(f'{{"at": "{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(long_ago))}", "ok": true}}\n')
    host.must_look()
    assert "backups are overdue: none since" in host.alerts[-1][1]
    host.properties["openclaw-llm-gateway-backup.timer"] = {
        "LastTriggerUSec": "Sun 2026-11-22 00:00:00 UTC",
        "NextElapseUSecRealtime": "Sun 2026-11-29 00:00:00 UTC",
    }
    host.must_look()
    assert host.alerts[-1][0] == "recovered", "it is made every week"


def test_a_firewall_whose_rules_are_gone_or_other_ones_is_told_at_once(host: Canary) -> None:
    """Whoever asks from the host is answered all the same."""
    host.properties["openclaw-llm-gateway-firewall.service"] = {"LoadState": "loaded", "ActiveState": "active"}
    host.must_look()
    assert host.alerts == []
    assert metrics(host.metrics)["openclaw_llm_gateway_firewall_up"] == 1
    host.has_firewall("others")
    assert "not those that were loaded" in host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing"]
    assert "the firewall's rules are not there, or not those that were loaded" in host.alerts[-1][1]
    assert "(openclaw-llm-gateway-firewall.service is active): run deploy.py" in host.alerts[-1][1]
    assert metrics(host.metrics)["openclaw_llm_gateway_firewall_up"] == 0
    assert metrics(host.metrics)["openclaw_llm_gateway_up"] == 1
    host.load_firewall("others")
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered"]
    host.stub("nft", "exit 1")
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered", "failing"]
    found = Found.parse(first_ones(host.state))
    assert found is not None
    assert "the firewall's rules are not there" in found.wrong["firewall"]


def test_a_problem_of_another_part_is_told_while_its_file_is_there(host: Canary) -> None:
    problems = host.home / "problems"
    problems.mkdir(parents=True)
    host.must_look()
    (problems / "budget").write_text("agent1 has used 85 %\tof its budget\nmore\n")
    (problems / "empty").touch()
    (problems / ".budget.new").write_text("half\n")
    (problems / "answer").write_text("a name that is taken\n")
    (problems / "to").symlink_to("/etc/passwd/")
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "failing"]
    assert "): agent1 has used 85 % of its budget (since " in host.alerts[0][1]
    found = Found.parse(first_ones(host.state))
    assert found is not None
    assert dict(found.wrong) == {"budget": "agent1 has used 85 % of its budget", "empty": "empty"}
    for _ in range(2):
        (problems / "budget").unlink(missing_ok=True)
        host.must_look()
    assert [kind for kind, _ in host.alerts[2:]] == ["recovered"]
    assert "budget has recovered" in host.alerts[2][1]
    assert not [line for line in host.state if "budget" in line]


def test_rules_that_are_being_loaded_are_waited_for(host: Canary) -> None:
    host.has_firewall("new")
    loaded = host.run_directory / "openclaw-llm-gateway-firewall" / "loaded"
    before = loaded.read_text()
    host.load_firewall("new")
    now = loaded.read_text()
    loaded.write_text(before)
    host.stub("sleep", f"printf '%s' '{now}' > {loaded}")
    assert host.must_look() == ""
    assert host.alerts == []


def test_a_container_that_somebody_has_paused_is_told(host: Canary) -> None:
    host.stub("timeout", _NO_ANSWER)
    host.stub("docker", '[ "$1 $2 $3" = "container inspect openclaw-llm-gateway" ] && echo true')
    host.must_look()
    assert host.results[0]["error"] == "its container is paused: docker unpause openclaw-llm-gateway"
    host.stub("docker", "echo false")
    host.must_look()
    assert host.results[1]["error"] == "no answer within 60 s"


def _run_at_work(host: Canary, minutes: int = 0) -> None:
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    lock = host.run_directory / "openclaw-llm-gateway.lock"
    lock.write_text(f"{os.getpid()} {started}\nwho\nrun\n")
    os.utime(lock, (time.time() - minutes * 60,) * 2)


def test_it_is_silent_while_a_run_is_at_work_for_an_hour_at_most(host: Canary) -> None:
    host.answer = (500, b"")
    _run_at_work(host)
    assert "a run is at work" in host.must_look()
    assert (host.results, host.asked) == ([], [])
    _run_at_work(host, minutes=61)
    host.must_look()
    assert len(host.results) == 1
    (host.run_directory / "openclaw-llm-gateway.lock").write_text(f"{os.getpid()} 1\nwho\nrun\n")
    host.must_look()
    assert len(host.results) == 2, "one that has ended"


def test_it_is_silent_where_the_gateway_was_moved_away(host: Canary) -> None:
    host.must_look()
    (host.place / "migrated-to").write_text("gw2 http://100.64.0.2:3000\n")
    assert "does not serve on this host" in host.must_look()
    assert len(host.asked) == 1
    assert list((host.home / "metrics").iterdir()) == [], "they would be out of date"


def test_it_is_silent_while_a_person_has_stopped_the_gateway(host: Canary) -> None:
    host.configure(failures=1)
    host.properties[UNIT] |= {"ActiveState": "inactive", "ActiveExitTimestampMonotonic": "123"}
    host.close()
    for _ in range(2):
        host.must_look()
    assert (host.results, host.alerts) == ([], [])
    assert "result=stopped" in host.state
    assert metrics(host.metrics)["openclaw_llm_gateway_up"] == 0


@pytest.mark.parametrize("stopped", ["docker.service", "openclaw-llm-gateway-firewall.service"])
def test_a_gateway_that_what_it_needs_has_taken_along_is_told_of(host: Canary, stopped: str) -> None:
    host.configure(failures=1)
    host.properties[UNIT] |= {"ActiveState": "inactive", "ActiveExitTimestampMonotonic": "123"}
    host.properties[stopped]["ActiveState"] = "inactive"
    host.close()
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing"], "nobody has stopped the gateway itself"


def test_one_that_never_started_since_the_boot_is_not_stopped_by_a_person(host: Canary) -> None:
    host.properties[UNIT] |= {"ActiveState": "inactive", "ActiveExitTimestampMonotonic": "0"}
    host.close()
    host.must_look()
    assert host.results[0]["ok"] is False
    host.properties[UNIT]["UnitFileState"] = "disabled"
    host.must_look()
    assert len(host.results) == 1


def test_what_was_told_before_a_stop_is_taken_back_when_it_answers_again(host: Canary) -> None:
    host.configure(failures=1)
    host.answer = (500, b"")
    host.must_look()
    host.properties[UNIT] |= {"ActiveState": "inactive", "ActiveExitTimestampMonotonic": "123"}
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing"]
    host.properties[UNIT]["ActiveState"] = "active"
    host.answer = (200, COMPLETION)
    host.must_look()
    assert [kind for kind, _ in host.alerts] == ["failing", "recovered"]


def test_the_last_results_are_kept_and_no_more(host: Canary) -> None:
    host.home.mkdir()
    line = '{"at": "2026-11-22T00:00:00Z", "ok": true, "seconds": 1, "error": ""}\n'
    (host.home / "canary.jsonl").write_text(line * 400)
    host.must_look()
    assert len(host.results) == 288
    assert host.results[-1]["at"] != "2026-11-22T00:00:00Z"


def test_the_results_of_an_hour_are_one_line_and_two_weeks_of_them_are_kept(host: Canary) -> None:
    host.stub("date", f'[ "$*" = "+%s" ] && echo 1796342400 || exec {shutil.which("date")} "$@"')
    host.home.mkdir()
    old = [f"{2026 - back:04}-01-01T00 12 0 9.60 1.20" for back in range(400, 0, -1)]
    (host.home / "canary-hours").write_text("\n".join([*old, "cut off", ""]))
    host.must_look()
    host.answer = (500, b"{}")
    host.must_look()
    *before, last = host.hours
    assert before == old[-359:]
    assert re.fullmatch(r"2026-12-04T00 2 1 (\d\.\d\d) \1", last), "the seconds of what came alone"
    host.stub("date", f'[ "$*" = "+%s" ] && echo 1796346000 || exec {shutil.which("date")} "$@"')
    host.must_look()
    assert host.hours[-2:] == [last, "2026-12-04T01 1 1 0.00 0.00"]


def test_a_directory_for_metrics_that_is_not_there_is_told(host: Canary) -> None:
    host.configure(metrics="/nowhere/at/all")
    done = host.look()
    assert done.returncode == 1
    assert "the metrics cannot be written to /nowhere/at/all" in done.stderr
    assert host.results[0]["ok"] is True, "it has asked all the same"
