"""What is sent, and what is made of its answer: the arguments of a call, checked and made into JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

from .answers import Reply, chat_answer, model_names, no_stream, numbers
from .errors import LLMConfigError
from .vectors import embedding_vectors

_Result_co = TypeVar("_Result_co", covariant=True)

EMBEDDING_BATCH = 10
"""Inputs of one request: DashScope's limit for text-embedding-v4; One API does not split them."""


@dataclass(frozen=True)
class Call(Generic[_Result_co]):
    """One request, and how its answer is read."""

    method: str
    path: str
    body: bytes | None
    read: Callable[[Reply], _Result_co]


def chat_call(model: str, messages: object, options: Mapping[str, object]) -> Call[dict[str, Any]]:
    """Return the call for a whole chat completion; `options` go in as they are.

    Raises:
        LLMConfigError: something that the API could not take, or a streamed answer asked for.
    """
    if options.get("stream"):
        raise LLMConfigError(
            "stream=True is not for this call, which returns the answer whole: stream_specific_model streams"
        )
    return Call("POST", "chat/completions", _chat_body(model, messages, options), chat_answer)


def stream_call(model: str, messages: object, options: Mapping[str, object]) -> Call[NoReturn]:
    """Return the call for a streamed chat completion; it is read only where it is no stream.

    Raises:
        LLMConfigError: something that the API could not take, several answers, or one that is not streamed.
    """
    if not options.get("stream", True):
        raise LLMConfigError("stream=False is not for this call, which streams: call_specific_model returns it whole")
    if options.get("n") not in (None, 1):
        raise LLMConfigError("n: a stream carries one answer; call once for each")
    body = _chat_body(model, messages, {**options, "stream": True})
    return Call("POST", "chat/completions", body, no_stream)


def embedding_calls(model: str, inputs: Sequence[str], dimensions: int | None) -> list[Call[list[list[float]]]]:
    """Return the calls, ten inputs each, whose answers are the vectors of `inputs` in their order.

    The answer is asked for as plain numbers: some SDKs ask for base64 and take a gateway's floats
    for it, which gives vectors of zeros.

    Raises:
        LLMConfigError: an argument that cannot be sent.
    """
    _check_embedding_arguments(model, inputs, dimensions)
    calls = []
    for start in range(0, len(inputs), EMBEDDING_BATCH):
        batch = list(inputs[start : start + EMBEDDING_BATCH])
        payload: dict[str, object] = {"model": model, "input": batch, "encoding_format": "float"}
        if dimensions is not None:
            payload["dimensions"] = dimensions
        read = partial(embedding_vectors, expected=len(batch), dimensions=dimensions)
        calls.append(Call("POST", "embeddings", _to_json(payload), read))
    return calls


def models_call() -> Call[list[str]]:
    """Return the call that lists the models."""
    return Call("GET", "models", None, model_names)


def key_usage_calls() -> list[Call[dict[str, float]]]:
    """Return the calls that ask for a key's limits, and for what it has used."""
    return [
        Call("GET", f"dashboard/billing/{page}", None, partial(numbers, names=names))
        for page, names in (("subscription", ("hard_limit_usd", "access_until")), ("usage", ("total_usage",)))
    ]


def _chat_body(model: str, messages: object, options: Mapping[str, object]) -> bytes:
    _check_model(model)
    if not isinstance(messages, (list, tuple)) or not messages:
        raise LLMConfigError("messages must be a list with at least one message")
    if not all(isinstance(message, Mapping) for message in messages):
        raise LLMConfigError("each message must be a dict with role and content")
    return _to_json({"model": model, "messages": messages, **options})


def _check_embedding_arguments(model: object, inputs: object, dimensions: object) -> None:
    _check_model(model)
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise LLMConfigError("inputs must be a list with at least one text")
    if not all(isinstance(text, str) for text in inputs):
        raise LLMConfigError("each input must be a string")
    if dimensions is None:
        return
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1:
        raise LLMConfigError("dimensions must be a whole number above zero")


def _to_json(payload: Mapping[str, object]) -> bytes:
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
