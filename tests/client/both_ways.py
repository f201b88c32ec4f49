"""The same call by the client for threads and by the one for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from test_client import HELLO, KEY

from llm_client import AsyncLLMClient, LLMClient
from llm_client.http_library import httpx

Handler = Callable[[httpx.Request], httpx.Response]


class Ways(Protocol):
    """What a test may do in either way; `base` and `options` go to the client."""

    def chat(self, base: str = ..., **arguments: Any) -> dict[str, Any]: ...
    def stream(self, base: str = ..., **arguments: Any) -> tuple[list[dict[str, Any]], Any]: ...
    def embed(self, texts: list[str], base: str = ..., **arguments: Any) -> list[list[float]]: ...


class _Way:
    def __init__(self, handler: Handler | None = None, **options: Any) -> None:
        self._options = options
        if handler is not None:
            self._options["transport"] = httpx.MockTransport(handler)


class InThreads(_Way):
    def client(self, base: str) -> LLMClient:
        return LLMClient(base, KEY, **self._options)

    def chat(self, base: str = "http://gw", **arguments: Any) -> dict[str, Any]:
        with self.client(base) as client:
            return client.chat("m", HELLO, **arguments)

    def embed(self, texts: list[str], base: str = "http://gw", **arguments: Any) -> list[list[float]]:
        with self.client(base) as client:
            return client.embed("m", texts, **arguments)

    def stream(self, base: str = "http://gw", **arguments: Any) -> tuple[list[dict[str, Any]], Any]:
        with self.client(base) as client, client.stream("m", HELLO, **arguments) as stream:
            return self.collect(stream), stream

    def collect(self, stream: Any) -> list[dict[str, Any]]:
        deltas = []
        try:
            for delta in stream:
                deltas.append(delta)
        except Exception as error:
            error.deltas = deltas  # type: ignore[attr-defined]
            raise
        return deltas


class InALoop(_Way):
    def client(self, base: str) -> AsyncLLMClient:
        return AsyncLLMClient(base, KEY, **self._options)

    def run(self, base: str, work: Callable[[AsyncLLMClient], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            async with self.client(base) as client:
                return await work(client)

        return asyncio.run(main())

    def chat(self, base: str = "http://gw", **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.run(base, lambda client: client.chat("m", HELLO, **arguments))
        return answer

    def embed(self, texts: list[str], base: str = "http://gw", **arguments: Any) -> list[list[float]]:
        vectors: list[list[float]] = self.run(base, lambda client: client.embed("m", texts, **arguments))
        return vectors

    def stream(self, base: str = "http://gw", **arguments: Any) -> tuple[list[dict[str, Any]], Any]:
        async def work(client: AsyncLLMClient) -> tuple[list[dict[str, Any]], Any]:
            deltas = []
            async with client.stream("m", HELLO, **arguments) as stream:
                try:
                    async for delta in stream:
                        deltas.append(delta)
                except Exception as error:
                    error.deltas = deltas  # type: ignore[attr-defined]
                    raise
            return deltas, stream

        found: tuple[list[dict[str, Any]], Any] = self.run(base, work)
        return found


BOTH = [InThreads, InALoop]
"""For `pytest.mark.parametrize("way", BOTH)`."""
