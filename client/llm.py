"""The client itself: one gateway, one key, kept-alive connections."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from .answers import Reply, chat_answer, model_names
from .deadline import Deadline, checked_timeout
from .errors import LLMConfigError, LLMError
from .exchange import exchange
from .http_library import httpx
from .payloads import chat_payload, check_embedding_arguments, embedding_payloads
from .redact import Redactor
from .settings import read_gateway
from .transport import DeadlineTransport
from .vectors import embedding_vectors

DEFAULT_TIMEOUT = 60.0
"""Seconds for a whole call."""

_log = logging.getLogger("llm_client")
_Result = TypeVar("_Result")


class LLMClient:
    """Calls one gateway; may be used by many threads at once.

    Args:
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.
        transport: for tests; it is not closed with the client.

    Raises:
        LLMConfigError: address or key missing or malformed.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        gateway = read_gateway(base_url, api_key)
        self._base = gateway.base
        self._headers = {
            "Authorization": f"Bearer {gateway.key}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "llm-client/0.1",
        }
        self._redactor = Redactor(gateway.key)
        self._is_own = transport is None
        self._transport = DeadlineTransport(gateway.url) if transport is None else transport
        self._closed = False

    def __repr__(self) -> str:
        return f"LLMClient({self._base!r})"

    def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, object]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        **options: object,
    ) -> dict[str, Any]:
        """Return a chat completion as the API sent it, with at least one choice.

        Args:
            model: the gateway routes by this name.
            messages: a list, as the API wants it.
            timeout: seconds for all of it: name, connection, headers, body.
            options: sent as they are (``temperature``, ``max_tokens``, ...).

        Raises:
            LLMConfigError: an argument that cannot be sent, among them ``stream=True``.
            LLMError: any other failure; see the subclasses in ``client.errors``.
        """
        body = chat_payload(model, messages, options)
        return self._call(
            model,
            timeout,
            lambda deadline: chat_answer(self._send("POST", "chat/completions", body, deadline)),
        )

    def embed(
        self,
        model: str,
        inputs: Sequence[str],
        *,
        dimensions: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> list[list[float]]:
        """Return one vector for each of `inputs`, in their order, ten inputs a request.

        Args:
            model: the gateway routes by this name.
            inputs: a list of texts.
            dimensions: asked of the model where given; some ignore it: see `vector_problem`.
            timeout: seconds for all requests together.

        Raises:
            LLMConfigError: an argument that cannot be sent.
            LLMError: any other failure; see the subclasses in ``client.errors``.
        """
        check_embedding_arguments(model, inputs, dimensions)
        requests = list(embedding_payloads(model, inputs, dimensions))

        def all_batches(deadline: Deadline) -> list[list[float]]:
            vectors: list[list[float]] = []
            for body, count in requests:
                reply = self._send("POST", "embeddings", body, deadline)
                vectors += embedding_vectors(reply, count)
            return vectors

        return self._call(model, timeout, all_batches)

    def models(self, *, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Return the names of the models that the key may use; bills nothing."""
        return self._call(
            None,
            timeout,
            lambda deadline: model_names(self._send("GET", "models", None, deadline)),
        )

    def close(self) -> None:
        """Close the connections; later calls are configuration errors."""
        self._closed = True
        if self._is_own:
            self._transport.close()

    def __enter__(self) -> LLMClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, model: str | None, timeout: float, work: Callable[[Deadline], _Result]) -> _Result:
        """Do `work` within one deadline; every failure leaves here clean and logged once."""
        seconds = checked_timeout(timeout)
        if self._closed:
            raise LLMConfigError("this client is closed")
        try:
            return work(Deadline(seconds))
        except LLMError as error:
            error.model = model
            self._redactor.clean(error)
            _log.error("[LLM_Client] Error calling %s: %s", error.model or "models", error.summary)
            raise

    def _send(self, method: str, path: str, body: bytes | None, deadline: Deadline) -> Reply:
        url = f"{self._base}/{path}"
        request = httpx.Request(method, url, headers=self._headers, content=body)
        return exchange(self._transport, request, deadline)
