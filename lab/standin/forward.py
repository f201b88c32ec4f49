"""One attempt at one channel to get a text: the request there, the answer back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from . import NAME
from .billing import Bill
from .channels import model_mapping
from .database import Row
from .errors import RelayError, from_upstream, openai_error
from .go_words import read_json, reading_problem
from .openai_body import CHAT, COMPLETION, MODERATION, force_prompt, mode_of, read_body, rewritten
from .relay_auth import Caller
from .upstream import UpstreamError
from .web import Request, Response

if TYPE_CHECKING:
    from .app import App

OPENAI, CUSTOM, LAST_KNOWN_TYPE = 1, 8, 46
OPENAI_URL = "https://api.openai.com"
# Go's client unpacks an answer, and takes out what says that it was packed.
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "date"}
PACKED_HEADERS = {"content-encoding", "content-length"}
GZIP = 16 + zlib.MAX_WBITS
STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
DATA, DONE = b"data: ", b"[DONE]"
LONGEST_LINE = 64 * 1024
"""bufio.MaxScanTokenSize: a line of so many bytes ends a stream, and the client is not told."""


def attempt(app: App, request: Request, caller: Caller, channel: Row) -> Response:
    """Send the request to a channel and return its answer, a stream still running.

    Raises RelayError.
    """
    body = read_body(request)
    asked = body["model"]
    model = model_mapping(channel, app.log.system_error).get(asked) or asked
    is_forced = force_prompt(body, channel["system_prompt"] or "")
    bill = Bill(app, caller, channel, model, is_prompt_forced=is_forced)
    bill.prompt_tokens = _prompt_tokens(bill, mode_of(request.path), body)
    bill.take_beforehand(body.get("max_tokens", 0))
    # What is not mapped goes as it came, so that a forced prompt is lost (relay/controller/text.go, getRequestBody).
    sent = None if model == asked else rewritten(body, model)
    answer = ask(app, request, channel, sent, streaming=bool(body.get("stream")))
    if _is_error(answer, bool(body.get("stream"))):
        bill.give_back()
        raise from_upstream(answer.status, read_whole(answer))
    if body.get("stream"):
        events = _events(app, answer, bill, mode_of(request.path))
        return Response(200, b"", dict(STREAM_HEADERS), stream=events)
    return _whole(answer, bill)


def _prompt_tokens(bill: Bill, mode: str, body: dict[str, Any]) -> int:
    """The tokens of what is asked, counted beforehand; embeddings count none, and neither does a list of texts."""
    if mode == CHAT:
        roughly = bill.app.options.on("ApproximateTokenEnabled")
        return bill.app.tokens.of_messages(body["messages"], bill.model, roughly)
    asked = body.get({COMPLETION: "prompt", MODERATION: "input"}.get(mode, ""))
    return bill.count(asked) if isinstance(asked, str) else 0


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
    """The headers of a request to a channel, its key among them; of the client's own no other is passed on."""
    return {"Authorization": f"Bearer {channel['key']}", "Content-Type": content_type, "Accept": accept}


def ask(app: App, request: Request, channel: Row, body: bytes | None, streaming: bool = False) -> HTTPResponse:
    """Send a request on to a channel, its body where none is given in its place. Raises RelayError."""
    accept = request.header("Accept") or ("text/event-stream" if streaming else "")
    headers = ask_headers(channel, request.header("Content-Type"), accept)
    url = base_url(channel) + request.target
    try:
        sent = request.body if body is None else body
        return app.upstream.send(request.method, url, headers, sent, is_passed_on=body is None)
    except UpstreamError as error:
        app.log.error(request.request_id, f"DoRequest failed: {error}")
        raise RelayError(500, str(error), "do_request_failed") from None


def _is_error(answer: HTTPResponse, streaming: bool) -> bool:
    """Not 200 or 201; or JSON where a stream was asked for."""
    is_json = (answer.headers.get("Content-Type") or "").startswith("application/json")
    return answer.status not in (200, 201) or (streaming and is_json)


