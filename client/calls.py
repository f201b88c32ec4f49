"""The two functions that a Skill calls; they share one client for each gateway and key."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from .llm import DEFAULT_TIMEOUT, LLMClient
from .settings import Gateway, read_gateway

_KEPT = 32
"""Clients kept; an older one goes when its last call ends, and its sockets with it."""


class _SharedClients:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[Gateway, LLMClient] = OrderedDict()

    def get(self, base_url: str | None, api_key: str | None) -> LLMClient:
        gateway = read_gateway(base_url, api_key)
        with self._lock:
            client = self._clients.get(gateway)
            if client is None:
                client = self._clients[gateway] = LLMClient(gateway.base, gateway.key)
            self._clients.move_to_end(gateway)
            while len(self._clients) > _KEPT:
                self._clients.popitem(last=False)
            return client


_shared = _SharedClients()
if hasattr(os, "register_at_fork"):
    # A forked child must not talk on its parent's connections.
    os.register_at_fork(after_in_child=_shared.forget)


def call_specific_model(
    model: str,
    messages: Sequence[Mapping[str, object]],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    base_url: str | None = None,
    api_key: str | None = None,
    **options: object,
) -> dict[str, Any]:
    """Return a chat completion of `model`: ``{"choices": [...], "usage": {...}}``.

    Args:
        model: the gateway routes by this name.
        messages: a list of ``{"role": ..., "content": ...}``.
        timeout: seconds for the whole call.
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.
        options: sent as they are (``temperature``, ``max_tokens``, ...).

    Raises:
        LLMConfigError: code ``LLM_CLIENT_CONFIG``: a variable, argument or option is wrong.
        LLMTimeoutError: code ``ETIMEDOUT``: no complete answer within `timeout`.
        LLMError: any other failure; see ``client.errors``.
    """
    shared = _shared.get(base_url, api_key)
    return shared.chat(model, messages, timeout=timeout, **options)


def embed(
    model: str,
    inputs: Sequence[str],
    *,
    dimensions: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    base_url: str | None = None,
    api_key: str | None = None,
) -> list[list[float]]:
    """Return one vector for each of `inputs`, in their order.

    Args:
        model: the gateway routes by this name.
        inputs: a list of texts; ten go into one request.
        dimensions: asked of the model where given; some ignore it: see `vector_problem`.
        timeout: seconds for all of it.
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.

    Raises:
        LLMConfigError, LLMTimeoutError, LLMError: as `call_specific_model`.
    """
    shared = _shared.get(base_url, api_key)
    return shared.embed(model, inputs, dimensions=dimensions, timeout=timeout)
