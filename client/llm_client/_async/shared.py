"""The clients behind the functions of an event loop, whose connections live and end with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

from anyio.lowlevel import current_token

from ..errors import LLMConfigError
from ..kept import Kept
from ..retries import Retries
from ..settings import read_gateways
from .client import AsyncLLMClient


class _KeptByLoop(Kept[AsyncLLMClient]):
    """The clients of one event loop.

    No loop calls back when it ends, but each closes its asynchronous generators (PEP 525), so that one of those
    closes the clients.
    """

    def __init__(self, loop: object) -> None:
        super().__init__(AsyncLLMClient)
        self._loop = loop
        self._keeper: AsyncGenerator[None, None] | None = self._close_in_the_end()
        with suppress(StopIteration):  # the value that it yields: the generator has begun, without an `await`
            self._keeper.asend(None).send(None)

    def is_over(self) -> bool:
        """Whether the loop was closed without a word, as a hand-made one of asyncio's may be."""
        loop = getattr(self._loop, "native_token", self._loop)
        is_closed = getattr(loop, "is_closed", None)
        return is_closed is not None and bool(is_closed())

    async def _close_in_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._keeper = None
            _clients_of_loop.pop(self._loop, None)
            clients = list(self._clients.values())
            self.forget()
            for client in clients:
                await client.aclose()


_clients_of_loop: dict[object, _KeptByLoop] = {}


def shared_client(base_url: str | None, api_key: str | None, retries: int, retry_billed: bool) -> AsyncLLMClient:
    """Return the running event loop's client for a gateway and key. Raises LLMConfigError."""
    return _running_loops_clients().get(read_gateways(base_url, api_key), Retries(retries, retry_billed))


def _running_loops_clients() -> _KeptByLoop:
    try:
        loop = current_token()
    except RuntimeError:  # anyio's NoEventLoopError, and its forerunners
        loop = None
    if loop is None:
        raise LLMConfigError("this call needs a running event loop: make it from an async function")
    kept = _clients_of_loop.get(loop)
    if kept is None:
        for other, its in list(_clients_of_loop.items()):
            if its.is_over():
                _clients_of_loop.pop(other, None)
        kept = _clients_of_loop[loop] = _KeptByLoop(loop)
    return kept
