"""The script that our unit runs, with an `ip`, a `docker` and a systemd of the test's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.checkout import ROOT

ADDRESS = "100.64.0.10"
UID = 59300
SHOWN = "3: tailscale0    inet {}/32 scope global tailscale0\\\\       valid_lft forever preferred_lft forever"
SECRET = "SESSION_SECRET=" + "5" * 48
COMPOSE = "services:\n  oneapi:\n    image: one-api:1\n"
MOST_WAITS = 4
"""Then the test's `sleep` fails, and the script with it: where mounts are not seen, it would end at the sixth."""


@dataclass
class Place:
    """An install directory, the commands beside it, and what was said and run."""

    directory: Path
    bin: Path

    def command(self, name: str, text: str) -> None:
        """Put a command in place of the machine's own."""
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def at_each_wait(self, text: str) -> None:
        """Have something happen while the script waits; `$n` says for the how manyth time."""
        count = f"echo x >> {self.bin}/slept; n=$(wc -l < {self.bin}/slept); [ $n -le {MOST_WAITS} ] || exit 9"
        self.command("sleep", f"{count}\n{text}")

    def start(self, cpus: str = "2.0") -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [self.directory / "start-gateway", ADDRESS, str(UID), cpus],
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "RUNTIME_DIRECTORY": str(self.bin / "run")},
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def waits(self) -> int:
        """How many times the script has waited for a second."""
        return len(self.lines("slept"))

    @property
    def said(self) -> list[str]:
        """What `systemctl status` showed, one after the other."""
        return self.lines("status")

    def lines(self, name: str) -> list[str]:
        """What a command has written down."""
        path = self.bin / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A gateway that can be started at once."""
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as the unit has it", pytrace=False)
    made = Place(tmp_path / "gateway", tmp_path / "bin")
    for directory in (made.directory / "data/logs", made.bin / "run"):
        directory.mkdir(parents=True)
    for name in ("start-gateway", "own-data"):
        (made.directory / name).write_bytes((ROOT / "files" / name).read_bytes())
        (made.directory / name).chmod(0o755)
    with sqlite3.connect(made.directory / "data/one-api.db") as database:
        database.execute("CREATE TABLE users (id)")
        database.executemany("INSERT INTO users VALUES (?)", [(f"{number:0900}",) for number in range(50)])
    (made.directory / "first-start-done").touch()
    (made.directory / ".env").write_text(f"TAILSCALE_IP={ADDRESS}\n{SECRET}\n")
    (made.directory / "docker-compose.yml").write_text(COMPOSE)
    made.command("ip", f"echo '{SHOWN.format(ADDRESS)}'")
    made.command("systemd-notify", f'echo "${{1#--status=}}" >> {made.bin}/status')
    made.command("systemctl", "echo 0")
    made.command("nproc", "echo 2")
    made.command(
        "docker", f'echo "$*" >> {made.bin}/docker.log\n[ "$1" != compose ] || echo "$GATEWAY_CPUS" > {made.bin}/cpus'
    )
    made.at_each_wait("")
    return made


def test_where_nothing_stands_in_the_way_it_starts_at_once(place: Place) -> None:
    done = place.start()
    assert (done.returncode, done.stderr) == (0, f"One API is started on {ADDRESS}\n")
    assert place.waits == 0
    assert place.said[-1] == f"One API is started on {ADDRESS}"
    assert place.lines("docker.log")[-1].startswith("compose up ")


def require_not_started(place: Place, reason: str) -> None:
    """It waits to the end of the test's patience, says so once, and has touched nothing."""
    before = {path: path.read_bytes() for path in place.directory.rglob("*") if path.is_file()}
    done = place.start()
    assert done.returncode == 9
    assert done.stderr == f"waiting: {reason}\n"
    assert [line for line in place.said if line != "checking the database"] == [f"waiting: {reason}"]
    assert place.waits == MOST_WAITS + 1
    assert place.lines("docker.log") == []
    assert {path: path.read_bytes() for path in place.directory.rglob("*") if path.is_file()} == before
    assert (place.directory / "data").stat().st_uid == 0


@pytest.mark.parametrize("there", ["100.64.0.101", "1100.64.0.10", "100.64.0.1", "100x64x0x10"])
def test_another_address_is_not_taken_for_its_own(place: Place, there: str) -> None:
    place.command("ip", f"case \"$*\" in *tailscale0) ;; *) echo '{SHOWN.format(there)}' ;; esac")
    require_not_started(place, f"{ADDRESS} is on no interface of this host. Is Tailscale up? (tailscale status)")


