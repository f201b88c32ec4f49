"""What of a gateway needs a person, in the words of the status; and what a deployment does not begin anew."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from gateway import found_data, remote, service
from gateway.contents.record import Record
from gateway.host_state import HostState
from gateway.installation import UNIT_PATH
from gateway.overview import host_status
from tests.unit.deployed import WRITTEN, gateway_answers
from tests.unit.fake_hosts import answer
from tests.unit.members import DIRECTORY, member
from tests.unit.test_history import BEGUN, lines

HEAD = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
SEEN = {"now": "1800000000\n", "disks": f"{HEAD}/dev/vda1 40000000 10000000 30000000 25% /\n"}
CUT_OFF = (
    {"run": "a", **BEGUN, "script": "remove.py"},
    {"run": "a", "event": "changing", "commit": "ff601e2"},
)
STOPPED = {"container": "[]"}


def told(seen: dict[str, str], changed: dict[str, str] | None = None, without: tuple[str, ...] = ()) -> list[str]:
    """What the status says of a gateway that was deployed, and has been changed since."""
    answers = {**gateway_answers(member(), Record().content().decode()), **(changed or {})}
    host = member({name: text for name, text in answers.items() if name not in without})
    return list(host_status.of(host, HostState.parse(answer({**SEEN, **seen})), ()).attention)


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


def test_what_a_gateway_waits_for_is_told() -> None:
    says = {"unit_says": "waiting: /opt/x/data/one-api.db is not there. Is its file system mounted?\n"}
    assert found(told(says, STOPPED), "it waits: /opt/x/data/one-api.db is not there. Is its file system mounted?")
    assert found(told({"unit_says": "One API is started on 100.64.0.10\n"}, STOPPED), "systemctl status")


def test_a_container_that_is_paused_is_told_and_a_deployment_restarts_it() -> None:
    (container,) = json.loads(gateway_answers(member(), "")["container"])
    container["State"]["Paused"] = True
    paused = {"container": json.dumps([container])}
    assert found(told({}, paused), "its container is paused, so that nobody is answered: on the host, `docker unpause")
    assert service.container_is_as_wanted(member(gateway_answers(member(), "")))
    assert not service.container_is_as_wanted(member({**gateway_answers(member(), ""), **paused}))


def test_a_directory_that_is_not_mounted_is_not_taken_for_a_new_host() -> None:
    stat = {"tracked_stat": f"{DIRECTORY} 755 root:root {WRITTEN}\n{UNIT_PATH} 644 root:root {WRITTEN}\n"}
    gone = ("secrets", "database_size", "data", "applied_keys")
    texts = told({}, {**STOPPED, **stat}, gone)
    assert found(texts, f"nothing of it is in {DIRECTORY}: mount its file system")
    assert not found(texts, "no deployment has been completed")
    empty = member({**dict.fromkeys(gone, ""), **stat})
    assert [text for text in found_data.problems(empty) if "mount its file system" in text]
    assert found_data.lost_directory(member()) is None, "a host that never had one"


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
