# Generated from _async/client.py by `make generated`: change that one.
"""The client for threads: one gateway, one key, kept-alive connections."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from ..caller import Caller
from ..deadline import DEFAULT_TIMEOUT, REMAINDER_SECONDS, Deadline
from ..errors import LLMError
from ..events import Delta, StreamedAnswer
from ..http_library import httpx
from ..key_usage import KeyUsage
from ..payloads import Call, chat_call, embedding_calls, key_usage_calls, models_call, stream_call
from ..reading import is_stream
from ..retries import Retries
from ..settings import read_gateway
from .exchange import begin, exchange, pieces, read_reply
from .primitives import Attempt, sleep
from .streams import Stream
from .transport import Transport

_Result = TypeVar("_Result")


class LLMClient:
    """Calls one gateway; may be used by many threads at once.

    Args:
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.
        retries: further tries after a transient failure, while no answer has begun.
        retry_billed: also where a completion may have been billed already; see `Retries`.
        proxy: URL of an http proxy; default: ``LLM_PROXY``, else the environment's for public hosts only.
        transport: an httpx transport to use instead of our own; it is not closed with the client.

    Raises:
        LLMConfigError: address, key or proxy missing or malformed.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = 1,
        retry_billed: bool = False,
        proxy: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        gateway = read_gateway(base_url, api_key, proxy)
        self._caller = Caller(gateway, Retries(retries, retry_billed))
        self._is_own = transport is None
        self._transport = Transport(gateway) if transport is None else transport

    def __repr__(self) -> str:
        return f"LLMClient({self._caller.base!r})"

    def chat(
        self,
        /,
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
            timeout: seconds for all of it: name, connection, headers, body, further tries.
            options: sent as they are (``temperature``, ``max_tokens``, ...).

        Raises:
            LLMConfigError: an argument that cannot be sent, among them ``stream=True``.
            LLMError: any other failure; see the subclasses in ``errors``.
        """
        (answer,) = self._answers(model, [chat_call(model, messages, options)], timeout)
        return answer

    def stream(
        self,
        /,
        model: str,
        messages: Sequence[Mapping[str, object]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        **options: object,
    ) -> Stream:
        """Return the deltas of a chat completion as they come: ``{"content": "Hel"}``, ``{"content": "lo"}``.

        Args:
            model, messages, options: as `chat`.
            timeout: seconds from the first delta asked for to the end of the answer.

        Raises:
            LLMConfigError: at once, for an argument that cannot be sent.
            LLMError: from the iteration; also where the answer breaks off.
        """
        call = stream_call(model, messages, options)
        self._caller.begin(timeout)
        answer = StreamedAnswer()
        return Stream(answer, self._deltas(model, call, timeout, answer))

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
            dimensions: asked of the model where given, and checked: some ignore it.
            timeout: seconds for all requests together.

        Raises:
            LLMConfigError: an argument that cannot be sent.
            LLMError: any other failure; code ``LLM_BAD_VECTOR`` for one of a wrong length or of zeros.
        """
        batches = self._answers(model, embedding_calls(model, inputs, dimensions), timeout)
        return [vector for batch in batches for vector in batch]

    def models(self, *, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Return the names of the models that the key may use; bills nothing. Raises LLMError."""
        (names,) = self._answers(None, [models_call()], timeout)
        return names

    def key_usage(self, *, timeout: float = DEFAULT_TIMEOUT) -> KeyUsage:
        """Return what the key has used in all, and its limit; bills nothing. Raises LLMError, also without that API."""
        limits, usage = self._answers(None, key_usage_calls(), timeout)
        return KeyUsage.read(limits, usage)

    def close(self) -> None:
        """Close the connections; later calls are configuration errors."""
        self._caller.is_closed = True
        if self._is_own:
            self._transport.close()

    def __enter__(self) -> LLMClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self, model: str | None, calls: list[Call[_Result]], timeout: float) -> list[_Result]:
        """Make `calls` one after the other within one deadline."""
        deadline = self._caller.begin(timeout)
        with self._caller.reporting(model):
            return [self._tried(partial(self._answer, call, deadline), deadline) for call in calls]

    def _answer(self, call: Call[_Result], deadline: Deadline) -> _Result:
        return call.read(exchange(self._transport, self._caller.request(call), deadline))

    def _deltas(
        self, model: str, call: Call[NoReturn], timeout: float, answer: StreamedAnswer
    ) -> Generator[Delta, None]:
        with self._caller.reporting(model):
            deadline = self._caller.begin(timeout)
            response = self._tried(lambda: self._begun(call, deadline), deadline)
            answer.begins(response)
            try:
                with closing(pieces(response, deadline)) as arriving:
                    for piece in arriving:
                        for delta in answer.add(piece):
                            yield delta
                        if answer.is_over:
                            deadline.shorten(REMAINDER_SECONDS)
            except LLMError:
                if answer.finish_reason is None:  # otherwise nothing is missing but the end itself
                    raise
            finally:
                response.close()
            for delta in answer.ends():
                yield delta

    def _begun(self, call: Call[NoReturn], deadline: Deadline) -> httpx.Response:
        response = begin(self._transport, self._caller.request(call), deadline)
        if not is_stream(response):
            call.read(read_reply(response, deadline))
        return response

    def _tried(self, attempt: Attempt[_Result], deadline: Deadline) -> _Result:
        """The result of `attempt`, made again where its failure is worth it."""
        tried = 0
        while True:
            try:
                return attempt()
            except LLMError as error:
                tried += 1
                pause = self._caller.retries.pause(error, tried, deadline)
                if pause is None:
                    raise
            sleep(pause)
