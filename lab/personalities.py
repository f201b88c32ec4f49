"""Upstreams as strict as the providers are: a server that is, at each path, another provider's model.

`http://HOST:PORT/minimax` is a base URL that behaves as MiniMax does, whatever model it is asked for, and
`/minimax-1008` one that always refuses with that code. PERSONALITIES has them all, with the source of each rule.

The upstream's container runs it beside the real model (``python -m lab upstream`` prints the addresses), tests run it
in their own process. It needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8081
Body = dict[str, Any]
Rule = Callable[[Body], "Refusal | None"]
"""What a model says to a request that it does not take; None for one that it takes."""


@dataclass(frozen=True)
class Refusal:
    """An HTTP status and a body that is no completion."""

    status: int
    body: Body


@dataclass(frozen=True)
class Personality:
    """How one provider's model behaves.

    Attributes:
        source: where its rules are told.
        rules: asked one after the other; the first refusal is the answer.
        message: what it says, in the fields in which its provider puts it.
        finish: its finish_reason.
        extra: what stands beside the choices.
        wrong_key: its answer to another key than the lab's.
    """

    source: str
    rules: tuple[Rule, ...] = ()
    message: Body = field(default_factory=lambda: {"content": "Blue."})
    finish: str = "stop"
    extra: Body = field(default_factory=dict)
    wrong_key: Refusal | None = None


def openai_error(status: int, message: str, kind: str = "invalid_request_error", code: object = None) -> Refusal:
    """A refusal in OpenAI's shape."""
    return Refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def minimax_error(code: int, message: str) -> Refusal:
    """A refusal as MiniMax makes it: HTTP 200, and choices that are null."""
    return Refusal(200, {"choices": None, "base_resp": {"status_code": code, "status_msg": message}})


def _minimax_temperature(body: Body) -> Refusal | None:
    value = body.get("temperature", 1)
    return None if 0 < value <= 1 else minimax_error(2013, "invalid params, temperature must be in (0, 1]")


def _no_max_tokens(body: Body) -> Refusal | None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    return openai_error(400, message, code="unsupported_parameter") if "max_tokens" in body else None


def _openai_temperature(body: Body) -> Refusal | None:
    value = body.get("temperature", 1)
    message = (
        f"Unsupported value: 'temperature' does not support {value} with this model."
        " Only the default (1) value is supported."
    )
    return None if value == 1 else openai_error(400, message, code="unsupported_value")


def _kimi_temperature(body: Body) -> Refusal | None:
    message = "invalid temperature: only 1 is allowed for this model"
    return None if body.get("temperature", 1) == 1 else openai_error(400, message)


def _thinks_in_streams(message: str) -> Rule:
    def rule(body: Body) -> Refusal | None:
        is_fine = body.get("stream") or body.get("enable_thinking") is False
        return None if is_fine else openai_error(400, message, code="invalid_parameter_error")

    return rule


def _always_thinks(body: Body) -> Refusal | None:
    message = "The value of the enable_thinking parameter is restricted to True."
    is_fine = body.get("enable_thinking") in (None, True)
    return None if is_fine else openai_error(400, message, code="invalid_parameter_error")


def _only_streams(body: Body) -> Refusal | None:
    message = "This model only support stream mode, please enable the stream parameter to access the model. "
    return None if body.get("stream") else openai_error(400, message, code="invalid_parameter_error")


def _wants_max_tokens(body: Body) -> Refusal | None:
    return None if body.get("max_tokens") else openai_error(400, "max_tokens: Field required")


def _ten_texts(body: Body) -> Refusal | None:
    texts = body.get("input")
    message = "batch size is invalid, it should not be larger than 10.: input.contents"
    too_many = isinstance(texts, list) and len(texts) > 10
    return openai_error(400, message, code="InvalidParameter") if too_many else None


_HELD = "Think until you may answer."
_LONGEST_SECONDS = 300
_OPENAI_WRONG_KEY = openai_error(401, "Incorrect API key provided", code="invalid_api_key")
_MINIMAX_WRONG_KEY = minimax_error(2049, "invalid api key")
_DASHSCOPE_WRONG_KEY = openai_error(401, "Incorrect API key provided. ", code="invalid_api_key")
_THINKING = {"content": "Blue.", "reasoning_content": "The sky scatters blue light."}
_MUST_BE_FALSE = "parameter.enable_thinking must be set to false for non-streaming calls"
_CODES = {
    "minimax": {
        1002: "rate limit",
        1004: "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
        1008: "insufficient balance",
        1039: "token limit",
        2049: "invalid api key",
    },
    "openrouter": {401: "User not found.", 402: "Insufficient credits", 429: "Rate limit exceeded"},
}

