"""A link with a delay, made by a TCP proxy on loopback, since not every kernel can delay packets (netem)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536


class _Link:
    """Carries bytes to one address, each of them `delay` seconds after it came, in both directions."""

    def __init__(self, host: str, port: int, delay: float) -> None:
        self._host, self._port, self._delay = host, port, delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)  # the handshake's round trip, which the proxy answers itself
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        both = asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        with suppress(ConnectionError, asyncio.CancelledError):  # either side hung up, or the measurement is over
            await both

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(_CHUNK):
            loop.call_later(self._delay, writer.write, data)
        loop.call_later(self._delay, writer.close)


@contextmanager
def delayed(host: str, port: int, round_trip: float) -> Iterator[int]:
    """A local port that leads to `host:port` over a link of that round trip.

    Parameters: `round_trip`, in seconds.
    """
    loop = asyncio.new_event_loop()
    link = _Link(host, port, round_trip / 2)
    server = loop.run_until_complete(asyncio.start_server(link.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
