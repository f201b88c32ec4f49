# Generated from _async/calls.py by `make generated`: change that one.
"""The functions that a Skill calls; they share one client for each gateway, key and thread of control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..deadline import DEFAULT_TIMEOUT
from .shared import shared_client
from .streams import Stream

Messages = Sequence[Mapping[str, object]]


def call_specific_model(
    model: str,
    messages: Messages,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    base_url: str | None = None,
    api_key: str | None = None,
    retries: int = 1,
    retry_billed: bool = False,
    **options: object,
) -> dict[str, Any]:
    """Return a chat completion of `model`: ``{"choices": [...], "usage": {...}}``.

    Args:
        model: the gateway routes by this name.
        messages: a list of ``{"role": ..., "content": ...}``.
        timeout: seconds for the whole call, further tries included.
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.
        retries: further tries after a transient failure, while no answer has begun.
        retry_billed: also where a completion may have been billed already: the answer broke off or was of no use.
        options: sent as they are (``temperature``, ``max_tokens``, ...).

    Raises:
        LLMConfigError: code ``LLM_CLIENT_CONFIG``: a variable, argument or option is wrong.
        LLMTimeoutError: code ``ETIMEDOUT``: no complete answer within `timeout`.
        LLMError: any other failure; see ``errors``.
    """
    client = shared_client(base_url, api_key, retries, retry_billed)
    return client.chat(model, messages, timeout=timeout, **options)


def stream_specific_model(
    model: str,
    messages: Messages,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    base_url: str | None = None,
    api_key: str | None = None,
    retries: int = 1,
    retry_billed: bool = False,
    **options: object,
) -> Stream:
    """Return the deltas of a chat completion as they come.

        for delta in stream_specific_model("qwen3.5-plus", messages):
            print(delta.get("content") or "", end="", flush=True)

    Args:
        model, messages, base_url, api_key, retries, retry_billed, options: as `call_specific_model`.
        timeout: seconds from the first delta asked for to the end of the answer.

    Returns:
        An iterator of dicts as the gateway sent them, which then tells `finish_reason` and `usage`.

    Raises:
        LLMConfigError: at once, for a variable, argument or option that is wrong.
        LLMError: from the iteration, also where the answer breaks off.
    """
    client = shared_client(base_url, api_key, retries, retry_billed)
    return client.stream(model, messages, timeout=timeout, **options)


def embed(
    model: str,
    inputs: Sequence[str],
    *,
    dimensions: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    base_url: str | None = None,
    api_key: str | None = None,
    retries: int = 1,
    retry_billed: bool = False,
) -> list[list[float]]:
    """Return one vector for each of `inputs`, in their order.

    Args:
        model: the gateway routes by this name.
        inputs: a list of texts; ten go into one request.
        dimensions: asked of the model where given, and checked: some ignore it.
        timeout: seconds for all of it.
        base_url, api_key, retries, retry_billed: as `call_specific_model`.

    Raises:
        LLMConfigError, LLMTimeoutError, LLMError: as `call_specific_model`; code ``LLM_BAD_VECTOR`` for a
            vector of a wrong length or of zeros.
    """
    client = shared_client(base_url, api_key, retries, retry_billed)
    return client.embed(model, inputs, dimensions=dimensions, timeout=timeout)
