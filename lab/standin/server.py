"""The HTTP side: a thread for each connection, keep-alive, no delay, answers in one write."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from .logs import Log
from .web import Request, Response, client_ip

REQUEST_ID_HEADER = "X-Oneapi-Request-Id"
# Go states the length of an answer only up to this many bytes, unless the handler does.
GO_BUFFER = 2048
BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class App(Protocol):
    """What answers, of either flavour."""

    log: Log

    def respond(self, request: Request) -> Response:
        """The answer to a request."""

    def new_request_id(self) -> str:
        """What the answer names the request by."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on all interfaces, on IPv6 and IPv4 alike, unless given one host."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, app: App, host: str, port: int) -> None:
        self.app = app
        dual = not host and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if dual else socket.AF_INET
        super().__init__((host, port), Connection, bind_and_activate=False)
        if dual:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.server_bind()
        self.server_activate()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what went wrong; a connection that broke off is the client's affair."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.app.log.system_error(f"connection from {client_address}: {error!r}")


class Connection(BaseHTTPRequestHandler):
    """One connection and the requests that come through it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    headers: HTTPMessage

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            return
        started = time.perf_counter()
        try:
            body = self._body()
        except ValueError:
            self.send_error(400)
            self.close_connection = True
            return
        request = Request(
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=body,
            client_ip=client_ip(self.client_address[0], self.headers),
            request_id=self.server.app.new_request_id(),
        )
        response = self.server.app.respond(request)
        self._send(request, response)
        took = time.perf_counter() - started
        self.server.app.log.request(
            request.request_id, response.status, took, request.client_ip, self.command, self.path
        )

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request line is written in One API's form."""

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _send(self, request: Request, response: Response) -> None:
        headers = {"Date": formatdate(usegmt=True), **response.headers}
        if response.status not in (301, 307):  # gin redirects before its middleware runs
            headers[REQUEST_ID_HEADER] = request.request_id
        if response.status in BODILESS:
            self.wfile.write(self._head(response.status, headers))
            return
        states_length = len(response.body) <= GO_BUFFER or "Content-Length" in headers
        if response.stream is None and states_length:
            headers["Content-Length"] = str(len(response.body))
            body = b"" if self.command == "HEAD" else response.body
            self.wfile.write(self._head(response.status, headers) + body)
            return
        chunked = self.request_version == "HTTP/1.1"
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        self.close_connection = self.close_connection or not chunked
        pieces = response.stream or iter((response.body,))
        self._send_stream(self._head(response.status, headers), pieces, chunked)

    def _send_stream(self, head: bytes, pieces: Iterator[bytes], chunked: bool) -> None:
        """Send pieces as they come. When the client has gone the rest is still read, as One API does."""
        gone = not self._write(head)
        for piece in pieces:
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            gone = gone or not self._write(framed)
        if chunked and not gone:
            self._write(b"0\r\n\r\n")
        self.close_connection = self.close_connection or gone

    def _write(self, data: bytes) -> bool:
        with contextlib.suppress(OSError):
            self.wfile.write(data)
            return True
        return False

    def _head(self, status: int, headers: dict[str, str]) -> bytes:
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        lines = [f"{self.request_version} {status} {phrase}"]
        old = self.request_version == "HTTP/1.0"  # there, closing is what goes without saying
        if self.close_connection:
            headers.pop("Connection", None)
        if self.close_connection != old:
            headers["Connection"] = "keep-alive" if old else "close"
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
