"""What is sent: the arguments of a call, checked and made into JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from .errors import LLMConfigError

EMBEDDING_BATCH = 10
"""Inputs of one request: DashScope's limit for text-embedding-v4; One API does not split them."""


def chat_payload(model: str, messages: object, options: Mapping[str, object]) -> bytes:
    """Return the body of a chat completion; `options` go in as they are.

    Raises:
        LLMConfigError: something that the API could not take, or a streamed answer asked for.
    """
    _check_model(model)
    if not isinstance(messages, list) or not messages:
        raise LLMConfigError("messages must be a list with at least one message")
    if not all(isinstance(message, Mapping) for message in messages):
        raise LLMConfigError("each message must be a dict with role and content")
    if options.get("stream"):
        raise LLMConfigError("stream=True is not supported: the answer is returned whole")
    return to_json({"model": model, "messages": messages, **options})


def embedding_payloads(model: str, inputs: Sequence[str], dimensions: int | None) -> Iterator[tuple[bytes, int]]:
    """Yield the body and the number of inputs of each request; at most ten inputs in one.

    The answer is asked for as plain numbers: some SDKs ask for base64 and take a gateway's floats
    for it, which gives vectors of zeros.
    """
    for start in range(0, len(inputs), EMBEDDING_BATCH):
        batch = list(inputs[start : start + EMBEDDING_BATCH])
        payload: dict[str, object] = {"model": model, "input": batch, "encoding_format": "float"}
        if dimensions is not None:
            payload["dimensions"] = dimensions
        yield to_json(payload), len(batch)


def check_embedding_arguments(model: object, inputs: object, dimensions: object) -> None:
    """Raise LLMConfigError unless the arguments can be sent."""
    _check_model(model)
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise LLMConfigError("inputs must be a list with at least one text")
    if not all(isinstance(text, str) for text in inputs):
        raise LLMConfigError("each input must be a text")
    if dimensions is None:
        return
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1:
        raise LLMConfigError("dimensions must be a whole number above zero")


def to_json(payload: Mapping[str, object]) -> bytes:
    """Return `payload` as UTF-8 JSON.

    Raises:
        LLMConfigError: NaN, an object that JSON does not know, a circle, half a surrogate pair.
    """
    reason: str
    try:
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:
        reason = "a text holds half of a surrogate pair, which UTF-8 cannot hold"
    except (TypeError, ValueError) as exc:
        reason = str(exc)
    except RecursionError:
        reason = "nested too deeply"
    raise LLMConfigError(f"the messages or options cannot be sent as JSON: {reason}")


def _check_model(model: object) -> None:
    if not isinstance(model, str) or not model.strip():
        raise LLMConfigError("model must be the name of a model")
