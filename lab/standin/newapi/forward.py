"""One attempt at one channel: the request there, the answer back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from ..channels import model_mapping
from ..database import Row
from ..errors import RelayError as OneAPIRelayError
from ..forward import DATA, DONE, STREAM_HEADERS, lines_of, passed_on, read_whole
from ..go_words import read_json
from ..upstream import UpstreamError
from ..web import Request, Response
from . import NAME
from .billing import Bill
from .body import CHAT, COMPLETION, EMBEDDING, RESPONSES, passes_through, written
from .channels import key_of
from .errors import RelayError, from_upstream, openai_error

if TYPE_CHECKING:
    from .app import App

OPENAI, AZURE, AILS, CUSTOM, ALI, MINIMAX, DEEPSEEK, VOLCENGINE = 1, 3, 9, 8, 17, 35, 43, 45
OPENAI_URL = "https://api.openai.com"
AZURE_VERSION = "2025-04-01-preview"
# Protocols of their own, which the stand-in does not speak: Ollama, Anthropic, Baidu, Xunfei, Tencent, Gemini, AWS, …
OWN_PROTOCOLS = frozenset((2, 4, 5, 11, 14, 15, 16, 18, 23, 24, 26, 33, 34, 36, 37, 38, 39, 41, 46, 49, *range(50, 58)))
PREFIXES = {ALI: "/compatible-mode", VOLCENGINE: "/api/v3"}


def attempt(app: App, request: Request, body: dict[str, Any], bill: Bill, channel: Row) -> Response:
    """Send the request to a channel and return its answer, a stream still running.

    Raises RelayError.
    """
    bill.tried.append(str(channel["id"]))
    model = model_mapping(channel, app.log.system_error).get(bill.model) or bill.model
    raw = request.path == CHAT and passes_through(app.options.on("global.pass_through_request_enabled"), channel)
    answer = ask(app, request, body, channel, model, raw=raw)
    if answer.status != 200:
        raise from_upstream(answer.status, read_content(answer))
    if body.get("stream"):
        wanted = (body.get("stream_options") or {"include_usage": True}).get("include_usage", False)
        return Response(200, b"", dict(STREAM_HEADERS), stream=_events(app, answer, bill, channel, wanted))
    content = read_content(answer)
    given = read_answer(answer.status, content)
    bill.settle(channel, *usage_of(given))
    return passed_on(answer, content)


def ask(
    app: App, request: Request, body: dict[str, Any], channel: Row, model: str, path: str = "", raw: bool = False
) -> HTTPResponse:
    """Send a request on to a channel, with the caller's own bytes where it is `raw`. Raises RelayError."""
    path = path or request.path
    url = url_of(channel, path, model)
    sent = request.body if raw else written(path, shaped(channel, path, body), channel, model)
    headers = {"Content-Type": "application/json", "Accept": request.header("Accept") or "*/*"}
    key = key_of(channel)
    headers |= {"Api-Key": key} if channel["type"] == AZURE else {"Authorization": f"Bearer {key}"}
    try:
        return app.upstream.send("POST", url, headers, sent, is_passed_on=raw)
    except UpstreamError as error:
        app.log.error(request.request_id, f"do request failed: {error}")
        raise RelayError(500, "upstream error: do request failed", "do_request_failed") from None


def url_of(channel: Row, path: str, model: str) -> str:
    """Where a channel is asked. Raises RelayError for what a type, or the stand-in, does not do."""
    kind, base = channel["type"], channel["base_url"] or (OPENAI_URL if channel["type"] == OPENAI else "")
    if kind in OWN_PROTOCOLS:
        raise RelayError(500, f"{NAME} does not speak channel type {kind}", "stand_in_channel_type", is_final=True)
    if kind == DEEPSEEK and path == EMBEDDING:
        raise RelayError(500, "not implemented", "convert_request_failed", is_final=True)
    if kind == MINIMAX:
        if path != CHAT:
            message = "get request url failed: unsupported relay mode: 3"
            raise RelayError(500, message, "do_request_failed", "do_request_failed")
        return f"{base}/v1/text/chatcompletion_v2"
    if kind == AZURE:
        version = channel["other"] or AZURE_VERSION
        task = path.removeprefix("/v1/")
        return f"{base}/openai/deployments/{model.replace('.', '')}/{task}?api-version={version}"
    if kind == CUSTOM:
        return str(base).replace("{model}", model)
    if kind == VOLCENGINE:
        return f"{base}{PREFIXES[kind]}{path.removeprefix('/v1')}"
    return f"{base.rstrip('/')}{PREFIXES.get(kind, '')}{path}"


