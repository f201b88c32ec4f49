"""The way back of a swap, begun and cut off at every command: what the host had is there again, and nothing else."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_gateway.model import layout

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent.parent / "llm_gateway/tasks/restore/swap.sh"
OWN_BACKUPS = Path(__file__).parent.parent.parent / "files/own-backups"
# In bash, which can count commands; the process kills itself as SIGKILL from outside would.
_CUT = """
set -T
commands=0
trap 'commands=$((commands + 1)); [ "$commands" -le CUT ] || kill -KILL $$' DEBUG
"""
NEVER = 10**6
STRIDE = 4
"""1 cuts at every command, and takes minutes on a small machine."""
HAD = {
    "data/one-api.db": "the old rows",
    "data/one-api.db-journal": "the old journal",
    "secrets.env": "old secrets",
    ".env": "old environment",
    "applied-keys.json": "old record",
    "first-start-done": "yes",
    "migrated-to": "another host",
    "previous/image": "the image before the last upgrade",
    "unit": "old unit",
}
INCOMING = {
    "one-api.db": "the new rows",
    "secrets.env": "new secrets",
    "migrating-from": "the host that it comes from",
    "docker-compose.yml": "not to be used",
}


class Host:
    """A directory that stands for a host; Docker and systemd only answer."""

    def __init__(self, place: Path, had: dict[str, str]) -> None:
        self.place, self.had = place, had
        programs = place.parent / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("systemctl", "docker", "sync"):
            (programs / name).write_text('#!/bin/sh\n[ "$1" != is-active ] && [ "$1" != container ]\n')
            (programs / name).chmod(0o755)
        self.programs = programs

    def begin(self) -> None:
        """As it is when a swap begins."""
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "data").mkdir(parents=True)
        (self.place / "incoming").mkdir()
        for name, content in {**self.had, **{f"incoming/{name}": text for name, text in INCOMING.items()}}.items():
            (self.place / name).parent.mkdir(exist_ok=True)
            (self.place / name).write_text(content)

    def run(self, functions: str, cut: int = NEVER) -> bool:
        """Run functions of the script, and cut it off after so many commands. Whether it came to its end."""
        values = {
            "directory": self.place,
            "project": "gateway",
            "unit": "gateway.service",
            "timer": "gateway-backup.timer",
            "state": " ".join(layout.names(layout.Role.DISPLACED)),
            "inside": "secrets.env .env docker-compose.yml",
            "outside": self.place / "unit",
            "was_active": "yes",
            "was_enabled": "yes",
            "own_backups": OWN_BACKUPS.read_text(),
        }
        assignments = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
        text = f"{assignments}{SCRIPT.read_text()}\n{_CUT.replace('CUT', str(cut))}\n{functions}\n"
        done = subprocess.run(
            ["bash", "-c", text],
            env={"PATH": f"{self.programs}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -9), done.stderr
        return done.returncode == 0

    def swap(self, cut: int = NEVER) -> bool:
        """What a restore does, with the files that it renders."""
        render = "echo new > .env; echo new > docker-compose.yml; echo new > unit; echo new > first-start-done"
        return self.run(f"stop_all\nkeep\nplace\n{render}\necho new > data/one-api.db-wal", cut)

    def holds(self) -> dict[str, str]:
        """Every file, with its content."""
        files = (file for file in self.place.rglob("*") if file.is_file())
        return {str(file.relative_to(self.place)): file.read_text() for file in files}


@pytest.fixture(params=[HAD, {}], ids=["a gateway", "a fresh host"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host before a swap."""
    return Host(tmp_path / "gateway", request.param)


def test_a_swap_cut_off_at_every_command_is_put_back(host: Host) -> None:
    for cut in range(0, NEVER, STRIDE):
        host.begin()
        ended = host.swap(cut)
        assert host.run("put_back")
        assert host.holds() == host.had, f"cut off after {cut} commands"
        if ended:
            break
    assert cut > 20


def test_putting_back_cut_off_at_every_command_is_done_by_the_next_one(host: Host) -> None:
    for cut in range(0, NEVER, STRIDE):
        host.begin()
        assert host.swap()
        ended = host.run("put_back", cut)
        assert host.run("put_back")
        assert host.holds() == host.had, f"cut off after {cut} commands"
        if ended:
            break
    assert cut > 20


def test_a_swap_that_succeeded_leaves_the_old_data_among_the_backups(host: Host) -> None:
    host.begin()
    assert host.swap()
    assert host.run("put_aside")
    found = host.holds()
    assert found["data/one-api.db"] == "the new rows"
    assert found["secrets.env"] == "new secrets"
    assert "applied-keys.json" not in found, "the record of the old database says nothing of the new one"
    assert "migrated-to" not in found, "it is a gateway again"
    assert found["migrating-from"] == "the host that it comes from"
    kept = {name.split("/", 2)[2]: text for name, text in found.items() if name.startswith("backups/replaced-")}
    if host.had:
        assert kept["data/one-api.db"] == "the old rows"
        assert kept["data/one-api.db-journal"] == "the old journal"
    else:
        assert not kept


@pytest.mark.parametrize("left", ["previous", "switching"])
def test_an_upgrade_of_what_was_replaced_cannot_be_taken_back_any_more(host: Host, left: str) -> None:
    host.begin()
    (host.place / left).mkdir(exist_ok=True)
    (host.place / left / "image").write_text("the image before")
    assert host.swap()
    assert host.run("put_aside")
    found = host.holds()
    assert not (host.place / left).exists()
    kept = [text for name, text in found.items() if name.endswith(f"/{left}/image")]
    assert kept == (["the image before"] if host.had else [])


def test_what_was_to_arrive_is_not_on_its_way_any_more_once_something_else_was_put_there(host: Host) -> None:
    host.begin()
    (host.place / "migrating-from").write_text("a host")
    (host.place / "incoming/migrating-from").unlink()
    assert host.swap()
    assert "migrating-from" not in host.holds()
    assert host.run("put_back")
    assert host.holds()["migrating-from"] == "a host"
