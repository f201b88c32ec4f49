"""A host that is this machine: the gateway's directory below a test's own, shell commands run by sh, a stand-in."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Gateway
from llm_gateway.inputs.secrets import Generated
from llm_gateway.parts import database
from llm_gateway.tasks import reset_admin
from llm_gateway.tasks.rotation import access_renewal
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import make_node

TOOLS = [tool for tool in ("sqlite3", "python3") if shutil.which(tool)]
"""What this machine can write SQLite with; python3 is always among them."""
_COMMANDS = (
    *(
        "awk",
        "cat",
        "chmod",
        "cut",
        "date",
        "dirname",
        "find",
        "grep",
        "head",
        "install",
        "mkdir",
        "mv",
        "perl",
        "readlink",
    ),
    *("rm", "sed", "sh", "sort", "stat", "sync", "touch"),
)


class LocalHost:
    """In the place of a host with the gateway's directory `place`; `told` is what was said to the person."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, *tools: str) -> None:
        self.place = place
        self.told: list[str] = []
        self.commands: list[str] = []
        (place / "data").mkdir()
        (place / ".env").touch()
        programs = place / "programs"
        programs.mkdir()
        for command in (*_COMMANDS, *(tool for tool in tools if tool != "python3")):
            (programs / command).symlink_to(shutil.which(command) or command)
        if "python3" in tools:
            (programs / "python3").symlink_to(sys.executable)
        self._environment = {**os.environ, "PATH": str(programs)}
        monkeypatch.setattr(remote, "run", self.run)
        monkeypatch.setattr(remote, "write_now", self._write)
        monkeypatch.setattr(remote, "tell", lambda host, text, *_: self.told.append(text))
        monkeypatch.setattr(remote, "complain", lambda host, text: self.told.append(text))
        monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        self.commands.append(command)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=f"{stdin or ''}\n",
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise remote.RemoteError(done.stderr)
        return done.stdout.splitlines()

    def _write(self, host: object, path: str, content: bytes, mode: str, trial: str = "") -> None:
        Path(path).write_bytes(content)
        Path(path).chmod(int(mode, 8))

    @property
    def file(self) -> Path:
        """The database."""
        return self.place / "data" / "one-api.db"

    @property
    def backups(self) -> list[Path]:
        """What lies in the directory of backups."""
        directory = self.place / "backups"
        return sorted(directory.iterdir()) if directory.exists() else []

    def sql(self, *statements: str) -> None:
        """Carry statements out."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    def rows(self, sql: str, file: Path | None = None) -> list[tuple[Any, ...]]:
        """What the database, or a copy of it, answers."""
        connection = sqlite3.connect(file or self.file)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    @contextmanager
    def locked(self, how: str = "IMMEDIATE") -> Iterator[None]:
        """Another program that writes to the database and does not come to an end; EXCLUSIVE: nobody else can read."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        connection.execute(f"BEGIN {how}")
        try:
            yield
        finally:
            connection.close()

    def gateway(self, **answers: str) -> Gateway:
        """The gateway, as `secrets.env` on this host says; `answers` are what the host says besides."""
        container = {"State": {"Running": True, "Pid": 1}, "Config": {"Env": []}}
        secrets = self.place / "secrets.env"
        values = {**FRESH, "container": json.dumps([container]), "database_size": "4096\n", **answers}
        if secrets.exists():
            values["secrets"] = secrets.read_text()
        else:
            values["session_secret"] = "in-force"
        made = make_node(values, gateway_directory=str(self.place))
        made.gateway.generated = Generated.read(values["secrets"]) if "secrets" in values else Generated.new()
        return made.gateway

    def lead_to(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the gateway of this host be the one that listens at `url`."""

        @contextmanager
        def route(*where: object) -> Iterator[httpx.BaseTransport]:
            with httpx.HTTPTransport() as transport:
                yield _Redirected(transport, httpx.URL(url))

        for module in (reset_admin, access_renewal):
            monkeypatch.setattr(module, "route", route)


class _Redirected(httpx.BaseTransport):
    def __init__(self, transport: httpx.BaseTransport, to: httpx.URL) -> None:
        self._transport = transport
        self._to = to

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host=self._to.host, port=self._to.port)
        sent = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        return self._transport.handle_request(sent)
