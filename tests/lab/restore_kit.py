"""A gateway of its own that is restored, cut off and damaged; what it must hold is known."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import legacy_database
from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.rows import DIRECTORY, rows

HOST = "gwre"
SCRIPT = "deploys/restore.py"
AGAIN_SECONDS = 60
"""How soon the gateway that was there has to serve again without anybody's help."""

_UNFINISHED = "/var/lib/openclaw-llm-gateway/unfinished /var/lib/openclaw-llm-gateway/undoing"


def command(*data: str) -> list[str]:
    """The arguments of pyinfra that restore on this host alone."""
    options = [part for each in (f"host={HOST}", *data) for part in ("--data", each)]
    return ["--limit", HOST, *options, INVENTORY, SCRIPT]


def restore(lab: Lab, *data: str) -> Run:
    """Restore, with these `--data`."""
    return lab.pyinfra("-y", *command(*data))


def answers(lab: Lab) -> bool:
    """Whether the gateway answers."""
    url = f"http://{lab.address(HOST)}:3000/api/status"
    return lab.command("peer", "--", "curl", "-sf", "-m", "2", url).code == 0


def await_end(lab: Lab) -> float:
    """Wait until nothing is unfinished on the host and its gateway answers. Returns the seconds that it took."""
    began = time.monotonic()
    while lab.ssh(HOST, f"ls -d {_UNFINISHED} 2>/dev/null || true") or not answers(lab):
        taken = time.monotonic() - began
        assert taken < AGAIN_SECONDS, lab.ssh(
            HOST,
            "journalctl --no-pager -n 40; ls -lAR /opt/openclaw-llm-gateway/data /opt/openclaw-llm-gateway/replaced",
        )
        time.sleep(0.2)
    return time.monotonic() - began


def add_token(lab: Lab, name: str) -> None:
    """A row that is there from now on: a token, made as a person makes one in the admin page."""
    token = lab.ssh(HOST, f"sed -n 's/^ONEAPI_ACCESS_TOKEN=//p' {DIRECTORY}/secrets.env").strip("'")
    body = json.dumps({"name": name, "expired_time": -1, "unlimited_quota": True})
    script = 'curl -s -K - -X POST -H "Content-Type: application/json" "$0"'
    config = f'header = "Authorization: {token}"\ndata = {json.dumps(body)}\n'
    url = f"http://{lab.address(HOST)}:3000/api/token/"
    answer = lab.command("peer", "--", "sh", "-c", script, url, stdin=config)
    assert json.loads(answer.stdout)["success"] is True, answer.output


def tokens(lab: Lab) -> dict[str, str]:
    """The keys of the gateway's tokens by name, as they lie in the database."""
    return {row["name"]: row["key"] for row in rows(lab, HOST)["tokens"]}


def status_of(lab: Lab, key: str) -> str:
    """The HTTP status of the list of models, asked for with a token."""
    script = 'curl -s -o /dev/null -w "%{http_code}" -m 20 -K - "$0"'
    url = f"http://{lab.address(HOST)}:3000/v1/models"
    config = f'header = "Authorization: Bearer sk-{key}"\n'
    return lab.command("peer", "--", "sh", "-c", script, url, stdin=config).stdout


def back_up(lab: Lab, host: str, to: Path) -> Path:
    """Have a host make a backup, its newest then, and bring it here."""
    run = lab.pyinfra("-y", "--limit", host, "--data", f"fetch={to}", INVENTORY, "deploys/backup.py")
    assert run.code == 0, run.output[-3000:]
    (found,) = to.rglob("gateway-*.tar.gz")
    return found


@contextmanager
def small_disk(lab: Lab) -> Iterator[None]:
    """The gateway's directory on a disk of its own, of 600 MiB, that can be filled."""
    unit = "openclaw-llm-gateway"
    lab.ssh(
        HOST,
        f"systemctl stop {unit} && cp -a {DIRECTORY} /srv/kept &&"
        f" mount -t tmpfs -o size=600m,mode=755 tmpfs {DIRECTORY} &&"
        f" cp -a /srv/kept/. {DIRECTORY} && systemctl start {unit}",
    )
    try:
        yield
    finally:
        lab.ssh(
            HOST,
            f"systemctl stop {unit} && docker rm -f {unit} && rm -f {DIRECTORY}/fill &&"
            f" cp -a {DIRECTORY}/. /srv/kept && umount {DIRECTORY} && cp -a /srv/kept/. {DIRECTORY} &&"
            f" rm -r /srv/kept && systemctl start {unit}",
        )


def fill_disk(lab: Lab, leave_mib: int) -> None:
    """Fill the gateway's disk, but for so much."""
    lab.ssh(
        HOST,
        f"cd {DIRECTORY} && {{ cat /dev/zero > fill 2>/dev/null || true; }} &&"
        f" size=$(stat -c %s fill) && truncate -s $((size - {leave_mib} * 1048576)) fill",
    )


def repacked(
    archive: Path, to: Path, change: Callable[[tarfile.TarInfo, bytes], Iterator[tuple[tarfile.TarInfo, bytes]]]
) -> Path:
    """The archive with other members: what `change` makes of each."""
    with tarfile.open(archive) as old, tarfile.open(to, "w:gz") as new:
        for member in old.getmembers():
            content = old.extractfile(member)
            assert content
            for made, data in change(member, content.read()):
                made.size = len(data)
                new.addfile(made, io.BytesIO(data))
    return to


def beside_a_live_one(data: Path, to: Path) -> None:
    """Copy people's data to a file of another name, beside a database of which a server has written a part to -wal."""
    to.parent.mkdir()
    for each in data.glob("one-api.db*"):
        (to.parent / each.name.replace("one-api.db", to.name)).write_bytes(each.read_bytes())
    spare = sqlite3.connect(to.with_name("spare.db"), isolation_level=None)
    spare.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE tokens (name TEXT);")
    for end in ("", "-wal", "-shm"):
        to.with_name(f"one-api.db{end}").write_bytes(to.with_name(f"spare.db{end}").read_bytes())
    spare.close()


def people_s_data(place: Path) -> Path:
    """A directory as people keep it, of a gateway from before: a hot journal beside the database included."""
    data = place / "data"
    (data / "logs").mkdir(parents=True)
    (data / "logs" / "oneapi.log").write_text("old words\n")
    file = data / "one-api.db"
    file.write_bytes(legacy_database.build("v0.6.0"))
    # What a killed server leaves: a transaction that was begun, and of which nothing may be seen.
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA cache_size = 1; BEGIN; UPDATE logs SET content = hex(randomblob(2000));")
    copies = {each.name: each.read_bytes() for each in data.glob("one-api.db*")}
    connection.close()
    for name, content in copies.items():
        (data / name).write_bytes(content)
    assert (data / "one-api.db-journal").stat().st_size > 0
    return data