PERSONALITIES: dict[str, Personality] = {
    "plain": Personality("a model that takes everything"),
    "minimax": Personality(
        "MiniMax's chat reference: temperature in (0, 1]; errors in HTTP 200 (MiniMax-AI/MiniMax-M2.5#18)",
        (_minimax_temperature,),
        {"content": "<think>\nA simple question.\n</think>\n\nBlue.", "name": "MiniMax AI", "audio_content": ""},
        extra={"base_resp": {"status_code": 0, "status_msg": ""}},
        wrong_key=_MINIMAX_WRONG_KEY,
    ),
    "dashscope": Personality("DashScope's embeddings: ten texts", (_ten_texts,), wrong_key=_DASHSCOPE_WRONG_KEY),
    "qwen-thinking": Personality(
        "langchain4j#3974, new-api#1109",
        (_thinks_in_streams(_MUST_BE_FALSE),),
        _THINKING,
        wrong_key=_DASHSCOPE_WRONG_KEY,
    ),
    "qwen-thinking-only": Personality(
        "DashScope's qwen3-…-thinking-2507, which cannot but think",
        (_always_thinks, _thinks_in_streams(_MUST_BE_FALSE)),
        _THINKING,
        wrong_key=_DASHSCOPE_WRONG_KEY,
    ),
    "modelscope-thinking": Personality(
        "claude-code-router#948", (_thinks_in_streams("enable thinking can not be support when `stream=False`."),)
    ),
    "qwq": Personality("ragflow#5912", (_only_streams,), _THINKING, wrong_key=_DASHSCOPE_WRONG_KEY),
    "gpt-5": Personality("9router#560", (_no_max_tokens, _openai_temperature)),
    "gpt-5-cut": Personality(
        "OpenAI's guide to reasoning models: cut while it thought, of which nothing is shown",
        (_no_max_tokens, _openai_temperature),
        {"content": "", "refusal": None, "annotations": []},
        finish="length",
    ),
    "kimi": Personality(
        "nofx#1415",
        (_kimi_temperature,),
        wrong_key=openai_error(401, "Invalid Authentication", "invalid_authentication_error"),
    ),
    "claude": Personality("opencode-mem#50", (_wants_max_tokens,)),
    "reasoner": Personality(
        "DeepSeek's guide to reasoning models",
        message={"content": "", "reasoning_content": "The sky is", "tool_calls": None},
        finish="length",
    ),
    "openrouter": Personality(
        "OpenRouter's guide to reasoning tokens",
        message={
            "content": None,
            "reasoning": "The sky is",
            "reasoning_details": [{"type": "reasoning.text", "text": "The sky is", "index": 0}],
        },
        finish="length",
    ),
    "magistral": Personality(
        "Mistral's guide to reasoning: content in parts",
        message={
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "The sky is"}]},
                {"type": "text", "text": "Blue."},
            ]
        },
    ),
    "empty": Personality("a model that says nothing", message={"content": "", "tool_calls": []}),
    **{
        f"{provider}-{code}": Personality("always refuses so, in HTTP 200", (lambda _, answer=answer: answer,))  # type: ignore[misc]
        for provider, codes in _CODES.items()
        for code, message in codes.items()
        for answer in [
            minimax_error(code, message)
            if provider == "minimax"
            else Refusal(200, {"error": {"code": code, "message": message}})
        ]
    },
}


