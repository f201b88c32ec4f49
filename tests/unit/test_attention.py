"""What of a gateway needs a person, in the words of the status; and what a deployment does not begin anew."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.record import Record
from llm_gateway.model.layout import UNIT_PATH
from llm_gateway.parts import found_data, service
from llm_gateway.status import host_status, shapes
from llm_gateway.status.status_answers import StatusAnswers
from tests.unit.deployed import WRITTEN, gateway_answers
from tests.unit.fake_hosts import answer
from tests.unit.test_history import BEGUN, lines
from tests.unit.topology import DIRECTORY, make_node

HEAD = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
SEEN = {"now": "1800000000\n", "disks": f"{HEAD}/dev/vda1 40000000 10000000 30000000 25% /\n"}
CUT_OFF = (
    {"run": "a", **BEGUN, "script": "remove.py"},
    {"run": "a", "event": "changing", "commit": "ff601e2"},
)
FAILED = "Result=exit-code\nId=openclaw-llm-gateway-prune-logs.service"
STOPPED = {"container": "[]"}


def told(seen: dict[str, str], changed: dict[str, str] | None = None, without: tuple[str, ...] = ()) -> list[str]:
    """What the status says of a gateway that was deployed, and has been changed since."""
    answers = {**gateway_answers(make_node(), Record().content().decode()), **(changed or {})}
    host = make_node({name: text for name, text in answers.items() if name not in without})
    return list(host_status.of(host.machine, StatusAnswers.parse(answer({**SEEN, **seen})), ()).attention)


def found(texts: list[str], words: str) -> bool:
    return any(words in text for text in texts)


def test_the_fullest_of_its_disks_is_looked_at() -> None:
    full = "tmpfs 12288 12288 0 100% /opt/a place/data\n"
    texts = told({"disks": SEEN["disks"] + full})
    assert found(texts, "the disk of /opt/a place/data is full")
    little = "/dev/vdb 40000000 39000000 1000000 98% /var/lib/docker\n"
    texts = told({"disks": SEEN["disks"] + little})
    assert found(texts, "only 976 MiB are free on the disk of /var/lib/docker: make room")
    assert not found(told({}), "disk")


def test_an_odd_database_is_told_with_what_fixes_it() -> None:
    last = json.loads(gateway_answers(make_node(), "")["backup_last"])
    odd = "the index i does not hold what its table does (to fix it: sqlite3 /x REINDEX)"
    assert found(told({}, {"backup_last": json.dumps({**last, "odd": odd})}), f"as its last backup is: {odd}")
    assert not found(told({}), "inconsistent")


def test_a_place_elsewhere_that_is_not_there_is_told() -> None:
    places = "data yes ext2/ext3 /mnt/disk/my data\nbackups no - /mnt/nas/gw1\n"
    texts = told({"places": places})
    assert found(texts, "/backups leads to /mnt/nas/gw1, which is not there: is its file system mounted?")
    assert not found(texts, "my data")


def test_what_a_gateway_waits_for_is_told() -> None:
    says = {"unit_says": "waiting: /opt/x/data/one-api.db is not there. Is its file system mounted?\n"}
    assert found(told(says, STOPPED), "it waits: /opt/x/data/one-api.db is not there. Is its file system mounted?")
    assert found(told({"unit_says": "One API is started on 100.64.0.10\n"}, STOPPED), "systemctl status")


def test_a_container_that_is_paused_is_told_and_a_deployment_restarts_it() -> None:
    (container,) = json.loads(gateway_answers(make_node(), "")["container"])
    container["State"]["Paused"] = True
    paused = {"container": json.dumps([container])}
    assert found(told({}, paused), "its container is paused, so that nobody is answered: on the host, `docker unpause")
    assert service.container_is_as_wanted(make_node(gateway_answers(make_node(), "")))
    assert not service.container_is_as_wanted(make_node({**gateway_answers(make_node(), ""), **paused}))


REFUSED = 'HTTP/1.0 200 OK\r\n\r\n{"success": false, "message": "无权进行此操作，access token 无效"}'
EMPTY = 'HTTP/1.0 200 OK\r\n\r\n{"success": true, "message": "", "data": []}'
ANSWERS = {"api_status": 'HTTP/1.0 200 OK\r\n\r\n{"data": {"version": "v0.6.10", "system_name": "x", "start_time": 1}}'}


def test_drift_that_is_not_known_needs_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "run", lambda *command: [])  # the database has another token, too
    refused = dict.fromkeys(("api_channels", "api_tokens", "api_options"), REFUSED)
    texts = told(ANSWERS, refused)
    assert found(texts, "whether it is as declared is not known: the gateway refuses the access token"), texts
    assert found(texts, "deploys/reset_admin.py")
    assert not found(told(ANSWERS, dict.fromkeys(refused, EMPTY)), "is not known")


def test_drift_of_a_locked_database_blames_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(host: object, command: str, stdin: str | None = None) -> list[str]:
        if stdin is None:
            return []
        raise remote.RemoteError("Error: database is locked")

    monkeypatch.setattr(remote, "run", locked)
    texts = told(ANSWERS, dict.fromkeys(("api_channels", "api_tokens", "api_options"), REFUSED))
    assert found(texts, "is not known: the gateway cannot use its database: another program keeps the database"), texts
    assert not found(texts, "reset_admin")


@pytest.mark.parametrize(("health", "is_told"), [("unhealthy", True), ("healthy", False), ("starting", False)])
def test_a_container_that_docker_calls_unhealthy_is_told(health: str, is_told: bool) -> None:
    (container,) = json.loads(gateway_answers(make_node(), "")["container"])
    container["State"]["Health"] = {"Status": health}
    texts = told(ANSWERS, {"container": json.dumps([container])})
    assert found(texts, "Docker's health check fails") is is_told
    assert not found(texts, "does not answer")


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("prune-logs.service\nLoadState=loaded", "prune-logs.service\nLoadState=loaded", ""),
        (
            "prune-logs.timer\nLoadState=loaded\nActiveState=active",
            "prune-logs.timer\nLoadState=loaded",
            "does not run",
        ),
        ("Id=openclaw-llm-gateway-prune-logs.timer", "Id=other.timer", "not set up yet"),
        ("Result=success\nId=openclaw-llm-gateway-prune-logs.service", FAILED, "(database is locked)"),
    ],
)
def test_a_pruning_that_fails_is_told(was: str, now: str, words: str) -> None:
    units = gateway_answers(make_node(), "")["timer_units"]
    assert was in units
    last = {"at": "2026-11-22T10:00:00Z", "ok": False, "removed": 0, "rows": None, "error": "database is locked"}
    texts = told({}, {"timer_units": units.replace(was, now), "prune_last": json.dumps(last)})
    assert found(texts, "pruning of logs:") is bool(words)
    assert found(texts, words)


def test_the_size_of_the_logs_is_read() -> None:
    last = {"at": "2026-11-22T10:00:00Z", "ok": True, "removed": 5, "rows": 1_000_000, "error": ""}
    host = make_node({**gateway_answers(make_node(), ""), "prune_last": json.dumps(last)})
    sizes = {"database_bytes": "214958080\n", "log_files": "3072\t/opt/x/data/logs\n"}
    gateway = host_status.of(host.machine, StatusAnswers.parse(answer({**SEEN, **sizes})), ()).gateway
    assert gateway is not None
    assert gateway.logs == shapes.Logs(214958080, 3072 * 1024, 1_000_000, "")


def test_a_directory_that_is_not_mounted_is_not_taken_for_a_new_host() -> None:
    stat = {"tracked_stat": f"{DIRECTORY} 755 root:root {WRITTEN}\n{UNIT_PATH} 644 root:root {WRITTEN}\n"}
    gone = ("secrets", "database_size", "data", "applied_keys")
    texts = told({}, {**STOPPED, **stat}, gone)
    assert found(texts, f"nothing of it is in {DIRECTORY}: mount its file system")
    assert not found(texts, "no deployment has been completed")
    empty = make_node({**dict.fromkeys(gone, ""), **stat})
    assert [text for text in found_data.problems(empty) if "mount its file system" in text]
    assert found_data.lost_directory(make_node()) is None, "a host that never had one"


def test_a_removal_that_was_cut_off_is_to_be_run_again() -> None:
    journal = {"journal": "\n".join(lines(*CUT_OFF))}
    texts = told(journal, {**STOPPED, "tracked_stat": ""})
    assert found(texts, "half removed: run deploys/remove.py again")
    assert not found(texts, "no deployment has been completed")
    assert not found(told(journal), "half removed"), "it failed before it took anything away"


@pytest.mark.parametrize(("days", "is_changed"), [(365, True), (-365, False)])
def test_files_of_the_future_get_the_present_time(tmp_path: Path, days: int, is_changed: bool) -> None:
    file = tmp_path / "a file"
    file.write_text("x")
    moment = time.time() + days * 86400
    os.utime(file, (moment, moment))
    subprocess.run(["sh", "-c", remote.present_script(str(file))], check=True, timeout=30)
    assert (abs(file.stat().st_mtime - moment) > 1) is is_changed
    assert file.stat().st_mtime <= time.time() + 1


BEGAN = 1795342260
"""When a journal begins: 2026-11-22T10:11:00Z, in seconds since 1970."""
RESTORING = (
    {"run": "a", **BEGUN, "script": "restore.py"},
    {"run": "a", "event": "changing", "commit": "ff601e2"},
    {"event": "at work", "run": "a"},
)
_TOUCHED = {"container": "[]", "firewall_unit": "ActiveState=inactive\nUnitFileState=enabled\nNeedDaemonReload=no\n"}


@pytest.mark.parametrize(
    ("journal", "seconds", "is_told"),
    [
        (RESTORING, 60, False),
        (RESTORING, 7200, True),  # it may hang
        (RESTORING[::2], 60, True),  # it has changed nothing yet
        (RESTORING[:2], 60, True),  # it was cut off
    ],
)
def test_what_a_run_at_work_has_stopped_is_no_alarm(
    journal: tuple[dict[str, object], ...], seconds: int, is_told: bool
) -> None:
    seen = {"now": f"{BEGAN + seconds}\n", "journal": "\n".join(lines(*journal)), "disks": SEEN["disks"]}
    texts = told(seen, _TOUCHED)
    assert found(texts, "firewall: ") == is_told
    assert found(texts, "the gateway does not run") == is_told
    assert bool(texts) == is_told
    full = "tmpfs 12288 12288 0 100% /opt/a place/data\n"
    assert found(told({**seen, "disks": SEEN["disks"] + full}, _TOUCHED), "is full"), "which no run does by itself"


def test_a_run_that_ended_while_the_host_was_looked_at_is_seen() -> None:
    ended = {"run": "a", "event": "ended", "outcome": "done", "seconds": 7.0, "changes": []}
    journal = "\n".join(lines(*RESTORING[:2], ended))
    for seconds, is_new in ((3, True), (60, False)):
        seen = StatusAnswers.parse(answer({"now": f"{BEGAN + seconds}\n", "journal": journal}))
        assert host_status.has_just_ended(seen) == is_new
