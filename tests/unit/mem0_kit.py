"""Models for mem0 on loopback: a chat model that extracts given facts, and an embedder."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from standin_kit import Upstream, UpstreamHandler, read_body

CHAT, EMBEDDER = "MiniMax-M2.5", "text-embedding-v4"
WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]")


class Models(Upstream):
    """A chat model that extracts `facts`, and an embedder by hashed words, so that likeness means something."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = ModelsHandler
        self.facts: list[str] = []
        self.always: int | None = None
        """The length of every vector, whatever is asked for: an embedder that ignores `dimensions`."""

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(body) for path, _, body in self.requests if path.endswith(kind)]


class ModelsHandler(UpstreamHandler):
    server: Models

    def do_POST(self) -> None:  # noqa: N802 (http.server's name)
        body = read_body(self)
        self.server.requests.append((self.path, dict(self.headers), body))
        asked = json.loads(body)
        answer = self._vectors(asked) if self.path.endswith("/embeddings") else self._facts()
        content = json.dumps({**answer, "usage": {"prompt_tokens": 3, "total_tokens": 3}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _vectors(self, asked: dict[str, Any]) -> dict[str, Any]:
        length = self.server.always or asked["dimensions"]
        rows = [{"index": i, "embedding": vector(text, length)} for i, text in enumerate(asked["input"])]
        return {"object": "list", "data": rows}

    def _facts(self) -> dict[str, Any]:
        facts = [{"id": str(i), "text": fact, "attributed_to": "user"} for i, fact in enumerate(self.server.facts)]
        message = {"role": "assistant", "content": json.dumps({"memory": facts})}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def vector(text: str, length: int) -> list[float]:
    """One dimension a word: texts with words in common are near each other."""
    numbers = [0.01] * length
    for word in WORD.findall(text.lower()):
        numbers[int(hashlib.sha256(word.encode()).hexdigest(), 16) % length] += 1.0
    return numbers


@contextmanager
def serving(server: Upstream) -> Iterator[Upstream]:
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
