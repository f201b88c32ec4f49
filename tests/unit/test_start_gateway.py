"""The script that our unit runs, with an `ip`, a `docker` and a systemd of the test's."""

from __future__ import annotations

import os
import subprocess

import pytest

from llm_gateway.model.checkout import ROOT
from tests.unit import odd_databases, start_gateway_kit
from tests.unit.start_gateway_kit import ADDRESS, MOST_WAITS, SECRET, SHOWN, UID, Place

pytestmark = pytest.mark.slow

place = start_gateway_kit.place
_UP = "compose --file docker-compose.yml up "


def test_where_nothing_stands_in_the_way_it_starts_at_once(place: Place) -> None:
    done = place.start()
    assert (done.returncode, done.stderr) == (0, f"One API is started on {ADDRESS}\n")
    assert place.waits == 0
    assert place.said[-1] == f"One API is started on {ADDRESS}"
    assert place.lines("docker.log")[-1].startswith("compose --file docker-compose.yml up ")


IS_DOWN = f"{ADDRESS} is on no interface of this host: Tailscale is down on this host: `tailscale up`"


def test_the_firewall_lets_the_resolvers_of_now_through_before_docker_looks_for_them(place: Place) -> None:
    place.command("systemctl", f'echo "systemctl $*" >> {place.bin}/docker.log')
    assert place.start().returncode == 0
    log = place.lines("docker.log")
    reloads = [
        number for number, line in enumerate(log) if line == "systemctl reload openclaw-llm-gateway-firewall.service"
    ]
    assert reloads
    assert reloads[0] < next(
        number for number, line in enumerate(log) if line.startswith("compose --file docker-compose.yml up ")
    )


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
    require_not_started(place, IS_DOWN)


def test_an_ip_command_that_fails_is_not_taken_for_an_address(place: Place) -> None:
    place.command("ip", "exit 1")
    require_not_started(place, IS_DOWN)


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


def test_a_disk_that_cannot_be_written_is_no_damage_and_looked_at_again(place: Place) -> None:
    mark = place.directory / "read-only"
    mark.touch()
    words = "Error: in prepare, attempt to write a readonly database (8)"
    place.command("sqlite3", f"[ ! -e {mark} ] || {{ echo '{words}'; exit 1; }}; echo ok")
    place.at_each_wait(f"[ $n -ne 2 ] || rm {mark}")
    done = place.start()
    assert done.returncode == 0
    assert f"cannot be read ({words}): look at its disk" in done.stderr
    assert "restore" not in done.stderr


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
    place.at_each_wait(f"[ $n -ne 2 ] || cp -p {place.directory}/whole {database}")
    os.utime(place.directory / "whole", ns=(looked_at := database.stat().st_mtime_ns, looked_at))
    assert place.start().returncode == 0
    assert place.waits == 2, "though it is as old, and as large, and at the same place on the disk"


def test_a_null_that_the_schema_forbids_keeps_nobody_from_serving(place: Place) -> None:
    database = place.directory / "data/one-api.db"
    database.unlink()
    odd_databases.make(database, *odd_databases.KINDS)
    assert place.start().returncode == 0


ODD = [
    "NULL value in users.password",
    "wrong # of entries in index idx_redemptions_name",
    "row 3 missing from index idx_users_name",
    "non-unique entry in index idx_users_name",
    "row 4 values differ from index idx_users_name",
    "rowid not at end-of-record for row 5 of index idx_users_name",
]


@pytest.mark.parametrize(
    ("more", "starts"), [([], True), (["Tree 3 page 4: btreeInitPage() returns error code 11"], False)]
)
def test_what_is_odd_by_any_version_of_sqlite_keeps_nobody_from_serving(
    place: Place, more: list[str], starts: bool
) -> None:
    """quick_check looks at the indexes from SQLite 3.41 on: the version here need not."""
    (place.bin / "found").write_text("\n".join([*ODD, *more, ""]))
    place.command("sqlite3", f"cat {place.bin}/found")
    done = place.start()
    assert (done.returncode == 0) == starts
    assert starts or f"one-api.db is damaged ({more[0]})" in done.stderr


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
    cheap, whole = "SELECT count(*) FROM sqlite_master", "PRAGMA quick_check(100)"
    assert asked == [cheap, cheap, whole, whole]
    (place.bin / "run/started").write_text("-100\n")  # it has served for a while since
    assert place.start().returncode == 0
    assert place.lines("asked")[-1].endswith(cheap)


def test_data_on_another_disk_are_given_to_one_api_and_a_link_in_them_is_no_database(place: Place) -> None:
    elsewhere = place.bin / "disk"
    (place.directory / "data").rename(elsewhere)
    (place.directory / "data").symlink_to(elsewhere)
    assert place.start().returncode == 0
    assert {path.lstat().st_uid for path in (elsewhere, *elsewhere.rglob("*"))} == {UID}
    (elsewhere / "one-api.db").rename(place.bin / "root-s.db")
    (elsewhere / "one-api.db").symlink_to(place.bin / "root-s.db")
    assert "is a link, which One API's user can lead anywhere" in place.start().stderr


def test_data_where_there_are_no_owners_are_told_with_the_mount_option(place: Place) -> None:
    place.command("chown", "echo 'Operation not permitted' >&2; exit 1")
    done = place.start()
    assert done.returncode != 0
    assert f"uid={UID},gid={UID} (vfat" in done.stderr


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


def test_what_is_mounted_where_the_unit_does_not_see_it_makes_it_begin_anew(place: Place) -> None:
    (place.directory / "data/one-api.db").rename(place.bin / "one-api.db")
    place.at_each_wait(f"[ $n -ne 2 ] || touch {place.bin}/mounted")
    place.command("systemctl", f"case $1 in list-units) ls {place.bin} | grep mounted || : ;; *) echo 0 ;; esac")
    assert place.start().returncode == 1
    assert place.waits == 2
    assert place.lines("docker.log") == []


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
