"""`canary` on this machine: a gateway's directory below a test's own, an HTTP server, and only what it may find."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any

from llm_gateway.contents.desired import CANARY_TOKEN
from llm_gateway.inputs import alerts
from llm_gateway.inputs.secrets import Provided
from llm_gateway.model.checkout import ROOT, TAILSCALE_PROBLEM

SCRIPT = Path(__file__).parent.parent.parent / "files" / "canary"
KEY = "k" * 48
COMPLETION = b'{"object": "chat.completion", "choices": [{"message": {"content": "ok"}}]}'
_PROGRAMS = (
    *("awk", "bash", "cat", "chmod", "cmp", "date", "df", "dirname", "find", "flock", "head", "id", "mkdir", "mv"),
    *("readlink", "rm", "sed", "sh", "sha256sum", "sleep", "stat", "tail", "timeout", "tr", "uname"),
)
TABLE = 'table inet openclaw_llm_gateway {{ # progname nft\n\tflags owner,persist\n\tcomment "{}"\n}}\n'
"""What nft lists; files/hold-firewall notes the digest of the same without the program's name."""


_OF_ALERTS = ("base64", "curl", "iconv", "od")
SEND_ALERTS = SCRIPT.with_name("send-alerts")


class Canary:
    """A host with a gateway; `tool` is what it has for SQLite: "sqlite3" or "python3"."""

    def __init__(self, place: Path, tool: str) -> None:
        self.place = place / "gateway"
        self.home = place / "home"
        self.run_directory = place / "run"
        self.alerts_file = place / "alerts"
        self.answer: tuple[int, bytes] | None = (200, COMPLETION)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._programs = place / "programs"
        for directory in (self.place / "data", self.place / "backups", self.run_directory, self._programs):
            directory.mkdir(parents=True)
        for program in _PROGRAMS:
            (self._programs / program).symlink_to(shutil.which(program) or program)
        found = sys.executable if tool == "python3" else shutil.which(tool)
        (self._programs / tool).symlink_to(found or tool)
        self.stub("id", "echo 0")
        self.stub("uname", "echo gw1")
        self.slept = place / "slept"
        self.stub("sleep", f"echo >> {shlex.quote(str(self.slept))}")
        self.load_firewall("rules")
        self.properties = {
            "openclaw-llm-gateway.service": {"ActiveState": "active", "UnitFileState": "enabled", "Result": "success"},
            "docker.service": {"ActiveState": "active"},
            "openclaw-llm-gateway-firewall.service": {"ActiveState": "active"},
        }
        (self.place / "first-start-done").touch()
        shutil.copy(SCRIPT, self.place)
        shutil.copy(TAILSCALE_PROBLEM, self.place)
        shutil.copy(ROOT / "files/script-functions", self.place)
        self.stub("tailscale", 'echo \'"BackendState": "Running"\'')
        shutil.copy(SEND_ALERTS, self.place)
        for program in _OF_ALERTS:
            (self._programs / program).symlink_to(shutil.which(program) or program)
        self._alerts: tuple[str, ...] = ()
        self.write_token(CANARY_TOKEN)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.configure()

    def close(self) -> None:
        """Nothing listens any more."""
        self._server.shutdown()
        self._server.server_close()

    def listen_again(self) -> None:
        """Something listens again."""
        self._server = ThreadingHTTPServer(self._server.server_address[:2], self._handler())  # type: ignore[arg-type]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                canary.asked.append((str(self.headers["Authorization"]), body))
                if canary.answer is None:
                    return
                status, content = canary.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def write_token(self, name: str, key: str = KEY, status: int = 1) -> None:
        """The gateway's database, with one token."""
        file = self.place / "data" / "one-api.db"
        file.unlink(missing_ok=True)
        database = sqlite3.connect(file)
        database.execute("CREATE TABLE tokens (id integer PRIMARY KEY, user_id int, key text, status int, name text)")
        database.execute("INSERT INTO tokens VALUES (1, 1, ?, ?, ?)", (key, status, name))
        database.commit()
        database.close()

    def stub(self, name: str, script: str) -> None:
        """Let a program of the host do something else."""
        file = self._programs / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def load_firewall(self, rules: str) -> None:
        """As hold-firewall does; the kernel has what was loaded."""
        self.has_firewall(rules)
        loaded = self.run_directory / "openclaw-llm-gateway-firewall" / "loaded"
        loaded.parent.mkdir(exist_ok=True)
        told = hashlib.sha256(TABLE.format(rules).replace(" # progname nft", "").encode()).hexdigest()
        loaded.write_text(f"{told}  -\n")

    def has_firewall(self, rules: str) -> None:
        """What the kernel has, whatever was loaded."""
        self.stub(
            "nft",
            f'[ "$*" = "-s list table inet openclaw_llm_gateway" ] && printf %s {shlex.quote(TABLE.format(rules))}',
        )

    def send_alerts(self, secrets: Mapping[str, str], language: str = "en") -> None:
        """Let alarms go to destinations KIND:KIND, whose secrets these are by kind; see `configure`."""
        found = [alerts.destination(f"{kind}:{kind}", Provided(None, secrets)) for kind in secrets]
        fields = ((each.name, each.url, each.to, each.login, each.extra) for each in found)
        text = f"language={language}\ndestinations=({shlex.join(chain.from_iterable(fields))})\n"
        (self.place / "alerts.conf").write_text(text)
        self._alerts = tuple(each.name for each in found)

    def configure(self, **values: object) -> None:
        """canary.conf, with these values in place of the defaults."""
        conf = {
            "address": "127.0.0.1",
            "port": self._server.server_address[1],
            "body": json.dumps({"model": "m 'x'", "max_tokens": 1}),
            "failures": 3,
            "command": f'printf \'%s|%s\\n\' "$1" "$2" >> {shlex.quote(str(self.alerts_file))}',
            "metrics": self.home / "metrics",
            "home": self.home,
            "run": self.run_directory,
            **values,
        }
        text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in conf.items())
        text += f"alerts=({shlex.join(self._alerts)})\n"
        (self.place / "canary.conf").write_text(text)

    def look(self) -> subprocess.CompletedProcess[str]:
        """Let it look once, to its end."""
        lines = [
            f"{shlex.quote(f'{unit} --property={name}')}) echo {shlex.quote(value)} ;;"
            for unit, known in self.properties.items()
            for name, value in known.items()
        ]
        blocks = [
            "".join(f"{name}={value}\n" for name, value in {**known, "Id": unit}.items())
            for unit, known in self.properties.items()
        ]
        every = f"*' -p '*) printf %s {shlex.quote(chr(10).join(blocks))}; exit ;;"
        self.stub("systemctl", f'case "$*" in {every} esac\ncase "$2 $3" in\n' + "\n".join(lines) + "\nesac")
        return subprocess.run(
            [str(self._programs / "bash"), str(self.place / "canary")],
            env={"PATH": str(self._programs)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def must_look(self) -> str:
        """The same; it succeeds. Returns what it said."""
        done = self.look()
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def alerts(self) -> list[tuple[str, str]]:
        """What the alert command was called with."""
        text = self.alerts_file.read_text() if self.alerts_file.exists() else ""
        return [(line.partition("|")[0], line.partition("|")[2]) for line in text.splitlines()]

    @property
    def results(self) -> list[dict[str, Any]]:
        """canary.jsonl."""
        file = self.home / "canary.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def hours(self) -> list[str]:
        """The lines of canary-hours."""
        return (self.home / "canary-hours").read_text().splitlines()

    @property
    def state(self) -> list[str]:
        """The lines of canary.state."""
        return (self.home / "canary.state").read_text().splitlines()

    @property
    def metrics(self) -> str:
        """The metrics."""
        return (self.home / "metrics" / "openclaw_llm_gateway.prom").read_text()
