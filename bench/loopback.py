"""A fast server with one fixed completion for all requests; `python -m bench.loopback [ADDRESS]` prints its port."""

from __future__ import annotations

import asyncio
import json
import sys

_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "你好! " * 40}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 80, "total_tokens": 89},
    }
).encode()
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)

_LAST_CHUNK = b"\r\n0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := _first_request(self._received)) is not None:
            self._received = self._received[request:]
            self._transport.write(_REPLY)  # type: ignore[attr-defined]


def _first_request(received: bytes) -> int | None:
    """The length of the first whole request, or None while it is not whole."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() == b"transfer-encoding":  # One API hands a body on as it comes, in chunks
            chunks, last, _ = body.partition(_LAST_CHUNK)
            return len(head) + len(end) + len(chunks) + len(last) if last else None
    return len(head) + len(end) + length if len(body) >= length else None


async def _serve(address: str) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, address, 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"))