def test_an_ip_command_that_fails_is_not_taken_for_an_address(place: Place) -> None:
    place.command("ip", "exit 1")
    require_not_started(place, f"{ADDRESS} is on no interface of this host. Is Tailscale up? (tailscale status)")


def test_a_host_that_was_logged_in_anew_is_told_of(place: Place) -> None:
    place.command("ip", f"echo '{SHOWN.format('100.64.0.99')}'")
    told = f"this host is 100.64.0.99 in the tailnet now, and the gateway is set up for {ADDRESS}: run deploy.py"
    require_not_started(place, told)


def test_one_that_was_moved_to_another_host_is_not_started(place: Place) -> None:
    mark = place.directory / "migrated-to"
    mark.write_text("gw2 http://100.64.0.11:3000\n")
    require_not_started(place, f"the gateway was moved to gw2 http://100.64.0.11:3000: {mark} says so")


def test_an_address_that_comes_later_is_waited_for(place: Place) -> None:
    place.command("ip", f"[ ! -e {place.bin}/come ] || echo '{SHOWN.format(ADDRESS)}'")
    place.at_each_wait(f"[ $n -lt 3 ] || touch {place.bin}/come")
    assert place.start().returncode == 0
    assert place.waits == 3
    assert place.said[-1] == f"One API is started on {ADDRESS}"


def test_data_that_are_not_mounted_are_waited_for_and_nothing_is_put_in_their_place(place: Place) -> None:
    data = place.directory / "data"
    data.rename(place.directory / "data.away")
    data.mkdir()
    told = f"{data}/one-api.db is not there. Is its file system mounted? (findmnt --target {data})"
    require_not_started(place, told)
    assert list(data.iterdir()) == []
    (place.bin / "slept").unlink()
    place.at_each_wait(f"[ $n -ne 2 ] || {{ rmdir {data}; mv {data}.away {data}; }}")
    assert place.start().returncode == 0
    assert place.waits == 2


def test_a_database_that_was_not_made_safe_is_not_started(place: Place) -> None:
    (place.directory / "first-start-done").unlink()
    mark = place.directory / "first-start-done"
    require_not_started(place, f"{mark} is not there, so the default password may be in force: run deploy.py")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(lambda text: b"", "it is not an SQLite database", id="empty"),
        pytest.param(lambda text: b"garbage" * 1000, "it is not an SQLite database", id="another file"),
        pytest.param(lambda text: text[:8192] + b"\xff" * 12288 + text[20480:], "", id="pages overwritten"),
        pytest.param(lambda text: text[:6000], "", id="cut off"),
    ],
)
@pytest.mark.parametrize("tool", ["sqlite3", "python3"])
def test_a_damaged_database_is_not_started_until_it_is_replaced(
    place: Place, damage: object, told: str, tool: str
) -> None:
    assert callable(damage)
    if tool == "python3":
        place.command("sqlite3", "exit 127")
        script = place.directory / "start-gateway"
        script.write_text(script.read_text().replace("command -v sqlite3", "false"))
    database = place.directory / "data/one-api.db"
    whole = database.read_bytes()
    database.write_bytes(damage(whole))
    done = place.start()
    assert (done.returncode, place.lines("docker.log")) == (9, [])
    assert done.stderr.startswith(f"waiting: {database} is damaged ({told}")
    assert done.stderr.endswith(", and is left as it is: deploys/restore.py restores a backup\n")
    assert "***" not in done.stderr
    assert database.read_bytes() == damage(whole)
    assert place.said.count("checking the database") <= 1, "it is looked at once, and again when it has changed"
    (place.bin / "slept").unlink()
    (place.directory / "whole").write_bytes(whole)
    place.at_each_wait(f"[ $n -ne 2 ] || mv {place.directory}/whole {database}")
    assert place.start().returncode == 0
    assert place.waits == 2


def test_what_cannot_be_looked_at_is_not_taken_for_damaged(place: Place) -> None:
    """A host without either tool, and a database that somebody is at work on."""
    script = place.directory / "start-gateway"
    script.write_text(script.read_text().replace("command -v sqlite3", "false").replace("command -v python3", "false"))
    assert place.start().returncode == 0
    place.command("sqlite3", "echo 'Error: database is locked'; exit 5")
    script.write_bytes((ROOT / "files/start-gateway").read_bytes())
    assert place.start().returncode == 0


