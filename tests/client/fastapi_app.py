"""A service of FastAPI that calls a gateway, as people write one: the requests are cancelled when their client goes.

`python fastapi_app.py GATEWAY` serves it on a free port of loopback; uvicorn says which. What it has learnt of
disconnections comes by Starlette, which cancels by anyio's scopes, in which each `await` of a `finally` is cancelled.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from llm_client import AsyncLLMClient

HELLO = [{"role": "user", "content": "hello"}]
GATEWAY = sys.argv[1] if __name__ == "__main__" else ""
app = FastAPI()


def make_client() -> AsyncLLMClient:
    """A client of the gateway that this service was started for."""
    return AsyncLLMClient(GATEWAY, "k-1")


async def of_request() -> AsyncIterator[AsyncLLMClient]:
    """A client for one request, as FastAPI's documentation has resources: a dependency that yields."""
    client = make_client()
    try:
        yield client
    finally:
        await client.aclose()


async def use_three_connections(client: AsyncLLMClient) -> None:
    """Leave three idle connections."""
    async with anyio.create_task_group() as calls:
        for _ in range(3):
            calls.start_soon(client.chat, "m", HELLO)


async def cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    """Cancel what is done for a client that has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


@app.get("/scope")
async def in_a_scope(request: Request) -> None:
    """Work for a long time, in a scope that is cancelled when the client goes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_when_gone, request, tasks.cancel_scope)
        async with make_client() as client:
            await use_three_connections(client)
            await anyio.sleep_forever()


@app.get("/dependency")
async def by_a_dependency(client: Annotated[AsyncLLMClient, Depends(of_request)]) -> StreamingResponse:
    """Stream without an end, with a client that FastAPI closes."""
    await use_three_connections(client)

    async def endless() -> AsyncIterator[str]:
        while True:
            yield "one more\n"
            await anyio.sleep(0.01)

    return StreamingResponse(endless())


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Pass a stream of the gateway on, with a client that the generator closes."""

    async def deltas() -> AsyncIterator[str]:
        async with make_client() as client:
            await use_three_connections(client)
            async for delta in client.stream("m", HELLO):
                yield str(delta)

    return StreamingResponse(deltas())


def serve() -> None:
    """Serve it until the process is ended."""
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "log_level": "info"}
    uvicorn.run(app, **settings)


if __name__ == "__main__":
    serve()
