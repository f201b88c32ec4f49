"""What served before is put aside, given back or removed: by a real shell, with a docker that records."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from llm_gateway.hosts import before, remote
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT, REPLACED, UNIT
from llm_gateway.parts.takeover import fallback
from llm_gateway.parts.takeover.old_gateway import OldGateway
from tests.unit.topology import make_node

HOST = cast(Any, None)
OURS = f"/run/{PROJECT}/one-api.env"
NAMES = pytest.mark.parametrize("name", [PROJECT, "one-api"])
# A container is a file of its name that holds what it mounts.
DOCKER = """#!/bin/sh
for last; do :; done
case "$*" in "container inspect "* | "network "* | version) ;; *) echo "docker $*" >> "$PLACE/calls" ;; esac
case "$FAILS" in "$1"*) echo "docker $1 fails" >&2; exit 1;; esac
case "$*" in
    version | "network "*) ;;
    "container inspect $last") cat "$PLACE/containers/$last";;
    "container inspect "*) cat "$PLACE/containers/$3";;
    "rm --force "*) rm "$PLACE/containers/$last";;
    "rename "*) mv -n "$PLACE/containers/$2" "$PLACE/containers/$3" && [ ! -e "$PLACE/containers/$2" ];;
    *) [ -e "$PLACE/containers/$last" ];;
esac
"""


class Machine:
    """A host with containers and a gateway's directory; `calls` are what docker was asked for, but for questions."""

    def __init__(self, place: Path) -> None:
        self.place, self.directory = place, place / "gateway"
        self.fails = "none"
        self.copies = f"{self.directory}/backups/taken-over-20261129T230000Z"
        (place / "containers").mkdir()
        (place / "bin").mkdir()
        (self.directory / "data").mkdir(parents=True)
        (self.directory / "backups").mkdir()
        for name, text in {"docker": DOCKER, "systemctl": "#!/bin/sh\n"}.items():
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)

    def run(self, command: str) -> None:
        """As `remote.run`, with a real shell."""
        path = f"{self.place / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PLACE": str(self.place), "FAILS": self.fails}
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=30)
        if done.returncode:
            raise remote.RemoteError(done.stderr)

    def has(self, **containers: str) -> None:
        """Put containers there by name ("_" for "-"), each with what it mounts."""
        for name, mounted in containers.items():
            (self.place / "containers" / name.replace("_", "-")).write_text(f"{mounted}\n")

    @property
    def containers(self) -> list[str]:
        """The names of the containers."""
        return sorted(path.name for path in (self.place / "containers").iterdir())

    @property
    def calls(self) -> list[str]:
        """What docker was told to do."""
        calls = self.place / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def give_back(self, old: OldGateway | None) -> None:
        """Take a take-over back; and again, as when it was cut off at its very end."""
        made = make_node(gateway_directory=str(self.directory), gateway_user_id=os.getuid() + 4321)
        for _ in range(2):
            self.run(fallback.restore_script(made, old, self.copies))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(layout, "BEFORE", str(tmp_path / "before"))
    monkeypatch.setattr(layout, "UNIT_PATH", str(tmp_path / UNIT))
    return Machine(tmp_path)


def old(name: str, *, is_running: bool = True) -> OldGateway:
    """A person's gateway."""
    return OldGateway(name, is_running, "on-failure:3", 3000, None, {}, {}, "one-api", {})


def test_a_container_of_our_own_is_removed(machine: Machine) -> None:
    machine.has(openclaw_llm_gateway=f"/data\n{OURS}")
    machine.run(fallback.put_aside(make_node()))
    assert machine.calls == [f"docker rm --force {PROJECT}"]
    assert machine.containers == []


@NAMES
def test_a_persons_container_is_kept_and_does_not_come_back_by_itself(machine: Machine, name: str) -> None:
    machine.has(**{name: "/home/wei/data"})
    machine.run(fallback.put_aside(make_node(), old(name)))
    assert machine.calls == [
        f"docker update --restart=no {name}",
        f"docker stop --time 10 {name}",
        f"docker rm --force {REPLACED}",
        f"docker rename {name} {REPLACED}",
    ]
    assert machine.containers == [REPLACED]


def test_where_nothing_served_nothing_is_put_aside(machine: Machine) -> None:
    machine.run(fallback.put_aside(make_node()))
    assert machine.calls == []


