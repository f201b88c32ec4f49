"""`network` for event loops: names are looked up without holding up the loop's end, sockets never stay open."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import anyio
from anyio.from_thread import run_sync
from anyio.lowlevel import current_token

from .http_library import httpcore
from .network import LookUp, is_address, seconds_left


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections; the cancel scope of the call is what ends them in time.

    anyio's own way looks a name up in the loop's pool of threads, whose end a loop awaits: a resolver that hangs
    would hold up the end of the program.
    """

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
        """Connect to the first of the host's addresses that answers, each with an equal share of the time left."""
        addresses = [host] if is_address(host) else await _resolved(host, port)
        for number, address in enumerate(addresses, start=1):
            share = seconds_left(timeout, httpcore.ConnectTimeout)
            if share is not None:
                share /= len(addresses) - number + 1
            try:
                stream = await self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return _Stream(stream)
        raise httpcore.ConnectError(f"{host} has no address")


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that a TLS handshake, cut short by a cancellation, does not leave open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _resolved(host: str, port: int) -> list[str]:
    done, loop = anyio.Event(), current_token()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            run_sync(done.set, token=loop)

    look_up = LookUp(host, port, tell)
    await done.wait()
    return look_up.addresses()
