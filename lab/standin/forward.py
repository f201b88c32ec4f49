"""One attempt at one channel: the request there, the answer back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from . import NAME
from .billing import Bill, count_tokens
from .channels import model_mapping
from .database import Row
from .errors import RelayError, from_upstream, openai_error
from .go_words import read_json, reading_problem
from .openai_body import prompt_text, read_body, rewritten
from .relay_auth import Caller
from .upstream import UpstreamError
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

OPENAI, CUSTOM, LAST_KNOWN_TYPE = 1, 8, 46
OPENAI_URL = "https://api.openai.com"
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "date"}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
DATA, DONE = b"data: ", b"[DONE]"


def attempt(app: App, request: Request, caller: Caller, channel: Row) -> Response:
    """Send the request to a channel and return its answer, a stream still running.

    Raises RelayError.
    """
    body = read_body(request)
    model = model_mapping(channel, app.log.system_error).get(body["model"]) or body["model"]
    bill = Bill(app, caller, channel, model, count_tokens(prompt_text(body)))
    bill.take_beforehand(body.get("max_tokens", 0))
    sent = request.body if model == body["model"] else rewritten(body, model)
    answer = _ask(app, request, channel, sent, streaming=bool(body.get("stream")))
    if _is_error(answer, bool(body.get("stream"))):
        bill.give_back()
        raise from_upstream(answer.status, read_whole(answer))
    if body.get("stream"):
        return Response(200, b"", dict(STREAM_HEADERS), stream=_events(app, answer, bill))
    return _whole(answer, bill)


def base_url(channel: Row) -> str:
    """Where a channel's upstream is.

    Raises RelayError for a type that the stand-in does not speak. A type that v0.6.10 does not know
    either is plain OpenAI where it has a URL, and a panic where it has none.
    """
    kind, url = channel["type"], channel["base_url"] or ""
    if kind > LAST_KNOWN_TYPE and not url:
        raise IndexError(f"index out of range [{kind}] with length {LAST_KNOWN_TYPE + 1}")
    if kind not in (OPENAI, CUSTOM) and kind <= LAST_KNOWN_TYPE:
        raise RelayError(500, f"{NAME} does not speak channel type {kind}", "stand_in_channel_type")
    return url or (OPENAI_URL if kind == OPENAI else "")


def ask_headers(channel: Row, content_type: str, accept: str) -> dict[str, str]:
    """The headers of a request to a channel, its key among them."""
    headers = {
        "Authorization": f"Bearer {channel['key']}",
        "Content-Type": content_type,
        "User-Agent": NAME,
    }
    return {**headers, "Accept": accept} if accept else headers


def _ask(app: App, request: Request, channel: Row, body: bytes, streaming: bool) -> HTTPResponse:
    accept = request.header("Accept") or ("text/event-stream" if streaming else "")
    headers = ask_headers(channel, request.header("Content-Type"), accept)
    url = base_url(channel) + request.target
    try:
        return app.upstream.send(request.method, url, headers, body)
    except UpstreamError as error:
        app.log.error(request.request_id, f"DoRequest failed: {error}")
        raise RelayError(500, str(error), "do_request_failed") from None


def _is_error(answer: HTTPResponse, streaming: bool) -> bool:
    """Not 200 or 201; or JSON where a stream was asked for."""
    is_json = (answer.headers.get("Content-Type") or "").startswith("application/json")
    return answer.status not in (200, 201) or (streaming and is_json)


def read_whole(answer: HTTPResponse) -> bytes:
    """The body of an upstream's answer.

    Raises RelayError where it breaks off.
    """
    try:
        return answer.read()
    except (OSError, HTTPException) as error:
        raise RelayError(500, reading_problem(error), "read_response_body_failed") from None


def _whole(answer: HTTPResponse, bill: Bill) -> Response:
    """An answer that is no stream: the upstream's bytes and headers."""
    try:
        content = read_whole(answer)
        given = read_answer(answer.status, content)
    except RelayError:
        bill.give_back()
        raise
    bill.settle(usage_of(given, bill.prompt_tokens))
    # Go writes every header's name this way, and passes the upstream's statement of the length on.
    headers = {k.title(): v for k, v in answer.headers.items() if k.lower() not in HOP_HEADERS}
    return Response(answer.status, content, headers)


def read_answer(status: int, content: bytes) -> dict[str, Any]:
    """The JSON object of an upstream's answer.

    Raises RelayError for what is none, and for an error object inside an answer that says 200.
    """
    try:
        given = read_json(content)
        error = given.get("error") or {}
        failed = error.get("type")
    except (ValueError, AttributeError) as problem:
        raise RelayError(500, str(problem), "unmarshal_response_body_failed") from None
    if failed:
        raise openai_error(status, error)
    return dict(given)


def usage_of(given: dict[str, Any], prompt_tokens: int) -> dict[str, Any]:
    """The usage that the upstream states, or an estimate."""
    stated = given.get("usage") or {}
    usage = {name: stated.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")}
    if stated.get("total_tokens") and any(usage.values()):
        return usage
    texts = [(choice.get("message") or {}).get("content") for choice in given.get("choices") or ()]
    completion = sum(count_tokens(text) for text in texts if isinstance(text, str))
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion}


def _events(app: App, answer: HTTPResponse, bill: Bill) -> Iterator[bytes]:
    """The upstream's events as they come, then `[DONE]` if it sent none; the bill at the end."""
    text, usage, done = [], None, False
    try:
        while line := answer.readline():
            data = line.rstrip(b"\r\n").removeprefix(DATA)
            if not line.startswith(DATA):
                continue
            if data.startswith(DONE):
                done = True
                yield DATA + data + b"\n\n"
                continue
            chunk = _chunk(data)
            if chunk is not None and not chunk.get("choices") and chunk.get("usage") is None:
                continue  # an error in mid-stream is swallowed so, too
            yield DATA + data + b"\n\n"
            chunk = chunk or {}
            text += [_delta(choice) for choice in chunk.get("choices") or ()]
            usage = chunk.get("usage") or usage
    except (OSError, HTTPException) as error:
        app.log.system_error(f"error reading stream: {error}")
    if not done:
        yield DATA + DONE + b"\n\n"
    answer.close()
    bill.settle(_stream_usage(usage, "".join(text), bill.prompt_tokens))


def _chunk(data: bytes) -> dict[str, Any] | None:
    """One event's object; none for what cannot be read, which goes to the client all the same."""
    try:
        given = json.loads(data)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _delta(choice: Any) -> str:
    if not isinstance(choice, dict):
        return ""
    text = (choice.get("delta") or {}).get("content") or choice.get("text")
    return text if isinstance(text, str) else ""


def _stream_usage(usage: dict[str, Any] | None, text: str, prompt_tokens: int) -> dict[str, Any]:
    """A stream's usage as stated, or an estimate of what went by."""
    if not usage or not usage.get("total_tokens"):
        return {"prompt_tokens": prompt_tokens, "completion_tokens": count_tokens(text)}
    prompt = usage.get("prompt_tokens") or prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": usage["total_tokens"] - prompt}
