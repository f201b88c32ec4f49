"""The way of a request over a kept-alive connection, as httpx transports for threads and for event loops."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
from anyio.lowlevel import current_token

from .async_network import AsyncBackend
from .connections import KEEP_ALIVE_SECONDS, Waiting, core_proxy, origin, trusted
from .http_library import httpcore, httpx
from .network import DeadlineBackend
from .settings import Gateway

_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class DeadlineTransport(httpx.BaseTransport):
    """httpx's own transport with one difference: a request ends when its deadline does.

    httpx bounds every single read, so that a gateway that sends one byte now and then is never
    too late. It also loads the CA bundle (40 ms) for a gateway on plain http; this does not.
    """

    def __init__(self, gateway: Gateway) -> None:
        """Raises LLMConfigError when the proxy or the trusted certificates cannot be used."""
        self._origin = origin(gateway)
        proxy = core_proxy(gateway)
        self._proxy = None if proxy is None else httpx.URL(bytes(proxy.url).decode())
        self._waiting: Waiting[httpcore.ConnectionInterface] = Waiting()
        # Used to open connections alone, of which there are several kinds.
        self._opener = httpcore.ConnectionPool(
            ssl_context=trusted(gateway),
            proxy=proxy,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=DeadlineBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return when the headers of the answer are here."""
        if self._proxy is not None:
            request.extensions["proxy_url"] = self._proxy  # for the words of an error
        with _httpx_errors():
            connection = self._connection()
            response = connection.handle_request(_core_request(request))
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, connection, self._waiting)
        )

    def close(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        for connection in self._waiting.close(os.getpid()):
            connection.close()

    def _connection(self) -> httpcore.ConnectionInterface:
        while (connection := self._waiting.take(os.getpid())) is not None:
            if not connection.has_expired():
                return connection
            connection.close()
        return self._opener.create_connection(self._origin)


class AsyncTransport(httpx.AsyncBaseTransport):
    """The same for event loops, where a cancel scope keeps the deadline."""

    def __init__(self, gateway: Gateway) -> None:
        """Raises LLMConfigError when the proxy or the trusted certificates cannot be used."""
        self._origin = origin(gateway)
        proxy = core_proxy(gateway)
        self._proxy = None if proxy is None else httpx.URL(bytes(proxy.url).decode())
        self._waiting: Waiting[httpcore.AsyncConnectionInterface] = Waiting()
        self._opener = httpcore.AsyncConnectionPool(
            ssl_context=trusted(gateway),
            proxy=proxy,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=AsyncBackend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return when the headers of the answer are here."""
        if self._proxy is not None:
            request.extensions["proxy_url"] = self._proxy
        with _httpx_errors():
            connection = await self._connection()
            response = await connection.handle_async_request(_core_request(request))
        return httpx.Response(
            response.status, headers=response.headers, stream=_AsyncBody(response, connection, self._waiting)
        )

    async def aclose(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        for connection in self._waiting.close(current_token()):
            await connection.aclose()

    async def _connection(self) -> httpcore.AsyncConnectionInterface:
        while (connection := self._waiting.take(current_token())) is not None:
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._opener.create_connection(self._origin)


class _Body(httpx.SyncByteStream):
    def __init__(
        self,
        response: httpcore.Response,
        connection: httpcore.ConnectionInterface,
        waiting: Waiting[httpcore.ConnectionInterface],
    ) -> None:
        self._response = response
        self._connection = connection
        self._waiting = waiting

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
        for connection in self._waiting.give_back(self._connection, os.getpid()):
            connection.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(
        self,
        response: httpcore.Response,
        connection: httpcore.AsyncConnectionInterface,
        waiting: Waiting[httpcore.AsyncConnectionInterface],
    ) -> None:
        self._response = response
        self._connection = connection
        self._waiting = waiting

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):  # or a cancelled task could not even close its connection
            await self._response.aclose()
            for connection in self._waiting.give_back(self._connection, current_token()):
                await connection.aclose()


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Turn httpcore's exceptions into those of httpx, which have the same names."""
    try:
        yield
    except _CORE_ERRORS as exc:
        kind: type[httpx.TransportError] = getattr(httpx, type(exc).__name__, httpx.TransportError)
        raise kind(str(exc)) from exc
