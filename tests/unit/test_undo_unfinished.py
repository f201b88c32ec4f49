"""The script on a host that undoes what an interrupted run has left, run here for real with a systemd made of shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_gateway.hosts import undo

pytestmark = pytest.mark.slow

TOOL = Path(__file__).parent.parent.parent / "files" / "undo-unfinished"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
IDENTITY = "0123456789abcdef"
# What systemd does with the guard: it is started where it does not run.
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "{place}/systemctl"
case "$*" in *-guard.service) sh "{place}/undo-unfinished" watch > /dev/null 2>&1 & ;; esac
"""


def start_of(process: int | str) -> str:
    """When a process started, in clock ticks since boot."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[19]


@dataclass
class Place:
    """The directory of the script on a host."""

    directory: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def begin(
        self,
        how: str,
        owner: subprocess.Popen[str],
        seconds: int = 1000,
        boot: str = BOOT_ID,
        what: str = 'restore of "gw1"',
    ) -> None:
        """As a run leaves word that something is unfinished."""
        uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
        terms = (IDENTITY, boot, start_of(1), owner.pid, start_of(owner.pid), uptime + seconds, seconds)
        prepared = self.directory / "unfinished.new"
        prepared.mkdir()
        (prepared / "what").write_text(f"{what}\n")
        (prepared / "undo").write_text(f"{how}\n")
        (prepared / "terms").write_text(" ".join(map(str, terms)) + "\n")
        prepared.rename(self.directory / "unfinished")

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a process that the test ends."""
        process = subprocess.Popen(
            command, env={**self.environment, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.started.append(process)
        return process

    def owner(self) -> subprocess.Popen[str]:
        """A process that carries the connection of a run."""
        return self.start("sleep", "1000")

    def guard(self) -> subprocess.Popen[str]:
        """The guard, at work."""
        return self.start("sh", str(self.directory / "undo-unfinished"), "watch")

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script with an action."""
        command = ["sh", str(self.directory / "undo-unfinished"), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)

    def await_gone(self, *names: str) -> None:
        """Wait until nothing is unfinished any more."""
        deadline = time.monotonic() + 20
        while any((self.directory / name).exists() for name in names or ("unfinished", "undoing")):
            assert time.monotonic() < deadline, "it is not undone within 20 s"
            time.sleep(0.02)

    @property
    def notes(self) -> Path:
        """What is kept in memory."""
        return Path(f"/run/{self.directory.name}.undo")

    def journal(self) -> list[dict[str, str]]:
        """What the host's journal says."""
        path = self.directory / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host's directory, with the script in it, and a systemd that starts the guard."""
    directory = tmp_path / f"test-{uuid.uuid4().hex}"
    programs = tmp_path / "programs"
    for each in (directory, programs):
        each.mkdir()
    shutil.copy(TOOL, directory)
    systemctl = programs / "systemctl"
    systemctl.write_text(SYSTEMCTL.format(place=directory))
    systemctl.chmod(0o755)
    made = Place(directory, {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
    made.notes.mkdir()
    yield made
    for process in made.started:
        process.kill()
        process.communicate(timeout=10)
    shutil.rmtree(made.notes, ignore_errors=True)
    Path(f"/run/{directory.name}.lock").unlink(missing_ok=True)


def end(process: subprocess.Popen[str]) -> None:
    """As a machine that loses power."""
    process.kill()
    process.wait(10)


def test_a_run_that_is_cut_off_is_undone(place: Place) -> None:
    owner = place.owner()
    place.begin(f"touch {place.directory}/proof", owner)
    guard = place.guard()
    with pytest.raises(subprocess.TimeoutExpired):
        guard.wait(1)
    assert not (place.directory / "proof").exists(), "not while the run is at work"
    end(owner)
    assert guard.wait(10) == 0
    assert (place.directory / "proof").exists()
    assert sorted(path.name for path in place.directory.iterdir()) == ["journal.jsonl", "proof", "undo-unfinished"]
    (line,) = place.journal()
    assert (line["event"], line["text"]) == ("undone", 'restore of "gw1"')
    assert line["why"] == "the run was cut off before its end"


def test_a_run_that_comes_to_its_end_is_not_undone(place: Place) -> None:
    place.begin(f"touch {place.directory}/proof", place.owner())
    guard = place.guard()
    assert place.call("commit", "another").returncode == 1
    assert place.call("commit", IDENTITY).returncode == 0
    assert guard.wait(10) == 0
    assert [path.name for path in place.directory.iterdir()] == ["undo-unfinished"]


def test_a_run_whose_time_is_over_is_undone_and_loses_its_lock(place: Place) -> None:
    owner = place.owner()
    lock = Path(f"/run/{place.directory.name}.lock")
    lock.write_text(f"{owner.pid} {start_of(owner.pid)}\nwei\n")
    place.begin("true", owner, seconds=1)
    assert place.guard().wait(10) == 0
    assert place.journal()[0]["why"] == "it was not done within 1 s"
    assert not lock.exists(), "the connection may linger for hours"
    late = place.call("commit", IDENTITY)
    assert late.returncode == 1
    assert "the host has undone it already, since it was not done within 1 s" in late.stderr


def test_the_lock_of_another_run_is_left_alone(place: Place) -> None:
    lock = Path(f"/run/{place.directory.name}.lock")
    lock.write_text("1 1\nwei\n")
    place.begin("true", place.owner(), seconds=0)
    assert place.guard().wait(10) == 0
    assert lock.exists()


@pytest.mark.parametrize(
    ("is_enabled", "boot", "is_started"),
    [(True, "another-boot", True), (False, "another-boot", False), (True, BOOT_ID, False)],
)
def test_a_gateway_that_the_boot_held_back_is_started_once_all_is_undone(
    place: Place, is_enabled: bool, boot: str, is_started: bool
) -> None:
    """What is undone need not have been the gateway's: the pointing of an agent on the same host starts nothing."""
    systemctl = place.directory.parent / "programs" / "systemctl"
    systemctl.write_text(f"{systemctl.read_text()}case $1 in is-enabled) exit {0 if is_enabled else 1} ;; esac\n")
    owner = place.owner()
    place.begin(f"echo undone >> {place.directory}/systemctl", owner, boot=boot)
    assert place.call("boot").returncode == 0
    owner.kill()  # in this boot the guard waits for it
    owner.wait()
    place.await_gone()
    wanted = f"start --no-block {place.directory.name}.service"
    deadline = time.monotonic() + 20
    while place.notes.joinpath("held").exists() or (is_started and wanted not in read(place)):
        assert time.monotonic() < deadline, "not started within 20 s"
        time.sleep(0.02)
    assert (wanted in read(place)) == is_started
    if is_started:
        assert read(place).index("undone") < read(place).index(wanted)


def read(place: Place) -> list[str]:
    """What systemd was told, and what the undo wrote among it."""
    return (place.directory / "systemctl").read_text().splitlines()


@pytest.mark.parametrize("boot", ["another-boot", BOOT_ID])
def test_after_a_boot_it_is_undone_before_the_gateway_starts(place: Place, boot: str) -> None:
    """The number of the owner's process may be another's after a boot, so it is not looked at then."""
    owner = place.owner()
    place.begin(f"touch {place.directory}/proof", owner, boot=boot)
    assert place.call("boot").returncode == 0
    called = (place.directory / "systemctl").read_text().splitlines()
    start = f"start --no-block {place.directory.name}-guard.service"
    if boot == BOOT_ID:  # somebody has started the unit by hand while a run is at work
        assert called == [start]
        assert (place.directory / "unfinished").exists()
        place.call("commit", IDENTITY)
    else:
        assert called == [f"stop {place.directory.name}.service", start]
    place.await_gone()
    assert (place.directory / "proof").exists() == (boot != BOOT_ID)


def test_an_undo_that_was_cut_off_is_carried_out_again(place: Place) -> None:
    owner = place.owner()
    how = f"echo once >> {place.directory}/proof; sleep 1; echo whole >> {place.directory}/proof"
    place.begin(how, owner)
    end(owner)
    guard = place.guard()
    while not (place.directory / "proof").exists():
        time.sleep(0.02)
    guard.send_signal(signal.SIGKILL)
    guard.wait(10)
    subprocess.run(["pkill", "-KILL", "-f", str(place.directory / "undoing" / "undo")], check=False)
    assert (place.directory / "undoing").exists()
    assert place.guard().wait(10) == 0
    assert (place.directory / "proof").read_text().split() == ["once", "once", "whole"]


def test_an_undo_that_fails_is_tried_again_and_told(place: Place) -> None:
    owner = place.owner()
    place.begin(f"echo no such luck >&2; test -e {place.directory}/fixed", owner)
    end(owner)
    assert place.guard().wait(10) == 1, "systemd starts it again"
    told = place.call("wait", "0").stdout
    assert 'an interrupted restore of "gw1" is being undone by the host' in told
    assert "no such luck" in told
    assert place.call("commit", IDENTITY).returncode == 1
    (place.directory / "fixed").touch()
    assert place.call("wait", "20").stdout == "", "the guard is started at once, and waited for"
    place.await_gone()


def test_a_failed_run_has_it_undone(place: Place) -> None:
    place.begin(f"sleep 0.3; touch {place.directory}/proof", place.owner())
    asked = place.call("ask", IDENTITY)
    assert (asked.returncode, asked.stdout) == (0, "")
    assert (place.directory / "proof").exists(), "it waits until it is undone"
    assert place.journal()[0]["why"] == "it failed"
    assert place.call("ask", IDENTITY).returncode == 0


def test_a_failed_run_is_told_that_the_undo_fails(place: Place) -> None:
    place.begin("exit 7", place.owner())
    asked = place.call("ask", IDENTITY)
    assert asked.returncode == 1
    assert asked.stderr == "exit code 7\n"
    assert (place.directory / "undoing").exists()


def test_what_the_run_has_started_is_ended_before_it_is_undone(place: Place) -> None:
    owner = place.owner()
    place.begin(f"test ! -e {place.directory}/at-work || touch {place.directory}/too-early", owner)
    work = f"trap '' TERM; touch {place.directory}/at-work; sleep 1000"
    worker = place.start("sh", "-c", work, OPENCLAW_LLM_GATEWAY_UNFINISHED=IDENTITY)
    other = place.start("sleep", "1000", OPENCLAW_LLM_GATEWAY_UNFINISHED="another")
    while not (place.directory / "at-work").exists():
        time.sleep(0.02)
    end(owner)
    place.guard()
    assert worker.wait(15) == -signal.SIGKILL
    (place.directory / "at-work").unlink()
    place.await_gone()
    assert other.poll() is None


def test_there_is_one_winner(place: Place) -> None:
    """A run that commits in the moment in which its time is over."""
    outcomes = set()
    owner = place.owner()
    for number in range(6):
        proof = place.directory / f"proof-{number}"
        place.begin(f"touch {proof}", owner, seconds=1)
        guard = place.guard()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        time.sleep(max(0.0, int(uptime) + 0.9 + number * 0.06 - uptime))
        has_committed = place.call("commit", IDENTITY).returncode == 0
        assert guard.wait(20) == 0, guard.communicate()
        assert proof.exists() != has_committed
        outcomes.add(has_committed)
    assert outcomes, "either may win"


def test_what_is_under_way_is_not_waited_for(place: Place) -> None:
    place.begin("true", place.owner())
    assert place.call("wait", "20").stdout == 'restore of "gw1" is under way\n'
    place.call("commit", IDENTITY)
    assert place.call("wait", "20").stdout == ""


@pytest.fixture
def fence(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a command as a run does that has begun something."""
    monkeypatch.setattr(undo, "UNFINISHED", str(place.directory / "unfinished"))

    def run(command: str) -> subprocess.CompletedProcess[str]:
        fenced = undo.only_while_unfinished(IDENTITY, command)
        return subprocess.run(["sh", "-c", fenced], input="in\n", capture_output=True, text=True, check=False)

    return run


def test_a_run_that_was_undone_can_do_nothing_more(
    place: Place, fence: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    place.begin("true", place.owner())
    done = fence('read -r word; echo "$word\'"; exit 3')
    assert (done.returncode, done.stdout) == (3, "in'\n")
    place.call("ask", IDENTITY)
    refused = fence(f"touch {place.directory}/dangerous")
    assert refused.returncode != 0
    assert "the host undoes this already" in refused.stderr
    assert not (place.directory / "dangerous").exists()


def test_what_a_run_starts_can_be_found(place: Place, fence: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    place.begin("true", place.owner())
    seen = fence(f"{sys.executable} -c 'import os; print(os.environ[\"OPENCLAW_LLM_GATEWAY_UNFINISHED\"])'")
    assert seen.stdout.strip() == IDENTITY
