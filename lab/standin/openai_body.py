"""The body of a request for text (chat, completion, embeddings, moderation, edit): checked, and written anew."""

from __future__ import annotations

from typing import Any

from . import go_structs
from .errors import RelayError
from .go_words import read_json
from .web import Request, go_json

MAX_TOKENS = (2**31 - 1) // 2
STRUCT = "GeneralOpenAIRequest"
CHAT, COMPLETION, EMBEDDING, MODERATION, EDIT = "chat", "completion", "embedding", "moderation", "edit"
IMAGE, SPEECH, TRANSCRIPTION, TRANSLATION, OTHER = "image", "speech", "transcription", "translation", "other"
_MODES = (
    ("/v1/chat/completions", CHAT),
    ("/v1/completions", COMPLETION),
    ("/v1/embeddings", EMBEDDING),
    ("/v1/moderations", MODERATION),
    ("/v1/images/generations", IMAGE),
    ("/v1/edits", EDIT),
    ("/v1/audio/speech", SPEECH),
    ("/v1/audio/transcriptions", TRANSCRIPTION),
    ("/v1/audio/translations", TRANSLATION),
)


def mode_of(path: str) -> str:
    """What a path of the relay asks for."""
    if path.endswith("embeddings"):
        return EMBEDDING
    return next((mode for beginning, mode in _MODES if path.startswith(beginning)), OTHER)


def is_json(request: Request) -> bool:
    """Whether the body is declared as JSON; of any other One API reads nothing."""
    return request.header("Content-Type").startswith("application/json")


def read_body(request: Request) -> dict[str, Any]:
    """The request's known fields, null ones left out.

    Raises RelayError (400 invalid_text_request) for what One API refuses before it asks an upstream.
    """
    try:
        body = go_structs.read(read_json(request.body) if is_json(request) else {}, STRUCT)
    except ValueError as error:
        raise _invalid(str(error)) from None
    mode = mode_of(request.path)
    if not body.get("model") and mode in (MODERATION, EMBEDDING):
        body["model"] = "text-moderation-latest" if mode == MODERATION else request.params.get("model", "")
    _check_content(mode, body)
    return body


def _invalid(message: str) -> RelayError:
    return RelayError(400, message, "invalid_text_request")


def _check_content(mode: str, body: dict[str, Any]) -> None:
    if not 0 <= body.get("max_tokens", 0) <= MAX_TOKENS:
        raise _invalid("max_tokens is invalid")
    if not body.get("model"):
        raise _invalid("model is required")
    if mode == CHAT and not body.get("messages"):
        raise _invalid("field messages is required")
    if mode == COMPLETION and body.get("prompt") == "":
        raise _invalid("field prompt is required")
    if mode == MODERATION and body.get("input") == "":
        raise _invalid("field input is required")
    if mode == EDIT and not body.get("instruction"):
        raise _invalid("field instruction is required")


def force_prompt(body: dict[str, Any], prompt: str) -> bool:
    """Put a channel's system prompt in the place of the caller's, or before all; whether there was one to put."""
    messages = body.get("messages")
    if not prompt or not messages:
        return False
    rest = messages[1:] if messages[0].get("role") == "system" else messages
    first = messages[0] if rest is not messages else {"role": "system"}
    body["messages"] = [{**first, "content": prompt}, *rest]
    return True


def rewritten(body: dict[str, Any], model: str) -> bytes:
    """The body with another model, as One API writes it: fields that it does not know are lost."""
    given = {**body, "model": model}
    if body.get("stream"):
        given["stream_options"] = {"include_usage": True}
    return go_json(go_structs.written(given, STRUCT))