def shaped(channel: Row, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body as a type wants it: Alibaba's never has a top_p of 0 or 1, and one where the caller gave none."""
    if channel["type"] != ALI or path != CHAT:
        return body
    top_p = body.get("top_p") or 0
    return {**body, "top_p": 0.999 if top_p >= 1 else 0.001 if top_p <= 0 else top_p}


def read_content(answer: HTTPResponse) -> bytes:
    """The body of an upstream's answer. Raises RelayError where it breaks off."""
    try:
        return read_whole(answer)
    except OneAPIRelayError as error:
        raise RelayError(500, error.message, "read_response_body_failed", "read_response_body_failed") from None


def read_answer(status: int, content: bytes) -> dict[str, Any]:
    """The JSON object of an upstream's answer.

    Raises RelayError for what is none, and for an error object inside an answer that says 200.
    """
    try:
        given = read_json(content)
    except ValueError as problem:
        raise RelayError(500, str(problem), "bad_response_body", "bad_response_body") from None
    if not isinstance(given, dict):
        raise RelayError(500, "not an object", "bad_response_body", "bad_response_body")
    if isinstance(error := given.get("error"), dict) and error.get("type"):
        raise openai_error(status, error)
    return given


def usage_of(given: dict[str, Any]) -> tuple[int, int]:
    """The tokens asked and answered that an upstream states, in OpenAI's old names or its new ones; else a guess."""
    stated = given.get("usage") or {}
    prompt = stated.get("prompt_tokens") or stated.get("input_tokens") or 0
    completion = stated.get("completion_tokens") or stated.get("output_tokens") or 0
    if prompt or completion:
        return int(prompt), int(completion)
    texts = [(choice.get("message") or {}).get("content") for choice in given.get("choices") or ()]
    return 1, sum(roughly(text) for text in texts if isinstance(text, str))


def roughly(text: str) -> int:
    """The tokens of a text, at four bytes each."""
    return (len(text.encode(errors="replace")) + 3) // 4


def _events(app: App, answer: HTTPResponse, bill: Bill, channel: Row, wants_usage: bool) -> Iterator[bytes]:
    """The upstream's events as they come, then `[DONE]`; the bill before it."""
    usage: dict[str, Any] = {}
    text: list[str] = []
    try:
        for line in lines_of(answer):
            data = line.removeprefix(DATA)
            if not line.startswith(DATA) or data.startswith(DONE):
                if line.startswith(b"event:"):
                    yield line + b"\n"
                continue
            chunk = _chunk(data)
            stated = chunk.get("usage") or (chunk.get("response") or {}).get("usage")
            usage = stated or usage
            text += [delta(choice) for choice in chunk.get("choices") or ()]
            if stated and not chunk.get("choices") and not wants_usage and bill.request.path in (CHAT, COMPLETION):
                continue
            yield DATA + data + b"\n\n"
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        app.log.system_error(f"error reading stream: {error}")
    answer.close()
    asked, answered = usage_of({"usage": usage, "choices": [{"message": {"content": "".join(text)}}]})
    bill.settle(channel, asked, answered)
    if bill.request.path != RESPONSES:
        yield DATA + DONE + b"\n\n"


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def delta(choice: Any) -> str:
    """The text that one choice of a chunk adds."""
    if not isinstance(choice, dict):
        return ""
    text = (choice.get("delta") or {}).get("content") or choice.get("text")
    return text if isinstance(text, str) else ""
