"""The way of a request over a kept-alive connection, as httpx transports for threads and for event loops."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType

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
_BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.ProtocolError)
"""What a connection raises that its other side has left; the try that follows must not meet another such one."""


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
        with _httpx_errors:
            connection = self._connection()
            try:
                response = connection.handle_request(_core_request(request))
            except _BROKEN:
                _close(self._waiting.drop(os.getpid()))
                raise
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, connection, self._waiting)
        )

    def close(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        _close(self._waiting.close(os.getpid()))

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
        with _httpx_errors:
            connection = await self._connection()
            try:
                response = await connection.handle_async_request(_core_request(request))
            except _BROKEN:
                await _aclose(self._waiting.drop(current_token()))
                raise
        return httpx.Response(
            response.status, headers=response.headers, stream=_AsyncBody(response, connection, self._waiting)
        )

    async def aclose(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        await _aclose(self._waiting.close(current_token()))

    async def _connection(self) -> httpcore.AsyncConnectionInterface:
        while (connection := self._waiting.take(current_token())) is not None:
            if not connection.has_expired():
                return connection
            await _aclose([connection])
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
        with _httpx_errors:
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
        _close(self._waiting.give_back(self._connection, os.getpid()))


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
        with _httpx_errors:
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):  # or a cancelled task could not even close its connection
            await self._response.aclose()
            await _aclose(self._waiting.give_back(self._connection, current_token()))


def _close(connections: Iterable[httpcore.ConnectionInterface]) -> None:
    for connection in connections:
        connection.close()


async def _aclose(connections: list[httpcore.AsyncConnectionInterface]) -> None:
    """Close them, also in a task that is being cancelled: a server that shuts down closes its client in one."""
    if connections:
        with anyio.CancelScope(shield=True):
            for connection in connections:
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


class _HttpxErrors:
    """Turns httpcore's exceptions into those of httpx, of the same names; a generator would cost 1 % of a call."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _CORE_ERRORS):
            its: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
            raise its(str(error)) from error


_httpx_errors = _HttpxErrors()
