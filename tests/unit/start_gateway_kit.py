"""A place where files/start-gateway can be run, with an `ip`, a `docker` and a systemd of the test's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_gateway.model.checkout import ROOT

ADDRESS = "100.64.0.10"
UID = 59300
SHOWN = "3: tailscale0    inet {}/32 scope global tailscale0\\\\       valid_lft forever preferred_lft forever"
SECRET = "SESSION_SECRET=" + "5" * 48
COMPOSE = "services:\n  oneapi:\n    image: one-api:1\n"
MOST_WAITS = 4
"""Then the test's `sleep` fails, and the script with it."""


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
    for name in ("start-gateway", "own-data", "tailscale-problem"):
        (made.directory / name).write_bytes((ROOT / "files" / name).read_bytes())
        (made.directory / name).chmod(0o755)
    with sqlite3.connect(made.directory / "data/one-api.db") as database:
        database.execute("CREATE TABLE users (id)")
        database.executemany("INSERT INTO users VALUES (?)", [(f"{number:0900}",) for number in range(50)])
    (made.directory / "first-start-done").touch()
    (made.directory / ".env").write_text(f"TAILSCALE_IP={ADDRESS}\n{SECRET}\n")
    (made.directory / "docker-compose.yml").write_text(COMPOSE)
    made.command("ip", f"echo '{SHOWN.format(ADDRESS)}'")
    made.command("tailscale", 'echo \'"BackendState": "Stopped"\'')
    made.command("systemd-notify", f'echo "${{1#--status=}}" >> {made.bin}/status')
    made.command("systemctl", "echo 0")
    made.command("nproc", "echo 2")
    made.command(
        "docker", f'echo "$*" >> {made.bin}/docker.log\n[ "$1" != compose ] || echo "$GATEWAY_CPUS" > {made.bin}/cpus'
    )
    made.at_each_wait("")
    return made
