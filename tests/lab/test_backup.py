"""Backups of a gateway with much in it that serves: under load, fetched, on full disks."""

from __future__ import annotations

import json
import resource
import shlex
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import load
from llm_gateway.model.layout import DATABASE
from llm_gateway.parts.backups.archive import MANIFEST, NAME, Manifest
from llm_gateway.tasks.backup import LONG_SECONDS
from tests.lab.conftest import INVENTORY, ROOT, Lab, Run, run_here
from tests.lab.faults import await_that
from tests.lab.rows import DIRECTORY

pytestmark = pytest.mark.flavours

BACKUPS = f"{DIRECTORY}/backups"
DATABASE_FILE = f"{DIRECTORY}/data/one-api.db"
MEGABYTES = 60
_FILL = (
    "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name) SELECT 1, value, 2,"
    " hex(randomblob(120)), 'root', 'filler', 'none' FROM generate_series(1, 200000);"
)


@pytest.fixture(scope="module")
def filled(deployed: Lab) -> Iterator[Lab]:
    """gw1 with 60 MB of rows; they go again, and so do the backups."""
    deployed.ssh("gw1", f"sqlite3 -cmd '.timeout 60000' {DATABASE_FILE}", _FILL)
    assert int(deployed.ssh("gw1", f"stat -c %s {DATABASE_FILE}")) > MEGABYTES * 1_000_000
    yield deployed
    deployed.ssh(
        "gw1", f"sqlite3 -cmd '.timeout 60000' {DATABASE_FILE}", "DELETE FROM logs WHERE token_name = 'filler';"
    )
    deployed.ssh("gw1", f"sqlite3 -cmd '.timeout 60000' {DATABASE_FILE} VACUUM && rm -rf {BACKUPS}")


def _make(lab: Lab, reason: str = "a test") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.ssh("gw1", f"{DIRECTORY}/make-backup '{reason}'"))
    return found


def _last(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.ssh("gw1", f"head -n 1 {BACKUPS}/last.json"))
    return found


def _names(lab: Lab) -> list[str]:
    return [name for name in lab.ssh("gw1", f"ls -A {BACKUPS}").split() if name not in (".lock", "last.json")]


def _backup(*arguments: str, before: tuple[str, ...] = ()) -> Run:
    """`python deploys/backup.py`, as a person runs it; `before` are the words of a command that runs it."""
    return run_here([*before, sys.executable, "deploys/backup.py", INVENTORY, "--limit", "gw1", *arguments])


def _serves(lab: Lab) -> bool:
    address = lab.address("gw1")
    return lab.command("peer", "--", "curl", "-sf", "-m", "5", f"http://{address}:3000/api/status").code == 0


