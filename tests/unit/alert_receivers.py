"""Receivers of alarms on this machine: a web server that keeps what it got, and a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What came: `path` without a slash at its end, `login`, the header Authorization, `body`, read as JSON."""

    method: str
    path: str
    query: dict[str, list[str]]
    login: str
    body: Any


@dataclass
class Receiver:
    """A web server that takes alarms as the services do, all of them in one; `answers` by the begin of a path."""

    port: int
    got: list[Request] = field(default_factory=list)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, str]:
        """The HTTP status and the body for a request."""
        chosen = [answer for begin, answer in self.answers.items() if path.startswith(begin)]
        return chosen[-1] if chosen else (200, '{"ok": true, "code": 0, "errcode": 0, "errmsg": "ok"}')


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that listens until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            url = urlsplit(self.path)
            login = self.headers.get("Authorization", "")
            found.got.append(Request("POST", url.path.rstrip("/"), parse_qs(url.query), login, body))
            status, text = found.answer(url.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server: what it got, each as sender, recipients and the message."""

    port: int
    got: list[tuple[str, list[str], bytes]] = field(default_factory=list)


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server (SMTP without TLS and log-in) that listens until the end."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            sender, to = "", []
            self.wfile.write(b"220 localhost\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"MAIL":
                    sender = line.decode().partition("<")[2].partition(">")[0]
                elif word == b"RCPT":
                    to.append(line.decode().partition("<")[2].partition(">")[0])
                elif word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    found.got.append((sender, to, text))
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    found = Mailbox(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
