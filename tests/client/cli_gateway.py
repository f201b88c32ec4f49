"""A gateway on loopback for the command line's tests: the model's name says what becomes of the request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-" + "Q7zX2mN8vB4kL1pR9tY6wE3uI5oA0sD7fG2hJ4kL6zX8cV1b"  # made up; in two, so that no scanner takes it for one
GREETING = "你好，世界 😀"
REQUEST_ID = "2026112200000000001"
# The halves of the emoji come apart, as from a gateway that cuts UTF-16.
_PIECES = ('{"content":"你好，"}', '{"content":"世界 \\ud83d"}', '{"reasoning_content":"hm"}', '{"content":"\\ude00"}')


class Gateway(ThreadingHTTPServer):
    """Keeps what it was asked; `gone` ends what hangs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.billing: dict[str, Any] = {}
        """What it tells a key of itself, by the end of the path; as One API v0.6.10 was seen to."""
        self.gone = threading.Event()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.gone.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def log_message(self, *_: object) -> None:
        """Not on the terminal of the tests."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self._error(401, f"无效的令牌 {self.headers['Authorization']}")
        elif "/billing/" in self.path:
            told = self.server.billing.get(self.path.removeprefix("/v1/dashboard/billing/"))
            self._error(404, f"Invalid URL (GET {self.path})") if told is None else self._json(told)
        else:
            self._json({"object": "list", "data": [{"id": "qwen"}, {"id": "嵌入"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        model: str = body["model"]
        if model.isdigit():
            self._error(int(model), f"no: {self.headers['Authorization']}")
        elif model.startswith("minimax-"):
            self._json({"choices": None, "base_resp": {"status_code": int(model[8:]), "status_msg": "no"}})
        elif model == "database":
            self._error(401, "令牌验证失败")
        elif model == "hang":
            self.server.gone.wait()
        elif model == "web":
            self._send(200, "text/html", b"<title>One API</title>")
        elif self.path == "/v1/embeddings":
            vector = [0.6, 0.8] if model != "zeros" else [0.0, 0.0]
            rows = [{"index": index, "embedding": vector} for index in range(len(body["input"]))]
            self._json({"data": rows})
        elif model == "broken":
            self._chunks_without_an_end()
        elif body.get("stream"):
            self._stream(model, has_usage=body.get("stream_options") == {"include_usage": True} and model != "mute")
        else:
            content = "\x1b[2Jcls\x9b" if model == "escape" else GREETING
            usage = {} if model == "mute" else {"usage": {"prompt_tokens": 1204, "completion_tokens": 52}}
            self._json({"choices": [{"message": {"content": content}, "finish_reason": "stop"}], **usage})

    def _stream(self, model: str, *, has_usage: bool) -> None:
        self._head(200, "text/event-stream")
        deltas = [*_PIECES] if model != "escape" else ['{"content":"\\u001b[2J\\tcls\\u009b\\r\\n"}']
        if model == "endless":
            self._lines_until_nobody_listens()
            return
        for delta in deltas:
            self._event(f'{{"choices":[{{"delta":{delta}}}]}}')
        if model != "cut":
            reason = "length" if model == "long" else "stop"
            self._event(f'{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}')
            if has_usage:
                self._event('{"choices":[],"usage":{"prompt_tokens":1204,"completion_tokens":52}}')
            self._event("[DONE]")

    def _lines_until_nobody_listens(self) -> None:
        try:
            while not self.server.gone.is_set():
                self._event('{"choices":[{"delta":{"content":"line\\n"}}]}')
        except OSError:
            return

    def _chunks_without_an_end(self) -> None:
        event = 'data: {"choices":[{"delta":{"content":"half"}}]}\n\n'
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def _error(self, status: int, message: str) -> None:
        self._json({"error": {"message": message, "type": "one_api_error"}}, status)

    def _json(self, found: object, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(found).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind)
        self.wfile.write(body)

    def _head(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Oneapi-Request-Id", REQUEST_ID)
        self.end_headers()
