"""What is particular to event loops: loops that come and go, tasks that are cancelled, many calls at once."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from fault_server import FaultServer
from raw_server import ANSWER, OK, Behaviour, drip, raw_server, silent
from test_client import HELLO, KEY

from llm_client import (
    AsyncLLMClient,
    LLMConfigError,
    LLMTimeoutError,
    acall_specific_model,
    aembed,
    astream_specific_model,
)
from llm_client.http_library import httpx


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def ask(base: str, timeout: float = 5) -> object:
    return await acall_specific_model("m", HELLO, base_url=base, api_key=KEY, timeout=timeout)


def test_calls_of_one_loop_share_a_connection_and_loops_do_not(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, connections = server

    async def three() -> None:
        for address in (base, f"{base}/v1", f"{base}/v1/chat/completions"):
            assert await ask(address) == ANSWER

    for loops in (1, 2, 3):
        asyncio.run(three())
        assert len(connections) == loops


def test_a_client_that_is_held_serves_one_loop_after_the_other(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, connections = server
    client = AsyncLLMClient(base, KEY)

    async def two() -> None:
        for _ in range(2):
            assert await client.chat("m", HELLO) == ANSWER

    asyncio.run(two())
    asyncio.run(two())
    assert len(connections) == 2


def test_a_client_that_two_threads_loops_share_serves_both(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, _ = server
    client = AsyncLLMClient(base, KEY)

    async def some() -> list[object]:
        return await asyncio.gather(*(client.chat("m", HELLO) for _ in range(20)))

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(lambda: asyncio.run(some())) for _ in range(6)]
        assert all(run.result() == [ANSWER] * 20 for run in runs)


def test_a_loop_that_is_gone_leaves_no_socket_and_no_warning(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, _ = server
    asyncio.run(ask(base))
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            asyncio.run(ask(base))
    assert descriptors() <= before + 10  # the server's ends


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        drip(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["silent", "status", "body", "error-body"],
)
def test_one_deadline_ends_the_whole_call(behave: Behaviour) -> None:
    async def timed(base: str) -> float:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(LLMTimeoutError) as caught:
            await ask(base, timeout=0.4)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        return asyncio.get_running_loop().time() - begun

    with raw_server(behave) as base:
        assert 0.35 < asyncio.run(timed(base)) < 5


def test_a_cancelled_call_is_cancelled_and_the_client_goes_on() -> None:
    calls: list[int] = []

    def first_hangs(connection: object) -> None:
        calls.append(1)
        silent(connection) if len(calls) == 1 else connection.sendall(OK)  # type: ignore[arg-type, attr-defined]

    async def main(base: str) -> None:
        async with AsyncLLMClient(base, KEY) as client:
            task = asyncio.create_task(client.chat("m", HELLO))
            while not calls:
                await asyncio.sleep(0.01)  # until the server has the request
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.chat("m", HELLO) == ANSWER

    with raw_server(first_hangs) as base:
        asyncio.run(main(base))


def test_the_callers_own_timeout_stays_the_callers() -> None:
    async def main(base: str) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(base, timeout=30), timeout=0.3)

    with raw_server(silent) as base:
        asyncio.run(main(base))


def test_many_calls_at_once(server: tuple[str, set[tuple[str, int]]]) -> None:
    base, connections = server

    async def main() -> None:
        answers = await asyncio.gather(*(ask(base, timeout=30) for _ in range(200)))
        assert answers == [ANSWER] * 200

    asyncio.run(main())
    assert len(connections) <= 200


def test_calls_that_time_out_leave_no_socket() -> None:
    async def main(base: str) -> int:
        async with AsyncLLMClient(base, KEY) as client:
            counts = []
            for _ in range(3):
                calls = (client.chat("m", HELLO, timeout=0.1) for _ in range(20))
                failed = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(error, LLMTimeoutError) for error in failed)
                counts.append(descriptors())
            return counts[-1] - counts[0]

    with raw_server(silent) as base:
        # The server's ends close in its own time: what must not be is a growth of 20 with each round.
        assert asyncio.run(main(base)) < 20


def test_a_stream_left_early_closes_its_connection() -> None:
    closed: list[int] = []

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            while True:
                yield b'data: {"choices":[{"delta":{"content":"."}}]}\n\n'

        async def aclose(self) -> None:
            closed.append(1)

    async def main() -> None:
        headers = {"content-type": "text/event-stream"}
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, headers=headers, stream=Body()))
        client = AsyncLLMClient("http://gw", KEY, transport=transport)
        async for _ in client.stream("m", HELLO):
            break
        gc.collect()
        while not closed:
            await asyncio.sleep(0.01)  # the loop finalises the generator

    asyncio.run(asyncio.wait_for(main(), 10))


def test_outside_of_a_loop_the_error_says_so() -> None:
    with pytest.raises(LLMConfigError, match="event loop"):
        astream_specific_model("m", HELLO, base_url="http://gw", api_key=KEY)


def test_embeddings_come_in_order() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        rows = [{"index": number, "embedding": [float(text), 1]} for number, text in enumerate(texts)]
        return httpx.Response(200, json={"data": rows[::-1]})

    async def main() -> list[list[float]]:
        client = AsyncLLMClient("http://gw", KEY, transport=httpx.MockTransport(handler))
        return await client.embed("e", [str(number) for number in range(23)])

    assert asyncio.run(main()) == [[float(number), 1.0] for number in range(23)]


def test_the_asynchronous_function_embeds_too() -> None:
    body = b'{"data":[{"index":0,"embedding":[1,2]}]}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with raw_server(lambda connection: connection.sendall(reply)) as base:
        assert asyncio.run(aembed("e", ["x"], base_url=base, api_key=KEY)) == [[1.0, 2.0]]


def test_a_process_ends_at_once_after_a_time_out() -> None:
    code = (
        "import asyncio, sys, llm_client\n"
        "async def main():\n"
        "    try: await llm_client.acall_specific_model('m', [{}], base_url=sys.argv[1], api_key='k-1', timeout=0.2)\n"
        "    except llm_client.LLMTimeoutError: print('timed out')\n"
        "asyncio.run(main())\n"
    )
    with raw_server(silent) as base:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, base],
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert run.stdout == "timed out\n"
    assert run.stderr == "[LLM_Client] Error calling m: timeout (200ms)\n"


def test_a_client_closed_in_a_cancelled_scope_leaves_no_socket() -> None:
    """FastAPI and Starlette end their lifespan, and a request whose client went, in such a scope."""
    answer = {"status": 200, "json": ANSWER, "gather": 3}

    async def main(base: str) -> None:
        client = AsyncLLMClient(base, KEY)
        await asyncio.gather(*(client.chat("m", HELLO) for _ in range(3)))
        before = descriptors()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await client.aclose()
        with anyio.fail_after(5):
            while len(list(Path("/proc/self/fd").iterdir())) > before - 6:
                await asyncio.sleep(0.01)  # until the server has seen the end of each, and closed its own ends, too

    with FaultServer([answer] * 3) as server:
        gc.disable()  # which would close them some day, too
        try:
            asyncio.run(main(f"http://127.0.0.1:{server.port}"))
        finally:
            gc.enable()
