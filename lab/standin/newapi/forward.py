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
from . import NAME, claude
from .billing import Bill
from .body import CHAT, COMPLETION, EMBEDDING, MESSAGES, RESPONSES, passes_through, written
from .channels import key_of
from .errors import RelayError, from_upstream, openai_error

if TYPE_CHECKING:
    from .app import App

OPENAI, AZURE, CUSTOM, ALI, OPENROUTER, ZHIPU, MINIMAX, JINA = 1, 3, 8, 17, 20, 26, 35, 38
MISTRAL, DEEPSEEK, VOLCENGINE, BAIDU, XAI = 42, 43, 45, 46, 48
OPENAI_URL = "https://api.openai.com"
AZURE_VERSION = "2025-04-01-preview"
BAD_BODY = "bad_response_body"
# Protocols of their own, which the stand-in does not speak: Ollama, Anthropic, Baidu, Xunfei, Tencent, Gemini, AWS, …
OWN_PROTOCOLS = frozenset((4, 11, 14, 15, 16, 18, 23, 24, 33, 34, 36, 37, 39, 41, 44, 49, *range(50, 58)))
# In place of /v1.
VERSIONS = {ALI: "/compatible-mode/v1", VOLCENGINE: "/api/v3", ZHIPU: "/api/paas/v4", BAIDU: "/v2"}
NO_EMBEDDINGS = {
    MISTRAL: "not implemented",
    DEEPSEEK: "not implemented",
    BAIDU: "not implemented",
    XAI: "not available",
}
"""What new-api says where a type of channel has none."""


def attempt(app: App, request: Request, body: dict[str, Any], bill: Bill, channel: Row) -> Response:
    """Send the request to a channel and return its answer, a stream still running.

    Raises RelayError.
    """
    bill.tried.append(str(channel["id"]))
    model = model_mapping(channel, app.log.system_error).get(bill.model) or bill.model
    path = CHAT if request.path == MESSAGES else request.path
    raw = request.path != EMBEDDING and passes_through(app.options.on("global.pass_through_request_enabled"), channel)
    answer = ask(app, request, body, channel, model, path, raw)
    if answer.status != 200:
        raise from_upstream(answer.status, read_content(answer))
    if body.get("stream"):
        if request.path == MESSAGES:
            return Response(200, b"", dict(STREAM_HEADERS), stream=_claude_events(app, answer, bill, channel))
        wanted = (body.get("stream_options") or {"include_usage": True}).get("include_usage", False)
        return Response(200, b"", dict(STREAM_HEADERS), stream=_events(app, answer, bill, channel, wanted))
    content = read_content(answer)
    given = read_answer(answer.status, content)
    tokens = usage_of(given)
    bill.settle(channel, *tokens)
    response = passed_on(answer, content)
    if request.path == MESSAGES:
        response.body = claude.as_message(given, *tokens)
        response.headers.pop("Content-Length", None)
    return response


def ask(
    app: App, request: Request, body: dict[str, Any], channel: Row, model: str, path: str, raw: bool = False
) -> HTTPResponse:
    """Send a request on to a channel, with the caller's own bytes where it is `raw`. Raises RelayError."""
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
    if path == EMBEDDING and kind in NO_EMBEDDINGS:
        raise RelayError(500, NO_EMBEDDINGS[kind], "convert_request_failed", is_final=True)
    if kind in (MINIMAX, JINA) and (path == CHAT) != (kind == MINIMAX):
        problem = "unsupported relay mode: 3" if kind == MINIMAX else "invalid relay mode"
        raise RelayError(500, f"get request url failed: {problem}", "do_request_failed", "do_request_failed")
    if kind == MINIMAX:
        return f"{base}/v1/text/chatcompletion_v2"
    if kind == AZURE:
        version = channel["other"] or AZURE_VERSION
        task = path.removeprefix("/v1/")
        return f"{base}/openai/deployments/{model.replace('.', '')}/{task}?api-version={version}"
    if kind == CUSTOM:
        return str(base).replace("{model}", model)
    return f"{base.rstrip('/')}{VERSIONS.get(kind, '/v1')}{path.removeprefix('/v1')}"


def shaped(channel: Row, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body as a type wants it: Alibaba's never has a top_p of 0 or 1, and one where the caller gave none."""
    if path == CHAT and channel["type"] == ALI:
        top_p = body.get("top_p") or 0
        return {**body, "top_p": 0.999 if top_p >= 1 else 0.001 if top_p <= 0 else top_p}
    if path == CHAT and channel["type"] == OPENROUTER:
        return {**body, "usage": {"include": True}}
    return body


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
        raise RelayError(500, str(problem), BAD_BODY, BAD_BODY, is_final=True) from None
    if not isinstance(given, dict):
        raise RelayError(500, "not an object", BAD_BODY, BAD_BODY, is_final=True)
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


def _claude_events(app: App, answer: HTTPResponse, bill: Bill, channel: Row) -> Iterator[bytes]:
    """The upstream's chunks as Anthropic's events; the bill before the last ones."""
    events = claude.Events()
    usage: dict[str, Any] = {}
    text: list[str] = []
    try:
        for line in lines_of(answer):
            data = line.removeprefix(DATA)
            if not line.startswith(DATA) or data.startswith(DONE):
                continue
            chunk = _chunk(data)
            usage = chunk.get("usage") or usage
            text += [delta(choice) for choice in chunk.get("choices") or ()]
            yield from events.of_chunk(chunk, bill.prompt_tokens)
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        app.log.system_error(f"error reading stream: {error}")
    answer.close()
    tokens = usage_of({"usage": usage, "choices": [{"message": {"content": "".join(text)}}]})
    bill.settle(channel, *tokens)
    yield from events.end(*tokens)


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
