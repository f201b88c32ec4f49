"""A stand-in in a thread, an upstream that answers as told, and what tests say to them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from lab.standin.app import App
from lab.standin.config import load_config
from lab.standin.encoders import ENCODERS, Encoder

ACCESS_TOKEN = "a" * 32
RELAY_KEY = "K" * 48
CONTENTS = {encoder.cache_name: encoder.name.encode() for encoder in ENCODERS}
FAKE_ENCODERS = tuple(Encoder(e.name, e.model, hashlib.sha256(CONTENTS[e.cache_name]).hexdigest()) for e in ENCODERS)
Reply = tuple[int, str, bytes]
EMBEDDING = {"object": "list", "data": [{"embedding": [0.5, 0.5]}], "usage": {}}


class Upstream(ThreadingHTTPServer):
    """Records requests; `replies` gives an answer to a model, others get a plain one; `before` is called ahead."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.replies: dict[str, Reply] = {}
        self.before: dict[str, Callable[[], object]] = {}
        self.more_headers: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, as the stand-in sends it: in chunks where it passes one on."""
    return b"".join(_pieces(handler))


def _pieces(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    if length := handler.headers["Content-Length"]:
        yield handler.rfile.read(int(length))
        return
    while size := int(handler.rfile.readline(), 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()


class UpstreamHandler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        body = read_body(self)
        self.server.requests.append((self.path, dict(self.headers), body))
        asked = json.loads(body or b"{}")
        self.server.before.get(asked.get("model", ""), lambda: None)()
        status, kind, content = self.server.replies.get(asked.get("model", "")) or plain(self.path, asked)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in {"X-Upstream": "seen", **self.server.more_headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def plain(path: str, asked: dict[str, Any]) -> Reply:
    """What a well-behaved upstream answers."""
    if path.endswith("embeddings"):
        return 200, "application/json", json.dumps(EMBEDDING).encode()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    if asked.get("stream"):
        events = [
            {"choices": [{"delta": {"content": "hel"}}]},
            {"choices": [], "usage": None},
            {"choices": [{"delta": {"content": "lo"}}]},
            {"choices": [], "usage": usage},
        ]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return 200, "text/event-stream", text.encode()
    answer = {"choices": [{"message": {"role": "assistant", "content": "hello"}}], "usage": usage}
    return 200, "application/json", json.dumps(answer).encode()


class Gateway:
    """A running stand-in, its directory, and short ways to call it."""

    def __init__(self, directory: Path, **env: str) -> None:
        self.directory = directory
        base = {
            "INITIAL_ROOT_TOKEN": RELAY_KEY,
            "INITIAL_ROOT_ACCESS_TOKEN": ACCESS_TOKEN,
            "TIKTOKEN_CACHE_DIR": "tiktoken",
            "GLOBAL_API_RATE_LIMIT": "0",
            "GLOBAL_WEB_RATE_LIMIT": "0",
            "PORT": "0",
        }
        (directory / "tiktoken").mkdir(exist_ok=True)
        for name, content in CONTENTS.items():
            (directory / "tiktoken" / name).write_bytes(content)
        self.app = App(load_config({**base, **env}, directory), FAKE_ENCODERS)
        self.server = self.app.listen("127.0.0.1")
        self._thread = threading.Thread(target=lambda: self.server.serve_forever(0.02))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def stop(self) -> None:
        self.client.close()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
        self.app.close()

    def api(self, method: str, path: str, body: object = None, token: str = ACCESS_TOKEN) -> Any:
        """The JSON of an admin call, made with an access token."""
        headers = {"Authorization": token} if token else {}
        return self.client.request(method, path, json=body, headers=headers).json()

    def ok(self, method: str, path: str, body: object = None, token: str = ACCESS_TOKEN) -> Any:
        """The data of an admin call that has to succeed."""
        answer = self.api(method, path, body, token)
        assert answer["success"], answer
        return answer.get("data")

    def login(self, username: str, password: str, ip: str = "10.0.0.1") -> httpx.Response:
        body = {"username": username, "password": password}
        return self.post("/api/user/login", body, {"X-Forwarded-For": ip})

    def post(self, path: str, body: object, headers: dict[str, str]) -> httpx.Response:
        """A POST whose cookies are not kept."""
        answer = self.client.post(path, json=body, headers=headers)
        self.client.cookies.clear()
        return answer

    def add_channel(self, name: str, models: str, url: str, **more: Any) -> int:
        """Make a channel and find its id, as a provisioner must."""
        body = {"type": 1, "key": f"sk-{name}", "name": name, "models": models, "base_url": url}
        self.ok("POST", "/api/channel/", {**body, **more})
        return int(self.ok("GET", f"/api/channel/search?keyword={name}")[-1]["id"])

    def add_user(self, name: str, role: int = 1, quota: int = 0) -> dict[str, Any]:
        """Make a user and give its row, access token included."""
        self.ok("POST", "/api/user/", {"username": name, "password": "password-1"})
        user = self.ok("GET", f"/api/user/search?keyword={name}")[0]
        self.ok("PUT", "/api/user/", {**user, "role": role, "quota": quota, "password": ""})
        return self.ok("GET", f"/api/user/{user['id']}")

    def relay(self, path: str, body: object, key: str = RELAY_KEY, **headers: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer sk-{key}", **headers}
        return self.client.post(path, json=body, headers=headers)

    def chat(self, model: str, key: str = RELAY_KEY, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.relay("/v1/chat/completions", body, key)

    def log_text(self) -> str:
        return "".join(path.read_text() for path in (self.directory / "logs").iterdir())


def wait_for(find: Callable[[], Any], seconds: float = 5) -> Any:
    """Poll until `find` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
    return found


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error object, whose text has to end in the answer's request id."""
    error = answer.json()["error"]
    suffix = f" (request id: {answer.headers['x-oneapi-request-id']})"
    assert error["message"].endswith(suffix)
    return {**error, "message": error["message"].removesuffix(suffix)}


def new_token(gateway: Gateway, **fields: Any) -> dict[str, Any]:
    return dict(gateway.ok("POST", "/api/token/", {"name": "t", "unlimited_quota": True, **fields}))


def new_key(gateway: Gateway, **fields: Any) -> str:
    return str(new_token(gateway, **fields)["key"])
