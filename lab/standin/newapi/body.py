"""The body of a request, written anew from the fields that new-api knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import go_structs
from ..database import Row
from ..go_words import read_json
from ..web import Request, go_json
from .channels import json_field
from .claude import as_openai
from .errors import RelayError

CHAT, COMPLETION, EMBEDDING = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
STRUCTS = {
    EMBEDDING: "dto.EmbeddingRequest",
    RESPONSES: "dto.OpenAIResponsesRequest",
}
NEEDED = {CHAT: "messages", COMPLETION: "prompt", EMBEDDING: "input", RESPONSES: "input"}
REMOVED = ("service_tier", "safety_identifier")
"""Known, and taken out unless a setting of the channel says otherwise."""


def struct_of(path: str) -> str:
    return STRUCTS.get(path, "dto.GeneralOpenAIRequest")


def read_body(request: Request) -> dict[str, Any]:
    """The request's known fields. Raises RelayError for what new-api refuses before it asks an upstream."""
    try:
        given = read_json(request.body)
        if request.path == MESSAGES:
            return as_openai(given)
        body = go_structs.read(given, struct_of(request.path))
    except ValueError as error:
        raise _invalid(str(error)) from None
    needed = NEEDED[request.path]
    if needed == "input" and needed not in body:
        raise _invalid("input is empty" if request.path == EMBEDDING else "input is required")
    if needed != "input" and not body.get(needed):
        raise _invalid(f"field {needed} is required")
    return body


def _invalid(message: str) -> RelayError:
    # Of the caller's own fault it says 500.
    return RelayError(500, message, "invalid_request", is_final=True)


def passes_through(app_wide: bool, channel: Row) -> bool:
    """Whether a channel gets the caller's own bytes, of Anthropic's form too: no mapping, prompt or override then."""
    return app_wide or bool(json_field(channel, "setting").get("pass_through_body_enabled"))


def written(path: str, body: Mapping[str, Any], channel: Row, model: str) -> bytes:
    """The body for a channel."""
    given = {**body, "model": model}
    if path == CHAT:
        given["messages"] = with_prompt(given["messages"], json_field(channel, "setting"))
    if path in (CHAT, COMPLETION) and given.get("stream"):
        given["stream_options"] = {"include_usage": True}
    made = go_structs.written(given, struct_of(path))
    settings = json_field(channel, "settings")
    removed = [name for name in REMOVED if name in made and not settings.get(f"allow_{name}")]
    for name in removed:
        del made[name]
    if removed:
        made = go_structs.through_map(made)
    return go_json({**made, **json_field(channel, "param_override")})


def with_prompt(messages: list[dict[str, Any]], setting: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages with a channel's system prompt: before all, or, told to override, before the caller's own."""
    prompt = setting.get("system_prompt")
    if not prompt:
        return messages
    at = next((i for i, message in enumerate(messages) if message.get("role") == "system"), None)
    if at is None:
        return [{"role": "system", "content": prompt}, *messages]
    if not setting.get("system_prompt_override"):
        return messages
    own = messages[at].get("content")
    content = f"{prompt}\n{own}" if isinstance(own, str) else [{"type": "text", "text": prompt}, *(own or [])]
    return [*messages[:at], {**messages[at], "content": content}, *messages[at + 1 :]]
