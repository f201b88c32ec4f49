"""A well-behaved server, for all tests of the client."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from raw_server import BODY


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.connections.add(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, set[tuple[str, int]]]]:
    seen: set[tuple[str, int]] = set()
    kind = type("Counting", (Handler,), {"connections": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", seen
        running.shutdown()
