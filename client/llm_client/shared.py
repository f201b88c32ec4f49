"""The clients behind the functions: made when first needed, kept while in use."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from anyio.lowlevel import current_token

from .async_llm import AsyncLLMClient
from .errors import LLMConfigError
from .llm import LLMClient
from .retries import Retries
from .settings import Gateway, read_gateway

_KEPT = 32
"""Clients kept; an older one goes when its last call ends, and its sockets with it."""

_Client = TypeVar("_Client")


class _Kept(Generic[_Client]):
    """The clients used last, one for each gateway, key and way to retry."""

    def __init__(self, make: Callable[[Gateway, Retries], _Client]) -> None:
        self._make = make
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[Gateway, Retries], _Client] = OrderedDict()

    def get(self, gateway: Gateway, retries: Retries) -> _Client:
        wanted = (gateway, retries)
        with self._lock:
            client = self._clients.get(wanted)
            if client is None:
                client = self._clients[wanted] = self._make(gateway, retries)
            self._clients.move_to_end(wanted)
            while len(self._clients) > _KEPT:
                self._clients.popitem(last=False)
            return client


def _sync(gateway: Gateway, retries: Retries) -> LLMClient:
    return LLMClient(gateway.base, gateway.key, proxy=gateway.proxy, retries=retries.count, retry_billed=retries.billed)


def _async(gateway: Gateway, retries: Retries) -> AsyncLLMClient:
    return AsyncLLMClient(
        gateway.base, gateway.key, proxy=gateway.proxy, retries=retries.count, retry_billed=retries.billed
    )


class _KeptByLoop(_Kept[AsyncLLMClient]):
    """The clients of one event loop, whose connections live and end with it.

    No loop calls back when it ends, but each closes its asynchronous generators (PEP 525), so that one of those
    closes the clients.
    """

    def __init__(self, loop: object) -> None:
        super().__init__(_async)
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


_clients = _Kept(_sync)
_clients_of_loop: dict[object, _KeptByLoop] = {}

if hasattr(os, "register_at_fork"):
    # A forked child must not talk on its parent's connections.
    os.register_at_fork(after_in_child=_clients.forget)


def shared_client(base_url: str | None, api_key: str | None, retries: int, retry_billed: bool) -> LLMClient:
    """Return the process's client for a gateway and key. Raises LLMConfigError."""
    return _clients.get(read_gateway(base_url, api_key), Retries(retries, retry_billed))


def shared_async_client(base_url: str | None, api_key: str | None, retries: int, retry_billed: bool) -> AsyncLLMClient:
    """Return the running event loop's client for a gateway and key. Raises LLMConfigError."""
    return _running_loops_clients().get(read_gateway(base_url, api_key), Retries(retries, retry_billed))


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