@pytest.mark.parametrize("step", ["update", "stop", "rename"])
def test_a_step_that_fails_is_told(machine: Machine, step: str) -> None:
    machine.has(one_api="")
    machine.fails = step
    with pytest.raises(remote.RemoteError, match=f"docker {step} fails"):
        machine.run(fallback.put_aside(make_node(), old("one-api")))


@NAMES
@pytest.mark.parametrize("reached", ["put aside", "published"])
def test_what_served_serves_again_as_it_did(machine: Machine, name: str, reached: str) -> None:
    machine.has(**{REPLACED: ""})
    if reached == "published":
        machine.has(openclaw_llm_gateway=OURS, openclaw_llm_gateway_first_start="")
        (machine.directory / "first-start-done").touch()
        (machine.place / UNIT).touch()
    machine.give_back(old(name))
    assert not (machine.place / UNIT).exists(), "it would tell of a gateway of ours"
    assert machine.containers == [name]
    assert f"docker update --restart=on-failure:3 {name}" in machine.calls
    assert machine.calls[-1] == f"docker start {name}"
    assert not (machine.directory / "first-start-done").exists(), "the next run begins with the first start"


@NAMES
def test_one_that_was_never_stopped_is_left_alone(machine: Machine, name: str) -> None:
    machine.has(**{name: "/home/wei/data"})
    machine.give_back(old(name))
    assert machine.containers == [name]


def test_one_that_did_not_run_is_not_started(machine: Machine) -> None:
    machine.has(**{REPLACED: ""})
    machine.give_back(old("one-api", is_running=False))
    assert not [call for call in machine.calls if call.startswith("docker start")]


def test_the_data_are_as_they_were(machine: Machine) -> None:
    data = machine.directory / "data"
    (data / "one-api.db").write_text("rows of a person")
    (data / "one-api.db").chmod(0o640)
    data.chmod(0o755)
    node = make_node(gateway_directory=str(machine.directory))
    machine.run(fallback._program(node, "keep_data", None, machine.copies))
    (data / "one-api.db").write_text("a newer schema")
    (data / "one-api.db-journal").write_text("of the new one")
    (data / "one-api.db").chmod(0o600)
    data.chmod(0o700)
    machine.give_back(None)
    assert (data / "one-api.db").read_text() == "rows of a person"
    assert [oct(path.stat().st_mode)[-3:] for path in (data, data / "one-api.db")] == ["755", "640"]
    assert [path.name for path in data.iterdir()] == ["one-api.db"]
    assert not Path(machine.copies).exists()


def test_without_a_copy_of_this_run_no_data_are_touched(machine: Machine) -> None:
    (machine.directory / "data/one-api.db").write_text("rows")
    earlier = machine.directory / "backups/taken-over-20250101T000000Z"
    earlier.mkdir()
    (earlier / "one-api.db").write_text("stale")
    machine.give_back(None)
    assert (machine.directory / "data/one-api.db").read_text() == "rows"
    assert earlier.exists()


def test_files_of_the_person_are_given_back_and_ours_go(machine: Machine) -> None:
    kept = machine.directory / "backups/taken-over-files"
    kept.mkdir()
    (kept / "docker-compose.yml").write_text("services:\n")
    for name in ("docker-compose.yml", ".env"):
        (machine.directory / name).write_text("# Made by the deployment; a change by hand is undone\n")
    machine.directory.chmod(0o770)
    place = Path(before.place_of(str(machine.directory)))
    place.parent.mkdir()
    place.write_text(f"770 {os.getuid()}:{os.getgid()}\n/\n{machine.directory}\n")
    machine.directory.chmod(0o755)
    machine.give_back(None)
    assert (machine.directory / "docker-compose.yml").read_text() == "services:\n"
    assert not (machine.directory / ".env").exists()
    assert oct(machine.directory.stat().st_mode)[-3:] == "770"


def test_once_the_new_gateway_answers_the_old_one_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "run", lambda host, command: machine.run(command))
    machine.has(openclaw_llm_gateway=OURS, **{REPLACED: ""})
    fallback.discard(HOST)
    assert machine.calls == [f"docker rm --force {REPLACED}"]
    assert machine.containers == [PROJECT]
    fallback.discard(HOST)  # where none was kept, that is no failure
