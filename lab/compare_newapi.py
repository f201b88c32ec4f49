"""Ask a real new-api v1.0.0-rc.15 and the lab's stand-in the same questions, and show where they differ.

By hand, where somebody has the real one: start both in empty directories with ``CRITICAL_RATE_LIMIT=1000
SEARCH_RATE_LIMIT=1000 GLOBAL_API_RATE_LIMIT=10000``, and the stand-in by ``PYTHONPATH=lab python -m
standin.newapi``; then ``python -m lab.compare_newapi http://127.0.0.1:3001 http://127.0.0.1:3002``. It ends with 1
where they differ.
"""

import difflib
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

PASSWORD = "a-long-password"
SET_UP = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
USER = {"role": "user", "content": "hi"}
CHAT, EMBEDDINGS, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/v1/responses"
# What differs from one run to the next.
_CHANGING = (
    (r"\d{15,23}[0-9a-f]{8}[0-9A-Za-z]{8}", "REQUEST"),
    (r"\b1[6-9]\d{8}\b(?<!1600000000)", "TIME"),
    (r"[0-9A-Za-z]{4}\*{10}[0-9A-Za-z]{4}", "MASKED"),
    (r'"[0-9A-Za-z]{48}"', '"KEY"'),
    (r'"data":"[0-9A-Za-z+/=]{28,32}"', '"data":"ACCESS"'),
    (r'"(time|response_time)":[0-9.]+', r'"\1":T'),
    (r'("(?:id|total)":)\d+', r"\1N"),  # the real one logs more than the stand-in does
    (r"http://127\.0\.0\.1:\d+", "UPSTREAM"),
)
REPLIES = {
    "err401": (401, '{"error":{"message":"see https://a.example.com/k","type":"auth","code":"invalid_api_key"}}'),
    "err429": (429, '{"error":{"message":"slow down","type":"rate_limit","code":null}}'),
    "html": (502, "<h1>bad</h1>"),
    "words": (400, '{"message":"plain words"}'),
    "err200": (200, '{"error":{"message":"inner","type":"t","code":"c"}}'),
    "text": (200, "hello"),
}
ADMIN: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/api/setup", SET_UP),
    ("PUT", "/api/user/self", {"password": "another-password"}),
    ("PUT", "/api/user/", {"id": 1, "password": "abc"}),
    ("PUT", "/api/user/", {"id": 77, "password": "another-password"}),
    ("GET", "/api/user/self", None),
    ("POST", "/api/user/manage", {"id": 1, "action": "add_quota", "mode": "override", "value": 5 * 10**14}),
    ("POST", "/api/user/manage", {"id": 1, "action": "add_quota", "mode": "add", "value": 0}),
    ("PUT", "/api/option/", {"key": "my.own", "value": 3}),
    ("PUT", "/api/option/", {"key": "ModelRatio", "value": "{x"}),
    ("PUT", "/api/option/", {"key": "ModelRatio", "value": '{"priced":2}'}),
    ("PUT", "/api/option/", {"key": "GroupRatio", "value": '{"default":-1}'}),
    ("PUT", "/api/option/", {"key": "AutomaticRetryStatusCodes", "value": "500-400"}),
    ("PUT", "/api/option/", {"key": "theme.frontend", "value": "x"}),
    ("PUT", "/api/option/", {"key": "oidc.enabled", "value": True}),
    ("PUT", "/api/option/", {"key": "performance_setting.monitor_enabled", "value": False}),
    ("POST", "/api/channel/", {"type": 1, "key": "k", "name": "bare", "models": "m"}),
    ("POST", "/api/channel/", {"mode": "other", "channel": {"type": 1, "key": "k", "name": "n", "models": "m"}}),
    ("POST", "/api/channel/", {"mode": "single", "channel": {"type": "1", "key": "k"}}),
    ("GET", "/api/channel/?p=1&page_size=200", None),
    ("GET", "/api/channel/search?keyword=one", None),
    ("GET", "/api/channel/999", None),
    ("PUT", "/api/channel/", {"id": 1, "priority": 3}),
    ("PUT", "/api/channel/", {"id": 1, "name": "", "models": ""}),
    ("PUT", "/api/channel/", {"id": 999, "status": 1}),
    ("DELETE", "/api/channel/999", None),
    ("POST", "/api/channel/1/status", {"status": 2}),
    ("POST", "/api/channel/1/key", {}),
    ("GET", "/api/channel/test/1?model=priced", None),
    ("GET", "/api/log/?type=2", None),
    ("GET", "/api/channel/test/1?model=unpriced", None),
    ("PUT", "/api/option/", {"key": "ModelRatio", "value": '{"priced":2,"err429":1}'}),
    ("GET", "/api/channel/test/1?model=err429", None),
    ("POST", "/api/token/", {"name": "x" * 51}),
    ("POST", "/api/token/", {"name": "negative", "remain_quota": -1}),
    ("POST", "/api/token/", {"name": "large", "remain_quota": 5 * 10**14 + 1}),
    ("GET", "/api/token/?p=1&page_size=100", None),
    ("GET", "/api/token/search?keyword=t", None),
    ("GET", "/api/token/999", None),
    ("POST", "/api/token/1/key", None),
    ("POST", "/api/token/batch/keys", {"ids": [1, 999]}),
    ("POST", "/api/token/batch/keys", {"ids": []}),
    ("POST", "/api/token/batch/keys", {"ids": list(range(101))}),
    ("PUT", "/api/token/", {"id": 999, "unlimited_quota": True}),
    ("DELETE", "/api/token/999", None),
    ("GET", "/api/log/?type=2&page_size=2", None),
    ("GET", "/api/nothing", None),
    ("GET", "/api/channel", None),
)
"""With root's access token, in this order."""
RELAYED: tuple[tuple[str, Any], ...] = (
    *((CHAT, {"model": name, "messages": [USER]}) for name in ("priced", "unpriced", "asked", "nobody", "", *REPLIES)),
    (CHAT, {"model": "priced", "messages": []}),
    (CHAT, {"model": 5}),
    (CHAT, {"model": "priced", "messages": "x"}),
    (CHAT, {"model": "priced", "messages": [USER], "max_tokens": -1}),
    (CHAT, {"model": "priced", "messages": [USER], "thinking_budget": 1, "enable_thinking": None, "service_tier": "x"}),
    (CHAT, {"model": "priced", "messages": [USER], "stream": True, "stream_options": {"include_usage": False}}),
    (EMBEDDINGS, {"model": "priced", "input": ["a"], "dimensions": 2, "unknown": 1}),
    (EMBEDDINGS, {"model": "priced"}),
    (RESPONSES, {"model": "priced", "input": "hi", "unknown": 1}),
    (MESSAGES, {"model": "priced", "messages": [USER], "system": "s"}),
    (MESSAGES, {"model": "err429", "messages": [USER], "max_tokens": 1}),
)
PASSED = tuple((path, {**body, "unknown": 1}) for path, body in RELAYED if body["model"] == "priced" and len(body) > 1)
"""By a channel that passes the caller's bytes on."""


