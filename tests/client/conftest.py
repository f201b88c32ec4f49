"""A well-behaved server, for all tests of the client."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_server import BODY

from tests import property_tests  # noqa: F401 - its profile

# Programs that the tests start find the client as the tests do.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[2] / "client")


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


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256  # with the usual 5, Linux resets some of 200 connections at once on a busy machine


@pytest.fixture
def server() -> Iterator[tuple[str, set[tuple[str, int]]]]:
    seen: set[tuple[str, int]] = set()
    kind = type("Counting", (Handler,), {"connections": seen})
    with Server(("127.0.0.1", 0), kind) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", seen
        running.shutdown()
