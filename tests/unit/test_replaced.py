"""What served before is put aside, given back or removed: by a real shell, with a docker that records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway import remote, replaced
from gateway.host_state import PROJECT
from gateway.installation import UNIT

HOST = cast(Any, SimpleNamespace(name="gw1"))
KEPT = f"{PROJECT}-replaced"
# A container is a file of its name that holds its compose project.
DOCKER = """#!/bin/sh
echo "docker $*" >> "$PLACE/calls"
for last; do :; done
case "$FAILS" in "$1"*) echo "docker $1 fails" >&2; exit 1;; esac
case "$*" in
    "container inspect $last") cat "$PLACE/containers/$last";;
    "container inspect "*) cat "$PLACE/containers/$3";;
    "rm --force "*) rm "$PLACE/containers/$last";;
    "rename "*) mv -n "$PLACE/containers/$2" "$PLACE/containers/$3" && [ ! -e "$PLACE/containers/$2" ];;
    *) [ -e "$PLACE/containers/$last" ];;
esac
"""


class Machine:
    """A host with containers; `calls` are what docker and systemctl were asked for, but for questions."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fails = "none"
        self.told: list[str] = []
        (place / "containers").mkdir()
        (place / "bin").mkdir()
        for name, text in {"docker": DOCKER, "systemctl": '#!/bin/sh\necho "systemctl $*" >> "$PLACE/calls"\n'}.items():
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`: with a real shell."""
        path = f"{self.place / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PLACE": str(self.place), "FAILS": self.fails}
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=30)
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()

    def has(self, **containers: str) -> None:
        """Put containers there: `ours` or `kept`, each with its compose project."""
        for name, project in containers.items():
            (self.place / "containers" / {"ours": PROJECT, "kept": KEPT}[name]).write_text(f"{project}\n")

    @property
    def containers(self) -> dict[str, str]:
        """The compose project of each container, by its name."""
        return {path.name: path.read_text().strip() for path in (self.place / "containers").iterdir()}

    @property
    def calls(self) -> list[str]:
        calls = self.place / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if not line.startswith("docker container inspect")]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(remote, "run", made.run)
    monkeypatch.setattr(remote, "tell", lambda host, text: made.told.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: made.told.append(text))
    return made


STOP = f"systemctl disable --quiet --now {UNIT}"


def test_a_container_of_our_own_is_removed(machine: Machine) -> None:
    machine.has(ours=PROJECT)
    machine.run(HOST, replaced.put_aside_script(UNIT))
    assert machine.calls == [STOP, f"docker rm --force {PROJECT}"]
    assert machine.containers == {}


@pytest.mark.parametrize("project", ["", "a-persons-project"])
def test_a_persons_container_is_kept_and_does_not_come_back_by_itself(machine: Machine, project: str) -> None:
    machine.has(ours=project)
    machine.run(HOST, replaced.put_aside_script(UNIT))
    assert machine.calls == [
        STOP,
        f"docker update --restart=no {PROJECT}",
        f"docker stop --time 10 {PROJECT}",
        f"docker rm --force {KEPT}",
        f"docker rename {PROJECT} {KEPT}",
    ]
    assert machine.containers == {KEPT: project}


def test_where_nothing_served_nothing_is_put_aside(machine: Machine) -> None:
    machine.run(HOST, replaced.put_aside_script(UNIT))
    assert machine.calls == [STOP]


def test_what_was_kept_outlasts_a_run_that_was_cut_off(machine: Machine) -> None:
    machine.has(kept="a-persons-project")
    machine.run(HOST, replaced.put_aside_script(UNIT))
    machine.has(ours=PROJECT)
    machine.run(HOST, replaced.put_aside_script(UNIT))
    assert machine.containers == {KEPT: "a-persons-project"}


@pytest.mark.parametrize("step", ["update", "stop", "rename"])
def test_a_step_that_fails_is_told(machine: Machine, step: str) -> None:
    machine.has(ours="")
    machine.fails = step
    with pytest.raises(remote.RemoteError, match=f"docker {step} fails"):
        machine.run(HOST, replaced.put_aside_script(UNIT))


def test_what_served_serves_again(machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "first-start-done"
    marker.touch()
    machine.has(ours=PROJECT, kept="")
    replaced.give_back(HOST, UNIT, str(marker))
    assert machine.calls == [
        STOP,
        f"docker rm --force {PROJECT}",
        f"docker rename {KEPT} {PROJECT}",
        f"docker update --restart=unless-stopped {PROJECT}",
        f"docker start {PROJECT}",
    ], "our unit first, or it would take the port again"
    assert machine.containers == {PROJECT: ""}
    assert not marker.exists(), "the next run begins with the first start"
    assert machine.told == ["the old gateway serves again"]


def test_what_served_serves_again_also_when_ours_was_never_made(machine: Machine, tmp_path: Path) -> None:
    machine.has(kept="")
    replaced.give_back(HOST, UNIT, str(tmp_path / "none"))
    assert machine.containers == {PROJECT: ""}
    assert machine.told == ["the old gateway serves again"]


def test_where_nothing_was_kept_all_stays_as_it_is(machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "first-start-done"
    marker.touch()
    machine.has(ours=PROJECT)
    replaced.give_back(HOST, UNIT, str(marker))
    assert (machine.calls, machine.told, marker.exists()) == ([], [], True)


def test_a_person_is_told_how_to_give_it_back(machine: Machine, tmp_path: Path) -> None:
    machine.has(kept="")
    machine.fails = "start"
    replaced.give_back(HOST, UNIT, str(tmp_path / "none"))
    (told,) = machine.told
    assert told.startswith("the old gateway could not be started again: docker start fails")
    assert told.endswith(f"On the host: docker rename {KEPT} {PROJECT}; docker start {PROJECT}")


def test_once_the_new_gateway_answers_the_old_one_goes(machine: Machine) -> None:
    machine.has(ours=PROJECT, kept="")
    replaced.discard(HOST)
    assert machine.calls == [f"docker rm --force {KEPT}"]
    assert machine.containers == {PROJECT: PROJECT}
    replaced.discard(HOST)  # where none was kept, that is no failure
