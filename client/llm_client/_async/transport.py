"""The way of a request over a kept-alive connection, as an httpx transport."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..connections import KEEP_ALIVE_SECONDS, Waiting, core_proxy, core_request, origin, trusted
from ..http_errors import BROKEN, httpx_errors
from ..http_library import httpcore, httpx
from ..settings import Gateway
from .network import Backend
from .primitives import owner, shielded


class Transport(httpx.AsyncBaseTransport):
    """httpx's own transport with one difference: a request ends when its deadline does.

    httpx bounds every single read, so that a gateway that sends one byte now and then is never
    too late. It also loads the CA bundle (40 ms) for a gateway on plain http; this does not.
    """

    def __init__(self, gateway: Gateway) -> None:
        """Raises LLMConfigError when the proxy or the trusted certificates cannot be used."""
        self._origin = origin(gateway)
        proxy = core_proxy(gateway)
        self._proxy = None if proxy is None else httpx.URL(bytes(proxy.url).decode())
        self._waiting: Waiting[httpcore.AsyncConnectionInterface] = Waiting()
        # Used to open connections alone, of which there are several kinds.
        self._opener = httpcore.AsyncConnectionPool(
            ssl_context=trusted(gateway),
            proxy=proxy,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=Backend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return when the headers of the answer are here."""
        if self._proxy is not None:
            request.extensions["proxy_url"] = self._proxy  # for the words of an error
        with httpx_errors:
            connection = await self._connection()
            try:
                response = await connection.handle_async_request(core_request(request))
            except BROKEN:
                await _close_all(self._waiting.drop(owner()))
                raise
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, connection, self._waiting)
        )

    async def aclose(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        await _close_all(self._waiting.close(owner()))

    async def _connection(self) -> httpcore.AsyncConnectionInterface:
        while (connection := self._waiting.take(owner())) is not None:
            if not connection.has_expired():
                return connection
            await _close_all([connection])
        return self._opener.create_connection(self._origin)


class _Body(httpx.AsyncByteStream):
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
        with httpx_errors:
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        with shielded():
            await self._response.aclose()
            await _close_all(self._waiting.give_back(self._connection, owner()))


async def _close_all(connections: list[httpcore.AsyncConnectionInterface]) -> None:
    if connections:
        with shielded():
            for connection in connections:
                await connection.aclose()
