"""One measurement of one client, in a process of its own: `python bench/client_worker.py WHAT CLIENT BASE` prints JSON.

It runs in the environment that has the client, so it imports nothing else of the project.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

KEY = "sk-" + "bench"
MESSAGES = [{"role": "user", "content": "Say hello in Chinese, please."}]
CALLS = 800
AT_ONCE = 64
ROUNDS_AT_ONCE = 25
MANY_CALLS = 10_000

Ask = Callable[[], Any]
AsyncAsk = Callable[[], Awaitable[Any]]


def client(base: str) -> tuple[Ask, AsyncAsk]:
    from llm_client import acall_specific_model, call_specific_model

    def ask() -> Any:
        return call_specific_model("m", MESSAGES, base_url=base, api_key=KEY)["choices"]

    async def ask_async() -> Any:
        return (await acall_specific_model("m", MESSAGES, base_url=base, api_key=KEY))["choices"]

    return ask, ask_async


def httpx(base: str) -> tuple[Ask, AsyncAsk]:
    import httpx

    url = f"{base}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"model": "m", "messages": MESSAGES}
    kept, kept_async = httpx.Client(headers=headers, timeout=60), httpx.AsyncClient(headers=headers, timeout=60)

    def ask() -> Any:
        return kept.post(url, json=body).raise_for_status().json()["choices"]

    async def ask_async() -> Any:
        return (await kept_async.post(url, json=body)).raise_for_status().json()["choices"]

    return ask, ask_async


def openai(base: str) -> tuple[Ask, AsyncAsk]:
    import openai

    kept = openai.OpenAI(base_url=f"{base}/v1", api_key=KEY)
    kept_async = openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY)

    def ask() -> Any:
        return kept.chat.completions.create(model="m", messages=MESSAGES).choices  # type: ignore[arg-type]

    async def ask_async() -> Any:
        return (await kept_async.chat.completions.create(model="m", messages=MESSAGES)).choices  # type: ignore[arg-type]

    return ask, ask_async


def litellm(base: str) -> tuple[Ask, AsyncAsk]:
    import litellm

    where = {"model": "openai/m", "messages": MESSAGES, "api_base": f"{base}/v1", "api_key": KEY}

    def ask() -> Any:
        return litellm.completion(**where).choices

    async def ask_async() -> Any:
        return (await litellm.acompletion(**where)).choices

    return ask, ask_async


def measure_import(name: str, _base: str) -> float:
    """Seconds that the import takes, as `python -c "import …"` would have it."""
    begun = time.perf_counter()
    __import__(name)
    return time.perf_counter() - begun


def measure_call(name: str, base: str) -> float:
    """Seconds of one call, the median of many, one after the other."""
    ask, _ = globals()[name](base)
    for _ in range(50):
        ask()
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[len(taken) // 2]


def measure_many(name: str, base: str) -> float:
    """Calls a second, 64 at once."""
    _, ask = globals()[name](base)

    async def lane() -> None:
        for _ in range(ROUNDS_AT_ONCE):
            await ask()

    async def main() -> float:
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        begun = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
        return AT_ONCE * ROUNDS_AT_ONCE / (time.perf_counter() - begun)

    return asyncio.run(main())


def measure_memory(name: str, base: str) -> float:
    """Growth of the resident memory in KiB over 10,000 calls, after the first thousand."""
    ask, _ = globals()[name](base)
    for _ in range(1000):
        ask()
    gc.collect()
    before = _resident()
    for _ in range(MANY_CALLS):
        ask()
    gc.collect()
    return _resident() - before


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    # Not this directory, which holds modules of the same names, but the project's.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    what, who, where = sys.argv[1:]
    print(json.dumps(globals()[f"measure_{what}"](who, where)))
