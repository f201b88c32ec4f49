"""One deployment at a time on a host: the lock of the script that reads it, run here for real as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

import pytest

from llm_gateway.hosts import host_state
from llm_gateway.hosts.host_state import HostState

VALUES = dict.fromkeys(("DIRECTORY", "ADDRESS", "IMAGE", "OPENCLAW_UNIT", "OPENCLAW_USER"), "")
VALUES |= {"PORT": "1", "OPENCLAW_SCOPE": "system", "WHO": "deploy.py by wei@laptop", "RUN": "0123"}
# A carrier is what pyinfra's commands run below: here a Python that runs them and says where the answer ends.
CARRIER = """
import subprocess, sys
if sys.argv[1:]:
    open("/proc/self/comm", "w").write(sys.argv[1])
while command := sys.stdin.readline():
    done = subprocess.run(eval(command), capture_output=True, text=True)
    print(done.stdout + done.stderr + "-- " + str(done.returncode), flush=True)
"""


@dataclass
class Carrier:
    """A process that carries the connection of one deployment."""

    process: subprocess.Popen[str]
    project: str

    def read(
        self, lock: str = "yes", before: tuple[str, ...] = (), begun: str = "", run: str = VALUES["RUN"]
    ) -> HostState:
        """Read the host as a deployment does; `before` stands before the shell's command line."""
        values = {**VALUES, "LOCK": lock, "BEGUN": begun, "RUN": run, "PROJECT": self.project}
        command = [*before, "sh", "-c", host_state.script([], values, ["/etc/os-release"])]
        to, answers = cast("IO[str]", self.process.stdin), cast("IO[str]", self.process.stdout)
        to.write(f"{command!r}\n")
        to.flush()
        lines = list(iter(lambda: answers.readline().rstrip("\n"), "-- 0"))
        assert all(line.partition(" ")[0].replace("_", "").isalnum() for line in lines), lines
        return HostState.parse(lines)

    def end(self) -> None:
        """As a machine that loses power: nothing is tidied up."""
        self.process.kill()
        self.process.communicate(timeout=10)


Start = Callable[..., Carrier]


@pytest.fixture
def place() -> Iterator[Path]:
    """The lock of a gateway that nobody has."""
    if os.getuid() != 0:
        raise pytest.fail.Exception("these tests need root, as the deployment does", pytrace=False)
    path = Path(f"/run/test-{uuid.uuid4().hex}.lock")
    yield path
    for file in (path, path.with_suffix(".lock.guard"), *path.parent.glob(f"{path.stem}.carrier.*")):
        file.unlink(missing_ok=True)
    shutil.rmtree(Path("/var/lib") / path.stem, ignore_errors=True)


@pytest.fixture
def carrier(place: Path) -> Iterator[Start]:
    """Starts carriers, and ends them after the test."""
    started: list[Carrier] = []

    def start(*names: str) -> Carrier:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", CARRIER, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(Carrier(process, place.stem))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_a_second_deployment_is_told_who_is_at_work(carrier: Start, place: Path) -> None:
    first, second = carrier(), carrier()
    assert first.read().text("busy") == ""
    assert place.read_text().split()[0] == str(first.process.pid)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:")
    assert second.read().text("busy").startswith(f"deploy.py by wei@laptop since {now[:-1]}")
    assert second.read().text("busy").endswith(f" UTC (process {first.process.pid})")
    assert place.read_text().split()[0] == str(first.process.pid), "the lock stays with who has it"


def test_a_deployment_that_was_killed_leaves_no_lock(carrier: Start) -> None:
    first, second = carrier(), carrier()
    assert not first.read().text("busy")
    assert second.read().text("busy")
    first.end()
    assert not second.read().text("busy")
    assert carrier().read().text("busy").endswith(f"(process {second.process.pid})"), "now it is the second's"


def test_a_process_with_the_number_of_a_dead_one_holds_no_lock(carrier: Start, place: Path) -> None:
    first, second = carrier(), carrier()
    assert not first.read().text("busy")
    number, since = place.read_text().splitlines()[0].split()
    place.write_text(f"{number} {int(since) - 1}\nx\n")
    assert not second.read().text("busy")


def test_the_lock_of_an_older_checkout_is_respected(carrier: Start, place: Path) -> None:
    first, second = carrier(), carrier()
    first.read()
    place.write_text(place.read_text().splitlines()[0] + "\n")
    assert second.read().text("busy").startswith("another run since 20")


def test_a_run_that_takes_the_lock_begins_the_journal_and_one_that_has_it_does_not_again(
    carrier: Start, place: Path
) -> None:
    journal = Path("/var/lib") / place.stem / "journal.jsonl"
    first, second = carrier(), carrier()
    line = '{"event": "begun", "who": "o\'neill"}'
    for each in (first, first, second):
        each.read(begun=line)
    assert journal.read_text() == f"{line}\n"
    assert journal.stat().st_mode & 0o777 == 0o600
    first.end()
    second.read(begun="")
    assert journal.read_text() == f"{line}\n", "nothing is written of a run that only looks"


def test_a_journal_that_has_grown_long_is_begun_anew_and_the_old_one_kept(carrier: Start, place: Path) -> None:
    journal = Path("/var/lib") / place.stem / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text("x" * 4_000_001)
    carrier().read(begun="{}")
    assert journal.read_text() == "{}\n"
    assert journal.with_name("journal.jsonl.old").stat().st_size == 4_000_001


