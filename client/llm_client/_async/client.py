"""The client for event loops: a gateway, others behind it, kept-alive connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from ..caller import Caller
from ..deadline import DEFAULT_TIMEOUT, REMAINDER_SECONDS
from ..errors import LLMError
from ..events import Delta, StreamedAnswer
from ..http_library import httpx
from ..key_usage import KeyUsage
from ..payloads import Call, chat_call, embedding_calls, key_usage_calls, models_call, stream_call
from ..reading import is_stream
from ..retries import Retries
from ..settings import Several, read_gateways
from ..turns import Turns
from .exchange import begin, exchange, pieces, read_reply
from .primitives import Attempt, sleep
from .streams import AsyncStream
from .transport import Transport

_Result = TypeVar("_Result")


class AsyncLLMClient:
    """Calls a gateway, or the next where it is gone; connections are kept for the event loop that used it last.

    Args:
        base_url: the gateway, with or without ``/v1``; default: ``LLM_BASE_URL``.
        api_key: its key; default: ``LLM_API_KEY``.
        retries: further tries after a transient failure, while no answer has begun.
        retry_billed: also where a completion may have been billed already; see `Retries`.
        proxy: URL of an http proxy; default: ``LLM_PROXY``, else the environment's for public hosts only.
        transport: an httpx transport to use instead of our own; it is not closed with the client.
        fallback_base_urls: gateways to ask where the first is not there, a list or with commas between; default:
            ``LLM_FALLBACK_BASE_URLS`` where `base_url` is the environment's, too.
        fallback_api_keys: their keys in step, "" for that of the first; default: ``LLM_FALLBACK_API_KEYS``, else
            one key for all.

    Raises:
        LLMConfigError: an address, key or proxy is missing or malformed.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = 1,
        retry_billed: bool = False,
        proxy: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        fallback_base_urls: Several | None = None,
        fallback_api_keys: Several | None = None,
    ) -> None:
        gateways = read_gateways(base_url, api_key, proxy, fallback_base_urls, fallback_api_keys)
        self._caller = Caller(gateways, Retries(retries, retry_billed))
        self._is_own = transport is None
        self._transports = [Transport(gateway) if transport is None else transport for gateway in gateways]

    def __repr__(self) -> str:
        return f"AsyncLLMClient({', '.join(map(repr, self._caller.order.bases))})"

    @property
    def answered_by(self) -> str | None:
        """The address of the gateway that gave the latest answer; None until one has."""
        return self._caller.order.answered_by

    async def chat(
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
        (answer,) = await self._answers(model, [chat_call(model, messages, options)], timeout)
        return answer

    def stream(
        self,
        /,
        model: str,
        messages: Sequence[Mapping[str, object]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        **options: object,
    ) -> AsyncStream:
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
        return AsyncStream(answer, self._deltas(model, call, timeout, answer))

    async def embed(
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
        batches = await self._answers(model, embedding_calls(model, inputs, dimensions), timeout)
        return [vector for batch in batches for vector in batch]

    async def models(self, *, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
        """Return the names of the models that the key may use; bills nothing. Raises LLMError."""
        (names,) = await self._answers(None, [models_call()], timeout)
        return names

    async def key_usage(self, *, timeout: float = DEFAULT_TIMEOUT) -> KeyUsage:
        """Return what the key has used in all, and its limit; bills nothing. Raises LLMError, also without that API."""
        limits, usage = await self._answers(None, key_usage_calls(), timeout)
        return KeyUsage.read(limits, usage)

    async def aclose(self) -> None:
        """Close the connections; later calls are configuration errors."""
        self._caller.is_closed = True
        if self._is_own:
            for transport in self._transports:
                await transport.aclose()

    async def __aenter__(self) -> AsyncLLMClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _answers(self, model: str | None, calls: list[Call[_Result]], timeout: float) -> list[_Result]:
        """Make `calls` one after the other within one deadline."""
        deadline = self._caller.begin(timeout)
        with self._caller.reporting(model):
            return [await self._answer(call, self._caller.turns(deadline)) for call in calls]

    async def _answer(self, call: Call[_Result], turns: Turns) -> _Result:
        async def attempt() -> _Result:
            transport, request = self._transports[turns.number], self._caller.request(call, turns)
            return call.read(await exchange(transport, request, turns.deadline, turns.connecting()))

        return await self._tried(attempt, turns)

    async def _deltas(
        self, model: str, call: Call[NoReturn], timeout: float, answer: StreamedAnswer
    ) -> AsyncGenerator[Delta, None]:
        with self._caller.reporting(model) as report:
            deadline = self._caller.begin(timeout)
            turns = self._caller.turns(deadline)
            response = await self._tried(lambda: self._begun(call, turns), turns)
            report.base = turns.base
            answer.begins(response, turns.base)
            try:
                async with aclosing(pieces(response, deadline)) as arriving:
                    async for piece in arriving:
                        for delta in answer.add(piece):
                            yield delta
                        if answer.is_over:
                            deadline.shorten(REMAINDER_SECONDS)
            except LLMError:
                if answer.finish_reason is None:  # otherwise nothing is missing but the end itself
                    raise
            finally:
                await response.aclose()
            for delta in answer.ends():
                yield delta

    async def _begun(self, call: Call[NoReturn], turns: Turns) -> httpx.Response:
        transport, request = self._transports[turns.number], self._caller.request(call, turns)
        response = await begin(transport, request, turns.deadline, turns.connecting())
        if not is_stream(response):
            call.read(await read_reply(response, turns.deadline))
        return response

    async def _tried(self, attempt: Attempt[_Result], turns: Turns) -> _Result:
        """The result of `attempt`, made again, or with the next gateway, where its failure is worth it."""
        while True:
            try:
                result = await attempt()
            except LLMError as error:
                pause = turns.pause(error)
                if pause is None:
                    raise
            else:
                turns.answered()
                return result
            await sleep(pause)
