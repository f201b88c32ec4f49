"""The body of a chat, completion or embedding request: checking it, and writing it anew."""

from __future__ import annotations

import json
from typing import Any

from .envelope import is_kind, kind_of
from .errors import RelayError
from .go_words import read_json
from .schema import GO_TYPES
from .web import Request

MAX_TOKENS = (2**31 - 1) // 2

# The fields that One API knows, in its order. "any" and the pointers (*) keep a zero value when the body
# is written anew; the others lose it.
FIELDS = {
    "messages": "list",
    "model": "str",
    "store": "*bool",
    "metadata": "any",
    "frequency_penalty": "*float",
    "logit_bias": "any",
    "logprobs": "*bool",
    "top_logprobs": "*int",
    "max_tokens": "int",
    "max_completion_tokens": "*int",
    "n": "int",
    "modalities": "list",
    "prediction": "any",
    "audio": "any",
    "presence_penalty": "*float",
    "response_format": "any",
    "seed": "float",
    "service_tier": "*str",
    "stop": "any",
    "stream": "bool",
    "stream_options": "any",
    "temperature": "*float",
    "top_p": "*float",
    "top_k": "int",
    "tools": "list",
    "tool_choice": "any",
    "parallel_tool_calls": "*bool",
    "user": "str",
    "function_call": "any",
    "functions": "any",
    "input": "any",
    "encoding_format": "str",
    "dimensions": "int",
    "prompt": "any",
    "quality": "*str",
    "size": "str",
    "style": "*str",
    "instruction": "str",
    "num_ctx": "int",
}
MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id")


def read_body(request: Request) -> dict[str, Any]:
    """The request's known fields, null ones left out.

    Raises RelayError (400 invalid_text_request) for what One API refuses before it asks an upstream.
    """
    given: Any = {}
    if request.header("Content-Type").startswith("application/json"):
        try:
            given = read_json(request.body)
        except ValueError as error:
            raise _invalid(str(error)) from None
    given = {} if given is None else given  # to Go, null is an object without fields
    if not isinstance(given, dict):
        raise _invalid(f"json: cannot unmarshal {kind_of(given)} into Go value of type model.GeneralOpenAIRequest")
    body = {name: given[name] for name in FIELDS if given.get(name) is not None}
    for name, value in body.items():
        _check_type(name, value)
    if request.path.endswith("embeddings") and not body.get("model"):
        body["model"] = request.params.get("model", "")
    for message in body.get("messages", ()):
        if not isinstance(message, dict):
            raise _invalid(_mismatch(message, "messages", "model.Message"))
    _check_content(request.path, body)
    return body


def _invalid(message: str) -> RelayError:
    return RelayError(400, message, "invalid_text_request")


def _check_type(name: str, value: object) -> None:
    kind = FIELDS[name].lstrip("*")
    fits = kind == "any" or (isinstance(value, list) if kind == "list" else is_kind(value, kind))
    if not fits:
        wanted = "[]model.Message" if kind == "list" else GO_TYPES[kind]
        raise _invalid(_mismatch(value, name, wanted))


def _mismatch(value: object, name: str, wanted: str) -> str:
    """Go's words for a field of another type than One API's."""
    return f"json: cannot unmarshal {kind_of(value)} into Go struct field GeneralOpenAIRequest.{name} of type {wanted}"


def _check_content(path: str, body: dict[str, Any]) -> None:
    if not 0 <= body.get("max_tokens", 0) <= MAX_TOKENS:
        raise _invalid("max_tokens is invalid")
    if not body.get("model"):
        raise _invalid("model is required")
    if path == "/v1/chat/completions" and not body.get("messages"):
        raise _invalid("field messages is required")
    if path == "/v1/completions" and body.get("prompt") == "":
        raise _invalid("field prompt is required")


def rewritten(body: dict[str, Any], model: str) -> bytes:
    """The body with another model, as One API writes it: fields that it does not know are lost."""
    written = {**body, "model": model}
    if body.get("stream"):
        written["stream_options"] = {"include_usage": True}
    if "messages" in body:
        written["messages"] = [
            {name: message[name] for name in MESSAGE_FIELDS if message.get(name) is not None}
            for message in body["messages"]
            if isinstance(message, dict)
        ]
    kept = {
        name: written[name]
        for name, kind in FIELDS.items()
        if name in written and (kind == "any" or kind.startswith("*") or written[name])
    }
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def prompt_text(body: dict[str, Any]) -> str:
    """The text whose tokens are counted beforehand; embeddings count none."""
    texts = [str(message.get("content") or "") for message in body.get("messages", ()) if isinstance(message, dict)]
    if isinstance(body.get("prompt"), str):
        texts.append(body["prompt"])
    return "".join(texts)
