"""TCP connections that are opened before the deadline of the request, name resolution included."""

from __future__ import annotations

from collections.abc import Iterable

from ..addresses import Tries
from ..http_library import httpcore
from .sockets import SocketStream, resolved


class Backend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections."""

    def __init__(self) -> None:
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers."""
        tries = Tries(await resolved(host, port, timeout), timeout)
        for address, seconds in tries:
            try:
                stream = await self._sockets.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                tries.failed(address, exc)
            else:
                return SocketStream(stream)
        raise tries.error