class _Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Upstream

    def do_POST(self) -> None:
        body = b"".join(self._pieces()).decode()
        self.server.seen.append(f"{self.path} {body}")
        asked = json.loads(body)
        status, text = REPLIES.get(asked["model"]) or (200, _plain(self.path, asked))
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.end_headers()
        self.wfile.write(text.encode())

    def _pieces(self) -> Iterator[bytes]:
        """The body, which comes in chunks where it is passed on."""
        if length := self.headers["Content-Length"]:
            yield self.rfile.read(int(length))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _plain(path: str, asked: dict[str, Any]) -> str:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    if path == EMBEDDINGS:
        return json.dumps({"object": "list", "data": [{"embedding": [0.5]}], "usage": usage})
    if asked.get("stream"):
        chunks = [{"choices": [{"index": 0, "delta": {"content": "hi"}}]}, {"choices": [], "usage": usage}]
        return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "model": asked["model"], "choices": [choice], "usage": usage})


def answers(base: str) -> Iterator[str]:
    """Set a fresh gateway up, ask it everything, and give each answer as text, less what changes from run to run."""
    upstream = _Upstream()
    client = httpx.Client(base_url=base, trust_env=False, timeout=60)
    yield _shown("status before", client.get("/api/setup"))
    for change in ({"username": "a" * 13}, {"confirmPassword": "x"}, {"password": "x", "confirmPassword": "x"}, {}):
        yield _shown(f"set-up {change}", client.post("/api/setup", json={**SET_UP, **change}))
    yield _shown("log-in", client.post("/api/user/login", json={"username": "root", "password": "wrong"}))
    cookie = client.post("/api/user/login", json={"username": "root", "password": PASSWORD}).headers["set-cookie"]
    session = {"Cookie": cookie.partition(";")[0], "New-Api-User": "1"}
    client.cookies.clear()
    token = client.get("/api/user/token", headers=session).json()["data"]
    own = {"Authorization": token, "New-Api-User": "1"}
    for name, headers in (("nobody", {}), ("no id", {"Authorization": token}), ("wrong", {**own, "New-Api-User": "7"})):
        yield _shown(name, client.get("/api/user/self", headers=headers))
    models = ",".join(("priced", "unpriced", "asked", *REPLIES))
    channel = {"type": 1, "key": "k", "name": "one", "models": models, "group": "default", "base_url": upstream.url}
    channel["model_mapping"] = '{"asked":"called"}'
    yield _shown("channel", client.post("/api/channel/", json={"mode": "single", "channel": channel}, headers=own))
    made = client.post("/api/token/", json={"name": "t1", "unlimited_quota": True}, headers=own)
    yield _shown("token", made)
    key = client.post("/api/token/1/key", headers=own).json()["data"]["key"]
    for method, path, body in ADMIN:
        yield _shown(f"{method} {path} {body}", client.request(method, path, json=body, headers=own))
    for setting, asked in (("{}", RELAYED), ('{"pass_through_body_enabled":true}', PASSED)):
        client.put("/api/channel/", json={"id": 1, "setting": setting}, headers=own)
        for path, body in asked:
            answer = client.post(path, json=body, headers={"Authorization": f"Bearer sk-{key}"})
            yield _shown(f"{setting} {path} {body}", answer)
            yield from (f"  upstream got {text}" for text in upstream.seen)
            upstream.seen.clear()
    for bad in (f"sk-{key}-999", "sk-wrong"):
        yield _shown("key", client.post(CHAT, json=RELAYED[0][1], headers={"Authorization": bad}))
    for more in ({"Authorization": f"Bearer {key}"}, {"x-api-key": key, "anthropic-version": "2023-06-01"}):
        yield _shown(f"models, {list(more)}", client.get("/v1/models", headers=more))
    client.put("/api/token/", json={"id": 1, "unlimited_quota": True, "model_limits_enabled": True}, headers=own)
    for used in (key, f"{key}-1"):
        answer = client.post(CHAT, json=RELAYED[0][1], headers={"Authorization": f"Bearer {used}"})
        yield _shown(f"limited, suffix: {used != key}", answer)
    upstream.shutdown()
    client.close()


def _shown(question: str, answer: httpx.Response) -> str:
    text = answer.text.replace("-stand-in", "")
    for pattern, name in _CHANGING:
        text = re.sub(pattern, name, text)
    return f"{question[:200]}\n  {answer.status_code} {answer.headers.get('content-type')} {text}"


def main() -> int:
    """Compare the two addresses of the command line; print a diff of their answers."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    real, stand_in = ([line for answer in answers(base) for line in answer.splitlines()] for base in sys.argv[1:])
    found = list(difflib.unified_diff(real, stand_in, "real", "stand-in", lineterm="", n=1))
    print("\n".join(found) or f"no difference in {len(real)} lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
