"""`make-backup` on this machine: a gateway's directory below a test's own, and only the programs that it may find."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from llm_gateway.hosts import other_databases, tables
from llm_gateway.parts.backups.archive import MANIFEST, Manifest

SCRIPT = Path(__file__).parent.parent.parent / "files" / "make-backup"
_PROGRAMS = (
    *("awk", "basename", "bash", "cat", "chmod", "cmp", "cp", "date", "df", "dirname", "find", "flock", "grep", "gzip"),
    *("head", "id", "install", "ionice", "ls", "mkdir", "mktemp", "mv", "paste", "readlink", "renice", "rm", "sed"),
    *("sh", "sha256sum", "sort", "stat", "sync", "tail", "tar", "timeout", "tr", "uname", "wc"),
)


class Backups:
    """A host with a gateway's directory; `tool` is what it has for SQLite: "sqlite3", "python3" or ""."""

    def __init__(self, place: Path, tool: str) -> None:
        self.place = place / "gateway"
        self.directory = self.place / "backups"
        self._programs = place / "programs"
        self._programs.mkdir()
        for name in _PROGRAMS:
            (self._programs / name).symlink_to(shutil.which(name) or name)
        self.stub("id", "echo 0")
        self.stub("docker", 'case $* in *Config.Image*) echo "one-api:v1 sha256:1234" ;; esac')
        if tool:
            found = sys.executable if tool == "python3" else shutil.which(tool)
            (self._programs / tool).symlink_to(found or tool)
        (self.place / "data").mkdir(parents=True)
        shutil.copy(SCRIPT, self.place)
        shutil.copy(other_databases.SCRIPT, self.place)
        for name in ("own-backups", "script-functions"):
            shutil.copy(SCRIPT.with_name(name), self.place)
        (self.place / "read-tables").write_bytes(tables.program())
        (self.place / "read-tables").chmod(0o755)
        (self.place / "secrets.env").write_text("ONEAPI_ACCESS_TOKEN=secret\n")
        self.write_rows(100)

    @property
    def database(self) -> Path:
        """The gateway's."""
        return self.place / "data" / "one-api.db"

    def write_rows(self, number: int, *before: str) -> None:
        """Add rows to the table `logs`; `before` are statements that come first."""
        connection = sqlite3.connect(self.database, isolation_level=None)
        for statement in before:
            connection.execute(statement)
        connection.execute("CREATE TABLE IF NOT EXISTS logs (content text)")
        connection.execute('CREATE TABLE IF NOT EXISTS "od""d; |\\name" (a)')
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO logs VALUES (?)", [("x" * 100,)] * number)
        connection.execute("COMMIT")
        connection.close()

    def stub(self, name: str, script: str) -> None:
        """Let a program of the host do something else."""
        file = self._programs / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def configure(self, **values: object) -> None:
        """backup.conf, with these values in place of the defaults; quoted by the caller."""
        (self.place / "backup.conf").write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def start(self, reason: str = "a test") -> subprocess.Popen[str]:
        """`make-backup`, running, at the head of a process group."""
        # PATH is all that it finds: /usr/sbin and /sbin, which it adds, are shadowed or empty of what matters.
        return subprocess.Popen(
            [str(self._programs / "bash"), str(self.place / "make-backup"), reason],
            env={"PATH": str(self._programs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, reason: str = "a test") -> subprocess.CompletedProcess[str]:
        """`make-backup`, to its end."""
        with self.start(reason) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def make(self, reason: str = "a test") -> Path:
        """The archive that it makes."""
        done = self.run(reason)
        assert done.returncode == 0, done.stderr
        return self.directory / str(json.loads(done.stdout)["file"])

    def fails(self) -> str:
        """What it says when it must fail; last.json tells the same."""
        done = self.run()
        assert done.returncode == 1, done
        assert done.stdout == ""
        last = self.last()
        assert last["ok"] is False
        assert last["error"] in done.stderr
        return done.stderr

    def last(self) -> dict[str, Any]:
        """last.json."""
        found: dict[str, Any] = json.loads((self.directory / "last.json").read_text().splitlines()[0])
        return found

    def names(self) -> list[str]:
        """What lies in backups/, but for the lock, the outcome and what the command has said."""
        return sorted({path.name for path in self.directory.iterdir()} - {".lock", "last.json", ".command.log"})


def members(archive: Path) -> dict[str, bytes]:
    """What an archive holds, in its order."""
    with tarfile.open(archive) as opened:
        return {entry.name: (opened.extractfile(entry) or sys.exit()).read() for entry in opened}


def manifest(archive: Path) -> Manifest:
    """Its manifest."""
    return Manifest.parse(members(archive)[MANIFEST].decode())


def rows(archive: Path, place: Path) -> int:
    """The rows of `logs` in an archive whose database is whole."""
    file = place / "unpacked.db"
    file.write_bytes(members(archive)["one-api.db"])
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT count(*) FROM logs").fetchone()[0])
    finally:
        connection.close()
