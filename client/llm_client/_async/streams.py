"""What a streaming call returns: the deltas, and what is known of the answer once they have come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any

from ..events import Delta, StreamedAnswer


class AsyncStream:
    """An asynchronous iterator of deltas, such as ``{"content": "Hel"}``; leaving it early closes the connection.

    The request is sent when the first delta is asked for, and the time-out counts from there to the end.

    Raises, from the iteration:
        LLMError: as a whole call, also in the middle; what was yielded until then stays valid.
    """

    def __init__(self, answer: StreamedAnswer, deltas: AsyncGenerator[Delta, None]) -> None:
        self._answer = answer
        self._deltas = deltas

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped (``stop``, ``length``, ``tool_calls``, ...); None until it has."""
        return self._answer.finish_reason

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens used, where the gateway tells them (``stream_options={"include_usage": True}`` asks for it)."""
        return self._answer.usage

    @property
    def model(self) -> str | None:
        """The model that answers, by the gateway's own word; None until the first chunk."""
        return self._answer.model

    @property
    def request_id(self) -> str | None:
        """One API's ``X-Oneapi-Request-Id``; None until the answer begins."""
        return self._answer.request_id

    @property
    def base_url(self) -> str | None:
        """The address of the gateway that answers; None until the answer begins."""
        return self._answer.base_url

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Delta:
        return await anext(self._deltas)

    async def aclose(self) -> None:
        """Close the connection, whether or not the answer is whole."""
        await self._deltas.aclose()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
