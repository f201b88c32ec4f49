"""A gateway's data are restored wholly or not at all, wherever the run is cut off; what is damaged is refused."""

from __future__ import annotations

import json
import signal
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import restore_kit
from tests.lab.conftest import INVENTORY, Lab
from tests.lab.faults import await_boot, await_step, cut_power, kill_at, running, steps_told
from tests.lab.restore_kit import HOST, await_end, command, restore, tokens
from tests.lab.rows import DIRECTORY, rows
from tests.lab.seen_status import hosts, status

STARTED = "docker container inspect openclaw-llm-gateway --format '{{.State.StartedAt}}'"


@pytest.fixture(scope="module")
def restored(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A fresh Debian 12 host that was given another gateway's data, and has nothing else of a deployment.

    Its backups lie elsewhere, as on a NAS, behind a link.
    """
    archive = restore_kit.back_up(deployed, "gw1", tmp_path_factory.mktemp("fetched"))
    with deployed.more_hosts(f"{HOST}:bookworm"):
        deployed.ssh(HOST, f"mkdir -p /srv/nas/gw {DIRECTORY} && ln -s /srv/nas/gw {DIRECTORY}/backups")
        # Docker comes from the lab's apt repository, as long as its key is the one that is named.
        refused = restore(deployed, f"backup={archive}", f"docker_apt_key={'A' * 40}")
        refused.must_fail_with("nothing was installed", "(docker_apt_key)")
        assert deployed.ssh(HOST, "ls /etc/apt/keyrings /etc/apt/sources.list.d | grep docker || true") == ""
        run = restore(deployed, f"backup={archive}")
        assert run.code == 0, run.output[-5000:]
        assert "completed" in run.output
        yield deployed


@pytest.fixture(scope="module")
def archive(restored: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it, here; on the host it is the newest."""
    return restore_kit.back_up(restored, HOST, tmp_path_factory.mktemp("archive"))


def test_a_fresh_host_serves_what_another_gateway_held(restored: Lab) -> None:
    ours, theirs = rows(restored, HOST), rows(restored, "gw1")
    assert ours["tokens"] == theirs["tokens"]
    assert [(row["name"], row["key"]) for row in ours["channels"]] == [
        (row["name"], row["key"]) for row in theirs["channels"]
    ]
    assert ours["users"][0]["access_token"] == theirs["users"][0]["access_token"]
    assert restore_kit.status_of(restored, tokens(restored)["agent1"]) == "200", "another host's token works there, too"
    again = restored.deploy("--limit", HOST)
    assert again.code == 0, again.output[-4000:]
    assert "; nothing was changed" in again.output, again.output[-4000:]


def test_status_says_where_the_backups_are_and_finds_them(restored: Lab, archive: Path) -> None:
    run = status(INVENTORY, "--limit", HOST, "--json")
    gateway = hosts(run)[HOST]["gateway"]
    assert [(place["name"], place["path"], place["is_there"]) for place in gateway["elsewhere"]] == [
        ("backups", "/srv/nas/gw", True)
    ]
    assert (gateway["backup"]["file"], gateway["backup"]["count"]) == (archive.name, 1)


def _flipped(archive: Path, to: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    to.write_bytes(content)


def _truncated(archive: Path, to: Path) -> None:
    to.write_bytes(archive.read_bytes()[:-1000])


def _of_a_newer_version(archive: Path, to: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        yield member, data.replace(b'"format": 1', b'"format": 2') if member.name == "manifest.json" else data

    restore_kit.repacked(archive, to, change)


def _slipping(archive: Path, to: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        yield member, data
        if member.name == "manifest.json":
            yield tarfile.TarInfo("../../../../etc/cron.d/slipped"), b"* * * * * root touch /slipped\n"

    restore_kit.repacked(archive, to, change)


def _linking(archive: Path, to: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        if member.name == ".env":
            member.type, member.linkname, data = tarfile.SYMTYPE, "/etc/shadow", b""
        yield member, data

    restore_kit.repacked(archive, to, change)


def _with_another_database(archive: Path, to: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        yield member, data.replace(b"root", b"boot") if member.name == "one-api.db" else data

    restore_kit.repacked(archive, to, change)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flipped, "damaged"),
        (_truncated, "damaged or cut off"),
        (_of_a_newer_version, "made by a newer version of this project"),
        (_slipping, "leads out of the archive"),
        (_linking, "symbolic link"),
        (_with_another_database, "one-api.db: the SHA-256 is wrong"),
    ],
)
def test_a_bad_archive_on_the_host_is_refused_before_anything_is_touched(
    restored: Lab, archive: Path, tmp_path: Path, damage: Callable[[Path, Path], None], words: str
) -> None:
    before = _state(restored)
    name = "gateway-20990101T000000Z.tar.gz"
    damage(archive, tmp_path / name)
    restored.copy(HOST, tmp_path / name, f"{DIRECTORY}/backups/{name}")
    try:
        restore(restored, "backup=latest").must_fail_with(words, "nothing was changed")
    finally:
        restored.ssh(HOST, f"rm {DIRECTORY}/backups/{name}")
    assert _state(restored) == before


def _state(lab: Lab) -> str:
    """The container, the gateway's files, and what a slip would leave."""
    return lab.ssh(
        HOST,
        "docker inspect openclaw-llm-gateway --format '{{.Id}} {{.State.StartedAt}}';"
        f" find {DIRECTORY} /etc/cron.d -type f ! -path '*/logs/*' -printf '%p %s %T@ %m\\n' | sort",
    )


def test_a_dry_run_says_what_would_be_replaced(restored: Lab, archive: Path) -> None:
    restore_kit.add_token(restored, "made-after-the-backup")
    dry = restored.pyinfra("--dry", *command())
    assert dry.code == 0, dry.output[-3000:]
    there = len(tokens(restored))
    assert f"to be restored: {archive.name} in backups/ on the host, made 20" in dry.output
    assert f"tokens: {there} rows -> {there - 1}" in dry.output
    assert "Restore the gateway's data" in dry.output


def test_a_restore_at_work_is_no_alarm(restored: Lab, archive: Path) -> None:
    """Held on, while its gateway is stopped and its undo is laid down, until the status has looked."""
    with running(*command()) as run:
        await_step(run, "writing the gateway's files")
        run.send_signal(signal.SIGSTOP)
        try:
            assert not restore_kit.answers(restored)
            seen = status(INVENTORY, "--limit", HOST, "--check", "--json")
        finally:
            run.send_signal(signal.SIGCONT)
        ended = run.end(300)
    assert ended.code == 0, ended.output[-3000:]
    assert seen.code == 0, seen.output
    gateway = hosts(seen)[HOST]
    assert (gateway["attention"], gateway["gateway"]["is_running"]) == ([], False)
    assert gateway["last_run"]["is_changing"] is True
    assert "made-after-the-backup" not in tokens(restored)


@pytest.mark.full
def test_a_restore_killed_at_any_step_leaves_the_old_gateway_serving_and_the_next_one_completes(
    restored: Lab, archive: Path
) -> None:
    first = restore(restored)
    assert first.code == 0, first.output[-5000:]
    assert "made-after-the-backup" not in tokens(restored), "the backup is what is served"
    told = steps_told(first.output, "restore")
    assert len(told) >= 10, told
    restore_kit.add_token(restored, "not-in-the-backup")
    before = tokens(restored)
    for step in told[:-1]:
        kill_at(step, *command())
        taken = await_end(restored)
        print(f"killed at {step!r}: serves after {taken:.1f} s")
        assert tokens(restored) == before, f"killed at {step!r}"
        assert restore_kit.status_of(restored, before["not-in-the-backup"]) == "200", f"killed at {step!r}"
    # Then it has been committed: what was restored serves, and what it replaced is not lost.
    kill_at(told[-1], *command())
    await_end(restored)
    assert "not-in-the-backup" not in tokens(restored)
    again = restore(restored)
    assert again.code == 0, again.output[-5000:]
    kept = restored.ssh(HOST, f"cd {DIRECTORY} && ls -d replaced* incoming* 2>/dev/null; ls backups | grep replaced-")
    assert len(kept.split()) >= 2 and "incoming" not in kept, kept
    found = restored.ssh(HOST, f"cd {DIRECTORY}/backups && grep -l not-in-the-backup replaced-*/data/one-api.db")
    back = restore(restored, f"backup={found.split('/')[0]}")
    assert back.code == 0, back.output[-5000:]
    assert tokens(restored) == before, "what was replaced can be restored"


def test_a_power_cut_in_the_middle_of_the_swap_brings_the_old_gateway_back_at_boot(
    restored: Lab, archive: Path
) -> None:
    restore_kit.add_token(restored, "before-the-power-cut")
    before = tokens(restored)
    with running(*command()) as run:
        await_step(run, "restore: starting the gateway ...")
        run.send_signal(signal.SIGKILL)
        cut_power(HOST)
    await_boot(restored, HOST)
    taken = await_end(restored)
    print(f"serves {taken:.1f} s after the boot")
    assert tokens(restored) == before
    assert restored.ssh(HOST, "systemctl is-enabled openclaw-llm-gateway") == "enabled"


def test_people_s_data_directory_is_restored_with_its_journal_and_its_default_password_goes(
    restored: Lab, tmp_path: Path
) -> None:
    data = restore_kit.people_s_data(tmp_path)
    packed = tmp_path / "data.tar.gz"
    with tarfile.open(packed, "w:gz") as file:
        file.add(data, "data")
    # Beside a live database with a -wal of its own, and under another name.
    asked = tmp_path / "beside" / "one-api-2025.db"
    restore_kit.beside_a_live_one(data, asked)
    before = tokens(restored)
    for source in (data, packed, asked):
        run = restore(restored, f"backup={source}")
        assert run.code == 0, run.output[-5000:]
        assert "logs: " in run.output and " rows -> 300" in run.output
        assert ("not taken along: one-api.db-wal beside it" in run.output) == (source == asked)
        found = rows(restored, HOST)
        assert {row["name"] for row in found["tokens"]} >= {"openclaw-main", "mem0", "laptop-of-wei"}
        old = [row for row in found["logs"] if row["created_at"] < 1_760_000_000]
        assert [row["content"] for row in old] == [""] * 300, "the transaction that never ended is not seen"
        assert restore_kit.status_of(restored, tokens(restored)["laptop-of-wei"]) == "200"
        body = json.dumps({"username": "root", "password": "123456"})
        script = 'curl -s -H "Content-Type: application/json" -d @- "http://$0:3000/api/user/login"'
        login = restored.command("peer", "--", "sh", "-c", script, restored.address(HOST), stdin=body).stdout
        assert json.loads(login)["success"] is False
    assert not {*before} & {"openclaw-main", "mem0"}


def test_a_database_that_nobody_could_administer_stops_no_gateway(restored: Lab, tmp_path: Path) -> None:
    """Neither one whose root password nobody knows nor one whose secrets belong to another."""
    before = tokens(restored)
    started = restored.ssh(HOST, STARTED)
    wrong = (
        "ONEAPI_ROOT_PASSWORD=wrong-password\nONEAPI_ACCESS_TOKEN=" + "0" * 32 + "\nSESSION_SECRET=" + "0" * 48 + "\n"
    )
    restore_kit.people_s_data(tmp_path)
    (tmp_path / "secrets.env").write_text(wrong)
    (tmp_path / "first-start-done").write_text("")
    run = restore(restored, f"backup={tmp_path}")
    run.must_fail_with("another access token than its secrets.env", "the gateway's data are as they were")
    with sqlite3.connect(tmp_path / "data/one-api.db") as database:
        database.execute("UPDATE users SET password = 'x' WHERE username = 'root'")
    run = restore(restored, f"backup={tmp_path / 'data'}")
    run.must_fail_with("another root password; export ONEAPI_ROOT_PASSWORD=", "the gateway's data are as they were")
    assert restored.ssh(HOST, STARTED) == started, "it was not stopped for it"
    assert tokens(restored) == before
    assert restore_kit.answers(restored)


def test_a_full_disk_leaves_the_old_gateway_serving(restored: Lab, archive: Path) -> None:
    restore_kit.add_token(restored, "before-the-full-disk")
    before = tokens(restored)
    with restore_kit.small_disk(restored):
        await_end(restored)
        restore_kit.fill_disk(restored, leave_mib=20)
        restore(restored).must_fail_with("only 20 MiB are free", "nothing was changed")
        assert tokens(restored) == before
        restored.ssh(HOST, f"rm {DIRECTORY}/fill")
        with running(*command()) as run:
            await_step(run, "restore: stopping the gateway ...")
            run.send_signal(signal.SIGSTOP)
            restore_kit.fill_disk(restored, leave_mib=0)
            run.send_signal(signal.SIGCONT)
            assert run.end().code == 1
        restored.ssh(HOST, f"rm {DIRECTORY}/fill")
        await_end(restored)
        assert tokens(restored) == before
        assert not restored.ssh(HOST, f"ls -d {DIRECTORY}/incoming* {DIRECTORY}/replaced 2>/dev/null || true")
    await_end(restored)
    again = restore(restored)
    assert again.code == 0, again.output[-4000:]