@pytest.mark.parametrize(
    ("ending", "is_bad"),
    [
        ("", ""),
        ('"ended", "outcome": "done"', ""),
        ('"ended", "outcome": "refused"', ""),
        ('"ended", "outcome": "failed"', "yes"),
        ('"changing"', "yes"),
    ],
)
def test_a_run_is_told_whether_the_one_before_has_ended_badly(
    carrier: Start, place: Path, ending: str, is_bad: str
) -> None:
    journal = Path("/var/lib") / place.stem / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text(f'{{"event": {ending}}}\n{{"event": "begun"}}\n' if ending else "")
    first = carrier()
    assert [first.read(begun='{"event": "begun"}').text("last_run_is_bad") for _ in range(2)] == [is_bad] * 2


@pytest.mark.parametrize("stage", ["unfinished", "undoing"])
def test_what_an_interrupted_run_has_left_is_told(carrier: Start, place: Path, stage: str) -> None:
    directory = Path("/var/lib") / place.stem / stage
    directory.mkdir(parents=True)
    (directory / "what").write_text("restore of gw1\n")
    assert carrier().read().left_unfinished == "restore of gw1"
    assert carrier().read("no").left_unfinished == "restore of gw1"


def test_a_deployment_may_read_again(carrier: Start) -> None:
    first = carrier()
    assert [first.read().text("busy") for _ in range(2)] == ["", ""]


@pytest.mark.parametrize("before", [("sh", "-c", '"$@"; exit $?', "sh"), ("bash", "-c", '"$@"; exit $?', "bash")])
def test_shells_between_are_not_the_carrier(carrier: Start, place: Path, before: tuple[str, ...]) -> None:
    first = carrier()
    assert not first.read(before=before).text("busy")
    assert place.read_text().split()[0] == str(first.process.pid)


def test_looking_neither_asks_for_the_lock_nor_takes_it(carrier: Start, place: Path) -> None:
    first, second = carrier(), carrier()
    assert "busy" not in second.read("no").answers
    assert not place.exists()
    first.read()
    assert "busy" not in second.read("no").answers


def test_a_damaged_lock_is_taken(carrier: Start, place: Path) -> None:
    for damaged in ("", "x\n", "0 \n", "1\n", "999999999 1\n"):
        place.write_text(damaged)
        assert "busy" not in carrier().read().answers, damaged


def test_without_root_the_host_is_read_all_the_same(carrier: Start, place: Path) -> None:
    if shutil.which("setpriv") is None:
        raise pytest.fail.Exception("setpriv is missing (Debian: util-linux)", pytrace=False)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    state = carrier().read(before=nobody)
    assert state.text("uid") == "65534"
    assert "busy" not in state.answers
    assert not place.exists()


def _until_its_input_ends() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["cat"], stdin=subprocess.PIPE)


def test_behind_tailscaled_the_process_that_the_run_has_left_carries_it(carrier: Start, place: Path) -> None:
    """One daemon carries all connections of Tailscale SSH: with it alone, a lock would never end."""
    daemon = carrier("tailscaled")
    with _until_its_input_ends() as first, _until_its_input_ends() as second:
        for run, process in (("1111", first), ("2222", second)):
            place.with_name(f"{place.stem}.carrier.{run}").write_text(f"{process.pid}\n")
        assert daemon.read(run="1111").text("busy") == ""
        assert daemon.read(run="1111").text("busy") == "", "it reads again"
        assert daemon.read(run="2222").text("busy").endswith(f"(process {first.pid})")
        first.communicate()
        assert daemon.read(run="2222").text("busy") == ""
        assert place.read_text().split()[0] == str(second.pid)
        second.communicate()


def test_a_run_that_has_read_first_takes_the_lock_then_and_reads_nothing_else(carrier: Start, place: Path) -> None:
    journal = Path("/var/lib") / place.stem / "journal.jsonl"
    first = carrier()
    read = first.read(lock="later", begun='{"event": "begun"}')
    assert not place.exists() and not journal.exists(), "that changes nothing"
    locked = first.read(lock="only", begun='{"event": "begun"}')
    assert locked.marks == read.marks
    assert set(locked.answers) <= {"marks", "end"}
    assert place.read_text().split()[0] == str(first.process.pid)
    assert journal.read_text() == '{"event": "begun"}\n'
    assert carrier().read().busy


@pytest.mark.parametrize("is_over", [True, False])
def test_a_run_that_took_the_lock_meanwhile_is_seen(carrier: Start, is_over: bool) -> None:
    first, second = carrier(), carrier()
    read = first.read(lock="later")
    second.read(begun='{"event": "begun"}')
    if is_over:
        second.end()
    locked = first.read(lock="only")
    assert locked.marks != read.marks
    assert bool(locked.busy) == (not is_over)


def test_a_run_that_was_at_work_when_the_host_was_read_is_seen(carrier: Start) -> None:
    first, second = carrier(), carrier()
    second.read()
    read = first.read(lock="later")
    second.end()
    locked = first.read(lock="only")
    assert not locked.busy
    assert locked.marks != read.marks


def test_runs_that_are_over_keep_nobody_from_taking_an_answer(carrier: Start) -> None:
    first, second = carrier(), carrier()
    second.read(begun='{"event": "begun"}')
    second.end()
    assert first.read(lock="later").marks == first.read(lock="only").marks