def test_a_large_database_is_looked_at_as_a_whole_only_after_a_start_that_came_to_nothing(place: Place) -> None:
    place.command("sqlite3", f'echo "$*" >> {place.bin}/asked; echo ok')
    with (place.directory / "data/one-api.db").open("r+b") as file:
        file.truncate(60_000_000)
    for restarts in ("0", "1"):
        place.command("systemctl", f"echo {restarts}")
        assert place.start().returncode == 0
        assert place.start().returncode == 0
    asked = [line.rpartition("one-api.db ")[2] for line in place.lines("asked")]
    cheap, whole = "SELECT count(*) FROM sqlite_master", "PRAGMA quick_check(3)"
    assert asked == [cheap, cheap, whole, whole]
    (place.bin / "run/started").write_text("-100\n")  # it has served for a while since
    assert place.start().returncode == 0
    assert place.lines("asked")[-1].endswith(cheap)


def test_the_data_are_given_to_one_api_and_links_are_not_followed(place: Place) -> None:
    outside = place.bin / "outside"
    outside.write_text("root's")
    (place.directory / "data/link").symlink_to(outside)
    (place.directory / "data/logs/old.log").write_text("line\n")
    os.chown(place.directory / "data/logs", 1234, 1234)
    assert place.start().returncode == 0
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (place.directory / "data").rglob("*")}
    assert owners == {(UID, UID)}
    assert (place.directory / "data").stat().st_uid == UID
    assert outside.stat().st_uid == 0
    assert (place.directory / "first-start-done").stat().st_uid == 0


def test_what_a_person_has_set_for_one_api_is_kept_beside_the_session_secret(place: Place) -> None:
    theirs = place.directory / "data/.env"
    for text in ("", "RELAY_TIMEOUT=60", "RELAY_TIMEOUT=60\nSESSION_SECRET=theirs\n"):
        theirs.write_text(text)
        assert place.start().returncode == 0
        environment = place.bin / "run/one-api.env"
        assert environment.read_text().split() == [*text.split(), SECRET]  # the last one counts
        assert (environment.stat().st_mode & 0o777, environment.stat().st_uid) == (0o400, UID)
        assert theirs.read_text() == text
    theirs.unlink()
    theirs.symlink_to(place.directory / "docker-compose.yml")
    assert place.start().returncode == 0
    assert (place.bin / "run/one-api.env").read_text().split() == [SECRET]


def test_a_missing_image_is_loaded_from_the_kept_archive(place: Place) -> None:
    has_image = place.bin / "has-image"
    load = f"[ ! -s image.tar ] || touch {has_image}"
    place.command(
        "docker",
        f'echo "$*" >> {place.bin}/docker.log\n'
        f'case "$1 $2" in "image inspect") [ -e {has_image} ] ;; "load --quiet") {load} ;; esac',
    )
    assert place.start().returncode == 0
    assert "load --quiet --input image.tar" not in place.lines("docker.log"), "compose pulls it"
    archive = place.directory / "image.tar"
    archive.touch()
    done = place.start()
    assert done.returncode == 9
    assert done.stderr.splitlines() == [
        f"loading one-api:1 out of {archive}",
        f"waiting: the image one-api:1 is not on this host, nor in {archive}: run deploy.py",
    ]
    assert place.lines("docker.log").count("load --quiet --input image.tar") == 1
    archive.write_text("the image")
    (place.bin / "slept").unlink()
    assert place.start().returncode == 0
    assert place.waits == 0


@pytest.mark.parametrize(
    ("network", "of_container", "is_removed"),
    [
        ("echo 1a", "echo 1a", False),
        ("exit 1", "echo 1a", True),
        ("echo 2b", "echo 1a", True),
        ("exit 1", "exit 1", False),
    ],
)
def test_a_container_whose_network_is_gone_is_made_anew(
    place: Place, network: str, of_container: str, is_removed: bool
) -> None:
    log = f'echo "$*" >> {place.bin}/docker.log'
    place.command(
        "docker", f'{log}\ncase "$1 $2" in "network inspect") {network} ;; "container inspect") {of_container} ;; esac'
    )
    assert place.start().returncode == 0
    assert ("rm --force openclaw-llm-gateway" in place.lines("docker.log")) == is_removed


@pytest.mark.parametrize(("wanted", "has", "given"), [("2.0", 4, "2"), ("2.0", 1, "1"), ("0.5", 1, "0.5")])
def test_it_asks_for_no_more_processors_than_there_are(place: Place, wanted: str, has: int, given: str) -> None:
    place.command("nproc", f"echo {has}")
    assert place.start(cpus=wanted).returncode == 0
    assert place.lines("cpus") == [given]


@pytest.mark.parametrize("name", ["start-gateway", "own-data"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_they_are_posix_scripts(name: str, shell: str) -> None:
    done = subprocess.run([shell, "-n", ROOT / "files" / name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
