"""One attempt at one channel for what is no text: an image, speech, a transcription."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import go_structs
from .billing import Bill
from .channels import model_mapping
from .database import Row
from .errors import RelayError, from_upstream
from .forward import ask, passed_on, read_whole
from .go_words import read_json
from .openai_body import SPEECH, is_json, mode_of
from .relay_auth import Caller
from .web import Request, Response, go_json

if TYPE_CHECKING:
    from .app import App

QUOTA_OF_AN_IMAGE = 1000
LONGEST_SPEECH = 4096


def attempt_image(app: App, request: Request, caller: Caller, channel: Row) -> Response:
    """Pass a request for an image on, and whatever comes of it, an error too, as long as it is JSON. Raises RelayError.

    One API's limits on the sizes of single models are not held.
    """
    body = _read(request, "ImageRequest", "invalid_image_request")
    asked = body.get("model") or "dall-e-2"
    body = {"n": 1, **body, "size": body.get("size") or "1024x1024"}
    body["model"] = model_mapping(channel, app.log.system_error).get(asked) or asked
    if not body.get("prompt"):
        raise RelayError(400, "prompt is required", "prompt_missing")
    bill = Bill(app, caller, channel, body["model"])
    quota = int(bill.ratio * QUOTA_OF_AN_IMAGE) * (body["n"] or 1)
    bill.must_have(quota)
    sent = None
    if body["model"] != asked:
        sent = go_json(go_structs.written(body, "ImageRequest"))
    answer = ask(app, request, channel, sent)
    content = read_whole(answer)
    if answer.status in (200, 201) and quota:
        bill.settle_at(quota, prompt=0)
    try:
        read_json(content)
    except ValueError as error:
        raise RelayError(500, str(error), "unmarshal_response_body_failed") from None
    return passed_on(answer, content)


def attempt_audio(app: App, request: Request, caller: Caller, channel: Row, is_first: bool) -> Response:
    """Pass speech or a transcription on; its model is never mapped. Raises RelayError.

    Parameters: `is_first`, whether no other channel was tried before. Reading the model of a form eats the form, so
    that the first channel gets an empty body (common/gin.go, UnmarshalBodyReusable); only a retry has it again.
    """
    is_speech = mode_of(request.path) == SPEECH
    body = _read(request, "TextToSpeechRequest", "invalid_json") if is_speech else {}
    spoken = len(body.get("input", "").encode())
    if spoken > LONGEST_SPEECH:
        raise RelayError(400, f"input is too long (over {LONGEST_SPEECH} characters)", "text_too_long")
    bill = Bill(app, caller, channel, body.get("model", "") if is_speech else "whisper-1")
    bill.must_have(int((spoken if is_speech else app.options.number("PreConsumedQuota")) * bill.ratio))
    answer = ask(app, request, channel, request.body if is_json(request) or not is_first else b"")
    content = read_whole(answer)
    quota = int(spoken * bill.ratio) if is_speech else bill.count(_transcribed(content))
    if answer.status != 200:
        raise from_upstream(answer.status, content)
    bill.settle_at(quota, prompt=quota)
    return passed_on(answer, content)


def _read(request: Request, struct: str, code: str) -> dict[str, Any]:
    try:
        return go_structs.read(read_json(request.body) if is_json(request) else {}, struct)
    except ValueError as error:
        raise RelayError(400, str(error), code) from None


def _transcribed(content: bytes) -> str:
    """The text of a transcription. Raises RelayError (500) where it is an error, whatever status came with it."""
    try:
        given = json.loads(content)
    except ValueError:
        return content.decode(errors="replace")  # in another form than JSON, which was asked for
    error = given.get("error") if isinstance(given, dict) else None
    if isinstance(error, dict) and error.get("message"):
        told = f"type {error.get('type', '')}, code {error.get('code')}, message {error['message']}"
        raise RelayError(500, told, "request_error")
    return str(given.get("text", "")) if isinstance(given, dict) else ""
