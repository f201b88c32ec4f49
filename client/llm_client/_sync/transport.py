# Generated from _async/transport.py by `make generated`: change that one.
"""The way of a request over a kept-alive connection, as an httpx transport."""

from __future__ import annotations

from collections.abc import Iterator

from ..connections import KEEP_ALIVE_SECONDS, Waiting, core_proxy, core_request, origin, trusted
from ..http_errors import BROKEN, httpx_errors
from ..http_library import httpcore, httpx
from ..settings import Gateway
from .network import Backend
from .primitives import owner, shielded


class Transport(httpx.BaseTransport):
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
            network_backend=Backend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return when the headers of the answer are here."""
        if self._proxy is not None:
            request.extensions["proxy_url"] = self._proxy  # for the words of an error
        with httpx_errors:
            connection = self._connection()
            try:
                response = connection.handle_request(core_request(request))
            except BROKEN:
                _close_all(self._waiting.drop(owner()))
                raise
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, connection, self._waiting)
        )

    def close(self) -> None:
        """Close all connections, those in use when their answer has been read."""
        _close_all(self._waiting.close(owner()))

    def _connection(self) -> httpcore.ConnectionInterface:
        while (connection := self._waiting.take(owner())) is not None:
            if not connection.has_expired():
                return connection
            _close_all([connection])
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
        with httpx_errors:
            yield from self._response.iter_stream()

    def close(self) -> None:
        with shielded():
            self._response.close()
            _close_all(self._waiting.give_back(self._connection, owner()))


def _close_all(connections: list[httpcore.ConnectionInterface]) -> None:
    if connections:
        with shielded():
            for connection in connections:
                connection.close()