def read_whole(answer: HTTPResponse) -> bytes:
    """The body of an upstream's answer, unpacked.

    Raises RelayError where it breaks off.
    """
    try:
        content = answer.read()
        return zlib.decompress(content, GZIP) if _is_packed(answer) else content
    except (OSError, HTTPException, zlib.error) as error:
        raise RelayError(500, reading_problem(error), "read_response_body_failed") from None


def _is_packed(answer: HTTPResponse) -> bool:
    return (answer.headers.get("Content-Encoding") or "").lower() == "gzip"


def passed_on(answer: HTTPResponse, content: bytes) -> Response:
    """An answer that is no stream: the upstream's status, bytes and headers."""
    dropped = HOP_HEADERS | (PACKED_HEADERS if _is_packed(answer) else set())
    # Go writes every header's name this way, and passes the upstream's statement of the length on.
    headers = {name.title(): value for name, value in answer.headers.items() if name.lower() not in dropped}
    return Response(answer.status, content, headers)


def _whole(answer: HTTPResponse, bill: Bill) -> Response:
    try:
        content = read_whole(answer)
        given = read_answer(answer.status, content)
    except RelayError:
        bill.give_back()
        raise
    bill.settle(_usage(given, bill))
    return passed_on(answer, content)


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


def _usage(given: dict[str, Any], bill: Bill) -> dict[str, Any]:
    """The usage that the upstream states, or an estimate."""
    stated = given.get("usage") or {}
    usage = {name: stated.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")}
    if stated.get("total_tokens") and any(usage.values()):
        return usage
    texts = [(choice.get("message") or {}).get("content") for choice in given.get("choices") or ()]
    completion = sum(bill.count(text) for text in texts if isinstance(text, str))
    return {"prompt_tokens": bill.prompt_tokens, "completion_tokens": completion}


def _events(app: App, answer: HTTPResponse, bill: Bill, mode: str) -> Iterator[bytes]:
    """The upstream's events as they come, then `[DONE]` if it sent none; the bill at the end."""
    text, usage, done = [], None, False
    try:
        for line in lines_of(answer):
            data = line.removeprefix(DATA)
            if not line.startswith(DATA):
                continue
            if data.startswith(DONE):
                done = True
                yield DATA + data + b"\n\n"
                continue
            chunk = _chunk(data)
            is_empty = chunk is not None and not chunk.get("choices") and chunk.get("usage") is None
            if mode not in (CHAT, COMPLETION) or (mode == CHAT and is_empty):
                continue  # an error in mid-stream is swallowed so, too
            yield DATA + data + b"\n\n"
            chunk = chunk or {}
            text += [_delta(choice) for choice in chunk.get("choices") or ()]
            usage = (chunk.get("usage") if mode == CHAT else None) or usage
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        app.log.system_error(f"error reading stream: {error}")
    if not done:
        yield DATA + DONE + b"\n\n"
    answer.close()
    bill.settle(_stream_usage(usage, "".join(text), bill))


def lines_of(answer: HTTPResponse) -> Iterator[bytes]:
    """The lines of a stream, without their ends. Raises ValueError at one that is too long."""
    if _is_packed(answer):
        yield from read_whole(answer).splitlines()
        return
    while line := answer.readline(LONGEST_LINE + 1):
        if len(line.removesuffix(b"\n")) >= LONGEST_LINE:
            raise ValueError("bufio.Scanner: token too long")
        yield line.rstrip(b"\r\n")


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


def _stream_usage(usage: dict[str, Any] | None, text: str, bill: Bill) -> dict[str, Any]:
    """A stream's usage as stated, or an estimate of what went by."""
    if not usage or not usage.get("total_tokens"):
        return {"prompt_tokens": bill.prompt_tokens, "completion_tokens": bill.count(text)}
    prompt = usage.get("prompt_tokens") or bill.prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": usage["total_tokens"] - prompt}