class Personalities(ThreadingHTTPServer):
    """The server; `asked` has the personality, the path and the body of each request, in their order.

    What is to "Think until you may answer." is answered once /go-on was asked for, or after five minutes.
    `default` is what it is where the path names no personality.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, key: str, default: str = "plain") -> None:
        self.key = key
        self.default = default
        self.asked: list[tuple[str, str, Body]] = []
        self._gone_on = 0
        self._going_on = threading.Condition()
        super().__init__((host, port), _Handler)

    def go_on(self) -> None:
        """Answer what was held."""
        with self._going_on:
            self._gone_on += 1
            self._going_on.notify_all()

    def hold(self) -> None:
        """Wait for the next `go_on`."""
        with self._going_on:
            before = self._gone_on
            self._going_on.wait_for(lambda: self._gone_on > before, _LONGEST_SECONDS)

    @property
    def base_url(self) -> str:
        """Where it is; a personality's own base URL has its name behind a slash."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Personalities
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/asked":
            self._send(200, {"asked": self.server.asked})
            return
        if self.path == "/go-on":
            self.server.go_on()
        self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in PERSONALITIES]})

    def do_POST(self) -> None:
        body = json.loads(self._body())
        name, _, path = self.path.lstrip("/").partition("/")
        if name == "v1":
            name, path = self.server.default, f"{name}/{path}"
        self.server.asked.append((name, path, body))
        personality = PERSONALITIES.get(name)
        if personality is None:
            self._refuse(openai_error(404, f"no such personality: {name}"))
        elif self.headers["Authorization"] != f"Bearer {self.server.key}":
            self._refuse(personality.wrong_key or _OPENAI_WRONG_KEY)
        elif refusal := next(filter(None, (rule(body) for rule in personality.rules)), None):
            self._refuse(refusal)
        elif path == "v1/embeddings":
            self._send(200, _embeddings(body))
        elif path == "v1/chat/completions":
            if _is_held(body):
                self.server.hold()
            self._complete(personality, body)
        else:
            self._refuse(openai_error(404, f"no such path: /{path}"))

    def _body(self) -> bytes:
        """The request's body, also one in chunks, as the real One API sends them."""
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def _complete(self, personality: Personality, body: Body) -> None:
        message = {"role": "assistant", **personality.message}
        if (body.get("response_format") or {}).get("type") == "json_object":
            message["content"] = _memories(body)
        elif remembered := _REMEMBERED.search(json.dumps(body["messages"], ensure_ascii=False)):
            message["content"] = f"I remember: {remembered[1]}"
        if body.get("enable_thinking") is False:
            message.pop("reasoning_content", None)
        head = {"id": "chatcmpl-1", "created": 1, "model": body.get("model")}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": personality.finish}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage, **personality.extra}
            self._send(200, whole)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for choice in _choices(message, personality.finish):
            chunk = {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if (body.get("stream_options") or {}).get("include_usage"):
            chunk = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def _refuse(self, refusal: Refusal) -> None:
        self._send(refusal.status, refusal.body)

    def _send(self, status: int, body: Body) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """What was asked is in `asked`."""


def _is_held(body: Body) -> bool:
    """Whether that was asked for since the last answer."""
    is_held = False
    for message in body["messages"]:
        is_held = message.get("role") != "assistant" and (is_held or _HELD in json.dumps(message))
    return is_held


def _choices(message: Body, finish: str) -> Iterator[Body]:
    """A message in pieces: each field by itself, what it thought before what it says."""
    for name in sorted(message, key=lambda name: (name != "role", "reasoning" not in name)):
        yield {"delta": {name: message[name]}, "finish_reason": None}
    yield {"delta": {}, "finish_reason": finish}


_REMEMBERED = re.compile(
    r"(?:What you remember of this person|Use them to personalize your response):\\n- ((?:[^\\\"]|\\.)*?)\\n"
)
"""What a plugin puts before a person's words (examples/openclaw-mem0; npm's @mem0/openclaw-mem0 1.0.16), as JSON."""


def _memories(body: Body) -> str:
    """What mem0 asks for (2.2.1; npm's 3.0.7, which names no speaker): here, the first line that was said."""
    said = re.search(r"^## New Messages\n(?:user: )?(.+)$", str(body["messages"][-1]["content"]), re.MULTILINE)
    return json.dumps({"memory": [{"id": "0", "text": said[1], "attributed_to": "user"}] if said else []})


def _embeddings(body: Body) -> Body:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    length = body.get("dimensions") or 1024
    rows = [
        {"object": "embedding", "index": index, "embedding": [1.0 if at == index else 0.5 for at in range(length)]}
        for index in range(len(texts))
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "data": rows, "model": body.get("model"), "usage": usage}


def key_in(file: str) -> str:
    """The key that a file holds."""
    return re.sub(r"\s", "", Path(file).read_text(encoding="ascii"))


if __name__ == "__main__":
    key = key_in(os.environ["UPSTREAM_KEY_FILE"])
    with Personalities("0.0.0.0", int(sys.argv[1]), key, *sys.argv[2:]) as server:  # noqa: S104
        server.serve_forever()
