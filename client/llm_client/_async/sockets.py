"""Sockets that never stay open, and names looked up without holding up the end of the loop."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import anyio
from anyio.from_thread import run_sync
from anyio.lowlevel import checkpoint, current_token

from ..addresses import LookUp, deadline_of, is_address
from ..connections import WRITE_PIECE
from ..http_library import httpcore


class SocketStream(httpcore.AsyncNetworkStream):
    """A connection that listens while it sends, and that a handshake, cut short by a cancellation, does not leave open.

    anyio reads nothing while it sends. A server that refuses a large body (413) says so at once and goes: what it
    said would be lost with the connection.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._heard: bytes | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._heard is not None:
            heard, self._heard = self._heard, None
            return heard
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send `buffer`; httpcore takes a WriteError as a reason to read what the server has to say."""
        if len(buffer) <= WRITE_PIECE:
            await self._stream.write(buffer, timeout)
            return
        error: httpcore.WriteError | None = None
        async with anyio.create_task_group() as both:
            both.start_soon(self._listen, both.cancel_scope)
            for _ in range(2):  # the listener begins, then the loop looks at its sockets: a refusal may be here already
                await checkpoint()
            try:
                for start in range(0, len(buffer), WRITE_PIECE):
                    await self._stream.write(buffer[start : start + WRITE_PIECE], timeout)
            except httpcore.WriteError as exc:
                error = exc
            both.cancel_scope.cancel()
        if self._heard is not None:
            raise httpcore.WriteError("the server answered before it had the whole request")
        if error is not None:
            raise error

    async def _listen(self, sending: anyio.CancelScope) -> None:
        with suppress(httpcore.ReadError):  # the sending fails, too
            self._heard = await self._stream.read(65536)
            sending.cancel()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return SocketStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def resolved(host: str, port: int, timeout: float | None) -> list[str]:
    """Return the addresses of `host`, before the deadline.

    anyio's own way looks a name up in the loop's pool of threads, whose end a loop awaits: a resolver that hangs
    would hold up the end of the program.
    """
    if is_address(host):
        return [host]
    done, loop = anyio.Event(), current_token()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            run_sync(done.set, token=loop)

    look_up = LookUp(host, port, tell)
    with anyio.move_on_after(deadline_of(timeout).left()):
        await done.wait()
    return look_up.addresses()