def _unpacked(file: Path, place: Path) -> tuple[Manifest, sqlite3.Connection]:
    """What an archive says of itself, and its database, which is whole."""
    with tarfile.open(file) as archive:
        assert archive.getnames()[:2] == [MANIFEST, DATABASE]
        archive.extractall(place, filter="data")
    connection = sqlite3.connect(place / DATABASE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return Manifest.parse((place / MANIFEST).read_text()), connection


def test_a_backup_under_50_requests_a_second_is_whole_and_nobody_notices(
    filled: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base_url = f"http://{filled.address('gw1')}:3000"
    lan = filled.state["lan_subnet"].rpartition(".")[0] + ".1"
    loaded = "SELECT count(*) FROM logs WHERE token_name = 'load'"
    count = f"sqlite3 -cmd '.timeout 60000' {DATABASE_FILE} {shlex.quote(loaded)}"
    others = int(filled.ssh("gw1", count))
    with (
        load.reachable("gw1", lan),
        filled.admin("gw1") as admin,
        load.running(admin, base_url, lan, 50) as found,
    ):
        before = int(filled.ssh("gw1", count)) - others
        run = _backup("--fetch", str(tmp_path))
        after = found.sent - len(found.failed)
    with capsys.disabled():
        print(f"\n  a backup under load: {_last(filled)['seconds']} s, {found}")
    assert run.code == 0, run.output[-3000:]
    assert found.failed == []
    assert found.rate > 15, "50 were asked for; this machine is too busy with other things"
    (file,) = (tmp_path / "gw1").iterdir()
    manifest, database = _unpacked(file, tmp_path)
    (held,) = database.execute(loaded).fetchone()
    assert before <= held - others <= after
    assert manifest.tables["logs"] == database.execute("SELECT count(*) FROM logs").fetchone()[0]
    # Every acknowledged request has its row in the end, and the gateway never complained: where the copy held the
    # database for less than the 10 s that One API waits for it. After that it drops the row of a request that was
    # answered (v0.6.10, and the stand-in alike), and the backup says so.
    if float(_last(filled)["locked_seconds"]) < LONG_SECONDS:
        await_that(lambda: int(filled.ssh("gw1", count)) - others >= found.sent, "the last row, behind its answer")
        logs = filled.ssh("gw1", "docker logs --since 5m openclaw-llm-gateway 2>&1 | tail -n 2000")
        assert "database is locked" not in logs
    else:
        assert "the gateway could not write for up to" in run.output


def test_it_is_fetched_whole_for_its_owner_alone_in_little_memory(filled: Lab, tmp_path: Path) -> None:
    measured = "import resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n"
    measured += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, code)"
    used = []
    for more in ((), ("--fetch", str(tmp_path))):
        run = _backup(*more, before=(sys.executable, "-c", measured))
        peak, code = run.stdout.split()[-2:]
        assert code == "0", run.output[-3000:]
        used.append(int(peak))
    (file,) = (tmp_path / "gw1").iterdir()
    assert NAME.fullmatch(file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size > 20_000_000
    theirs = filled.ssh("gw1", f"sha256sum {BACKUPS}/{file.name}").split()[0]
    ours = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert ours == theirs
    assert used[1] - used[0] < 16 * 1024, f"KiB: {used}"


def test_a_full_disk_here_leaves_nothing_here_and_the_backup_there(filled: Lab, tmp_path: Path) -> None:
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = subprocess.run(
        [sys.executable, "deploys/backup.py", INVENTORY, "--limit", "gw1", "--fetch", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=small_disk,
    )
    run = Run(done.returncode, done.stdout, done.stderr)
    run.must_fail_with("cannot be written on this machine: File too large", "nothing of it was kept")
    assert list((tmp_path / "gw1").iterdir()) == []
    assert _last(filled)["ok"] is True
    assert _last(filled)["file"] in _names(filled)


@contextmanager
def _small_disk(lab: Lab, megabytes: int) -> Iterator[None]:
    """A disk of its own for backups/ on gw1, with an older backup on it."""
    older = f"head -c 1000 /dev/zero > {BACKUPS}/gateway-20260101T000000Z.tar.gz"
    lab.ssh("gw1", f"mkdir -p {BACKUPS} && mount -t tmpfs -o size={megabytes}m,mode=700 none {BACKUPS} && {older}")
    try:
        yield
    finally:
        lab.ssh("gw1", f"umount {BACKUPS}")


def test_a_full_disk_there_leaves_nothing_behind_and_the_gateway_serves(filled: Lab) -> None:
    with _small_disk(filled, 100):
        _backup().must_fail_with("no room: a backup of", "gateway_backup_keep")
        assert _names(filled) == ["gateway-20260101T000000Z.tar.gz"]
        assert "no room" in _last(filled)["error"]
        # And one that fills up only while the backup is written.
        for megabytes in (40, 80):
            filled.ssh("gw1", f"mount -o remount,size={megabytes}m {BACKUPS}")
            filled.ssh("gw1", "mkdir -p /root/lies && printf '#!/bin/sh\\necho; echo d 9 9 9999999\\n' > /root/lies/df")
            lying = f"chmod +x /root/lies/df; PATH=/root/lies:$PATH {DIRECTORY}/make-backup; echo code $?"
            assert filled.ssh("gw1", f"{{ {lying}; }} 2>&1").endswith("code 1")
            assert _names(filled) == ["gateway-20260101T000000Z.tar.gz"]
            last = _last(filled)
            assert last["ok"] is False
            assert any(word in last["error"] for word in ("full", "No space left")), last
        assert _serves(filled)
    filled.ssh("gw1", "rm -r /root/lies")
    assert _make(filled)["ok"] is True
