"""The asynchronous client under trio; `make test-runtimes` runs it, in environments that have trio."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from fault_server import FaultServer
from raw_server import ANSWER
from test_client import HELLO, KEY

from llm_client import AsyncLLMClient, LLMStatusError, LLMTimeoutError, acall_specific_model

_OK = {"status": 200, "json": ANSWER}


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Which would close what nobody closes, some day."""
    gc.disable()
    yield
    gc.enable()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def wait_until_closed(before: int) -> None:
    end = time.monotonic() + 5
    while descriptors() > before and time.monotonic() < end:
        time.sleep(0.01)  # until the server, in threads of its own, has seen the end of each connection
    assert descriptors() <= before


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_closed_client_leaves_no_socket(is_cancelled: bool) -> None:
    async def main(base: str) -> None:
        client = AsyncLLMClient(base, KEY)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client.chat, "m", HELLO)
        before = descriptors()
        with trio.CancelScope() as scope:
            if is_cancelled:
                scope.cancel()
            await client.aclose()
        wait_until_closed(before - 6)  # our ends, and the server's

    with FaultServer([{**_OK, "gather": 3}] * 3) as server:
        trio.run(main, f"http://127.0.0.1:{server.port}")


def test_calls_share_a_connection_that_ends_with_the_loop() -> None:
    async def main(base: str) -> int:
        for _ in range(3):
            assert await acall_specific_model("m", HELLO, base_url=base, api_key=KEY) == ANSWER
        return descriptors()

    with FaultServer([_OK] * 3) as server:
        before = descriptors()
        during = trio.run(main, f"http://127.0.0.1:{server.port}")
        wait_until_closed(before)
    assert during - before < 12  # one connection and the loop's own, not three


def test_a_dead_connection_is_not_followed_by_another() -> None:
    async def main(base: str) -> None:
        async with AsyncLLMClient(base, KEY) as client:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(client.chat, "m", HELLO)
            assert await client.chat("m", HELLO) == ANSWER

    with FaultServer([*[{**_OK, "gather": 3, "then": "die"}] * 3, _OK]) as server:
        trio.run(main, f"http://127.0.0.1:{server.port}")


@pytest.mark.parametrize("then", ["close", "hold", "linger"])
def test_a_refusal_is_heard_while_a_large_body_is_sent(then: str) -> None:
    large: list[dict[str, Any]] = [{"role": "user", "content": "x" * 20_000_000}]
    step = {"status": 413, "json": {"error": {"message": "too large"}}, "unread": True, "then": then}

    async def main(base: str) -> None:
        async with AsyncLLMClient(base, KEY) as client:
            with pytest.raises(LLMStatusError, match="HTTP 413: too large"):
                await client.chat("m", large, timeout=5)

    with FaultServer([step]) as server:
        trio.run(main, f"http://127.0.0.1:{server.port}")
        assert len(server.requests) == 1


def test_the_deadline_ends_a_call() -> None:
    async def main(base: str) -> None:
        async with AsyncLLMClient(base, KEY) as client:
            with pytest.raises(LLMTimeoutError):
                await client.chat("m", HELLO, timeout=0.3)

    with FaultServer([{"then": "silence"}]) as server:
        trio.run(main, f"http://127.0.0.1:{server.port}")
