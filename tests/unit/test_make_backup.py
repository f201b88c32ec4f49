"""files/make-backup: what it keeps, what it refuses, and what is left when something goes wrong."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.model import layout
from llm_gateway.parts.backups import archive
from llm_gateway.tasks.restore import local_sources
from tests.unit import odd_databases
from tests.unit.backup_kit import Backups, manifest, members, rows
from tests.unit.local_host import TOOLS
from tests.unit.test_other_databases import NAMING, SILENT

pytestmark = pytest.mark.slow


@pytest.fixture(params=TOOLS)
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Backups:
    """A host that has the one or the other program for SQLite."""
    return Backups(tmp_path, request.param)


@pytest.fixture
def host(tmp_path: Path) -> Backups:
    """A host with sqlite3 where this machine has it."""
    return Backups(tmp_path, TOOLS[0])


def test_a_backup_holds_what_is_there_and_says_so_first(either: Backups, tmp_path: Path) -> None:
    (either.place / "docker-compose.yml").write_text("image: old\n")
    (either.place / "tiktoken").mkdir()
    (either.place / "tiktoken" / "9b5a").write_text("ranks")
    made = either.make('before "x" \\ y\nz')
    found = members(made)
    assert next(iter(found)) == archive.MANIFEST
    assert set(found) - {"openclaw-llm-gateway.service"} == {
        *(archive.MANIFEST, layout.DATABASE, "secrets.env", "docker-compose.yml")
    }
    told = manifest(made)
    assert told.reason == 'before "x" \\ y z'
    assert (told.image_reference, told.image_id) == ("one-api:v1", "sha256:1234")
    assert told.tables == {"logs": 100, 'od"d; |\\name': 0}
    assert told.tiktoken == {"9b5a": hashlib.sha256(b"ranks").hexdigest()}
    assert {name: (part.size, part.sha256) for name, part in told.members.items()} == {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name, content in found.items()
        if name != archive.MANIFEST
    }
    assert rows(made, tmp_path) == 100
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(either.directory.stat().st_mode) == 0o700
    last = archive.Outcome.parse((either.directory / "last.json").read_text())
    assert last is not None
    assert (last.ok, last.file, last.size, last.error) == (True, made.name, made.stat().st_size, "")
    assert either.names() == [made.name]


def test_a_database_in_wal_mode_is_kept_whole(either: Backups, tmp_path: Path) -> None:
    either.write_rows(0, "PRAGMA journal_mode = WAL")
    writer = sqlite3.connect(either.database, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.executemany("INSERT INTO logs VALUES (?)", [("only in the log ahead",)] * 7)
    assert Path(f"{either.database}-wal").stat().st_size > 0
    made = either.make()
    writer.close()
    assert rows(made, tmp_path) == 107
    assert manifest(made).tables["logs"] == 107


def test_a_writer_without_a_pause_neither_fails_nor_tears_it(either: Backups, tmp_path: Path) -> None:
    either.write_rows(200_000)
    written, failed, stopped = [0], [], threading.Event()

    def write() -> None:
        connection = sqlite3.connect(either.database, timeout=10, isolation_level=None)
        while not stopped.is_set():
            try:
                connection.execute("INSERT INTO logs VALUES ('one more')")
                written[0] += 1
            except sqlite3.Error as error:
                failed.append(error)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        before = written[0]
        made = either.make()
        after = written[0]
    finally:
        stopped.set()
        thread.join()
    assert not failed
    assert 200_100 + before <= rows(made, tmp_path) <= 200_100 + after
    assert manifest(made).tables["logs"] == rows(made, tmp_path)


def test_a_damaged_database_is_told_and_older_backups_stay(either: Backups) -> None:
    either.write_rows(5000)
    older = either.make()
    content = bytearray(either.database.read_bytes())
    content[40_000:44_096] = os.urandom(4096)
    either.database.write_bytes(content)
    assert "damaged" in either.fails() or "malformed" in either.last()["error"]
    assert either.names() == [older.name]


@pytest.mark.parametrize("kind", odd_databases.KINDS)
def test_an_odd_database_is_kept_and_told_with_the_command_that_fixes_it(
    either: Backups, tmp_path: Path, kind: str
) -> None:
    either.database.unlink()
    odd_databases.make(either.database, kind)
    made = either.make()
    counts = {
        name: count for name, count in odd_databases.ROWS.items() if name == "users" or kind == odd_databases.NEWLINE
    }
    assert manifest(made).tables == counts
    found = local_sources.find(str(made))
    (taken := tmp_path / "taken.db").write_bytes(members(made)[layout.DATABASE])
    assert found.tables == SQLiteStore(None, str(taken)).counts() == counts, "whoever restores it counts the same"
    last = archive.Outcome.parse((either.directory / "last.json").read_text())
    assert last is not None
    if kind == odd_databases.NEWLINE:
        assert last.odd == ""
        return
    words, _, command = last.odd.partition(" (to fix it: ")
    assert ("NULL in users.password" in words) == (kind == odd_databases.NULL), words
    subprocess.run(["bash", "-c", command.removesuffix(")")], check=True)
    either.make()
    fixed = archive.Outcome.parse((either.directory / "last.json").read_text())
    assert fixed is not None and fixed.odd == ""


@pytest.mark.parametrize(("line", "name"), [(line, name) for line, name in NAMING if not name.startswith("LOG_")])
def test_a_gateway_with_another_database_is_refused(host: Backups, line: str, name: str) -> None:
    (host.place / "data" / ".env").write_text(f"# mine\nLOG_SQL_DSN=x\n{line}\n")
    assert f"{name} is set" in host.fails()
    assert host.names() == []
    assert "hush" not in host.fails()


def test_a_container_with_another_database_is_refused(host: Backups) -> None:
    host.stub("docker", "printf '%s\\n' PATH=/bin LOG_SQL_DSN=x 'SQL_DSN=root:hush@tcp(db)/oneapi'")
    assert "SQL_DSN is set" in host.fails()
    assert host.names() == []


def test_a_variable_that_names_no_other_database_is_not(host: Backups) -> None:
    host.stub("docker", "printf '%s\\n' SQL_DSN= MY_SQL_DSN=x '#SQL_DSN=y'")
    (host.place / "data" / ".env").write_text("\n".join([*SILENT, ""]))
    host.make()


def test_a_log_that_is_elsewhere_is_told_and_no_reason_to_refuse(host: Backups) -> None:
    (host.place / "data" / ".env").write_text("LOG_SQL_DSN=postgres://u:hush@db/log\n")
    done = host.run()
    assert done.returncode == 0
    assert "the log is in another database" in done.stderr
    assert "hush" not in done.stderr


def test_what_is_missing_is_told_with_its_fix(host: Backups, tmp_path: Path) -> None:
    (tmp_path / "programs" / TOOLS[0]).unlink()
    assert "apt-get install sqlite3" in host.fails()
    host.database.unlink()
    assert f"there is no database {host.database}" in host.fails()


def test_too_little_room_is_told_before_anything_is_written(host: Backups) -> None:
    older = host.make()
    host.stub("df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/a 9 9 700\\n'")
    assert "no room: a backup of" in host.fails()
    assert host.names() == [older.name]


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(host: Backups) -> None:
    older = host.make()
    host.stub("gzip", "head -c 100; echo 'gzip: No space left on device' >&2; exit 1")
    assert "No space left on device" in host.fails()
    assert host.names() == [older.name]


def test_what_reads_back_otherwise_is_no_backup(host: Backups) -> None:
    real = (host.place.parent / "programs" / "sha256sum").readlink()
    counter = host.place / "counter"
    host.stub("sha256sum", f"echo >> {counter}; [ $(wc -l < {counter}) -lt 4 ] || echo changed; {real}")
    assert "does not hold" in host.fails()
    assert host.names() == []


def test_names_stay_unique_and_in_order_when_the_clock_jumps_back(host: Backups) -> None:
    first, second = host.make(), host.make()
    assert first.name < second.name
    (host.directory / "gateway-20990101T000000Z.tar.gz").touch()
    third, fourth = host.make(), host.make()
    assert [third.name, fourth.name] == ["gateway-20990101T000001Z.tar.gz", "gateway-20990101T000002Z.tar.gz"]
    assert archive.newest(host.names()) == fourth.name


def test_the_newest_stays_even_when_only_one_is_kept_and_the_clock_was_put_back(host: Backups) -> None:
    host.directory.mkdir(exist_ok=True)
    (host.directory / "gateway-20990101T000000Z.tar.gz").touch()
    host.configure(keep=1, keep_days=1)
    made = host.make()
    assert host.names() == [made.name]


def test_retention_by_count_and_age_spares_the_newest_three_and_what_is_not_ours(host: Backups) -> None:
    host.directory.mkdir()
    old = [f"gateway-200101{day:02}T000000Z.tar.gz" for day in range(1, 9)]
    strangers = ["gateway-20010101T000000Z.tar.gz.age", "gateway-20010101.tar.gz", "mine.tar.gz", "xgateway-"]
    for name in (*old, *strangers):
        (host.directory / name).write_text("kept")
    (host.directory / "gateway-20000101T000000Z.tar.gz").mkdir()
    kept = {*strangers, "gateway-20000101T000000Z.tar.gz"}
    host.configure(keep=7, keep_days=36500)
    made = {host.make().name}
    assert set(host.names()) == {*kept, *made, *old[-6:]}
    host.configure(keep=7, keep_days=90)
    made.add(host.make().name)
    assert set(host.names()) == {*kept, *made, old[-1]}


def test_two_at_once_wait_for_each_other_and_both_succeed(host: Backups) -> None:
    with host.start() as one, host.start() as other:
        answers = [one.communicate(timeout=60), other.communicate(timeout=60)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert len(host.names()) == 2
    assert sum("another backup is being made" in err for _, err in answers) <= 1


@pytest.mark.parametrize(("number", "told"), [(signal.SIGTERM, "it was interrupted"), (signal.SIGKILL, None)])
def test_one_that_is_cut_off_leaves_no_backup_and_the_next_clears_up(
    host: Backups, number: signal.Signals, told: str | None
) -> None:
    reached = host.place / "reached"
    os.mkfifo(reached)
    real = (host.place.parent / "programs" / "gzip").readlink()
    host.stub("gzip", f"echo > {reached}; cat > /dev/null; exec tail -f /dev/null")
    with host.start() as process:
        reached.read_text()
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
    assert process.returncode != 0
    if told:
        assert host.last()["error"] == told
        assert host.names() == []
    assert archive.newest(host.names()) is None
    host.stub("gzip", f'exec {real} "$@"')
    made = host.make()
    assert host.names() == [made.name]


def test_the_command_gets_the_file_and_its_failure_counts(host: Backups) -> None:
    seen = host.place / "seen"
    host.configure(command=f'\'echo "$1" > {seen}; cp "$1" {host.place}/copied; echo to the journal\'')
    made = host.make()
    assert seen.read_text().strip() == str(made)
    assert (host.place / "copied").read_bytes() == made.read_bytes()
    host.configure(command="'echo no such bucket: key-of-tests >&2; /bin/sleep 150 & exit 7'")
    said = host.fails()
    assert "gateway_backup_command failed with exit code 7" in said
    assert "key-of-tests" not in said + str(host.last())
    words = made.parent / ".command.log"
    assert words.read_text() == "no such bucket: key-of-tests\n"
    assert words.stat().st_mode & 0o077 == 0
    whole = host.last()["file"]
    assert f"{whole} is whole" in said
    assert host.names() == [made.name, whole]


def test_the_command_finds_roots_home_when_a_timer_calls_it(host: Backups) -> None:
    """systemd sets none of these for a system service without User=; rclone and restic look for their files there."""
    host.configure(command=f"'echo \"$HOME $USER $LOGNAME\" > {host.place}/login'")
    host.make()
    assert (host.place / "login").read_text() == "/root root root\n"


def test_what_leaves_the_host_is_encrypted_where_a_recipient_is_named(host: Backups) -> None:
    host.stub("age", '[ "$1 $2 $3" = "-r age1you -o" ] && { echo secret; cat "$5"; } > "$4"')
    host.configure(recipient="age1you", command=f'\'cp "$1" {host.place}; echo "${{1##*/}}"\'')
    made = host.make()
    assert (host.place / f"{made.name}.age").read_bytes() == b"secret\n" + made.read_bytes()
    assert host.names() == [made.name]
    (host.place.parent / "programs" / "age").unlink()
    assert "age is not on this host: apt-get install age" in host.fails()
    assert len(host.names()) == 2, "the local one is whole and stays"


def test_an_outcome_that_has_no_room_of_its_own_is_written_over_the_older(host: Backups) -> None:
    host.make("a very long reason, so that what is written over it is shorter " * 3)
    host.stub("mv", 'case $* in *last.json*) exit 1 ;; *) exec /bin/mv "$@" ;; esac')
    host.database.unlink()
    host.fails()
    last = archive.Outcome.parse((host.directory / "last.json").read_text())
    assert last is not None
    assert not last.ok


def test_a_word_that_looks_like_an_option_is_refused(host: Backups) -> None:
    done = host.run("--help")
    assert done.returncode == 2
    assert not host.directory.exists()
