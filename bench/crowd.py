"""Many clients at once: each asks a gateway for a completion as soon as its last one was answered."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from bench.load import MODEL

GIVES_UP_SECONDS = 60.0
_BODY = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}).encode()


@dataclass
class Answers:
    """How long each completion took, in seconds, and what was no completion."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    taken: float = 0.0

    def add(self, other: Answers) -> None:
        """Count another crowd's answers with these."""
        self.seconds += other.seconds
        self.errors += other.errors
        self.taken += other.taken

    def quantile(self, part: float) -> float:
        """The time within which this part of the completions came, in seconds."""
        if len(self.seconds) < 2:
            return float("nan")
        return statistics.quantiles(self.seconds, n=1000, method="inclusive")[round(part * 1000) - 1]

    @property
    def rate(self) -> float:
        """Completions a second."""
        return len(self.seconds) / self.taken


def ask(base_url: str, key: str, clients: int, seconds: float) -> Answers:
    """Let so many clients ask for so long, each over a connection that it keeps. Requests under way are awaited."""
    return asyncio.run(_crowd(base_url, key, clients, seconds))


async def _crowd(base_url: str, key: str, clients: int, seconds: float) -> Answers:
    answers = Answers()
    began = time.monotonic()
    async with asyncio.TaskGroup() as crowd:
        for _ in range(clients):
            crowd.create_task(_client(answers, base_url, key, began + seconds))
    answers.taken = time.monotonic() - began
    return answers


async def _client(answers: Answers, base_url: str, key: str, end: float) -> None:
    while time.monotonic() < end:
        try:
            await _ask_on_one_connection(answers, base_url, key, end)
        except (OSError, h11.RemoteProtocolError, TimeoutError) as problem:
            answers.errors.append(repr(problem))


async def _ask_on_one_connection(answers: Answers, base_url: str, key: str, end: float) -> None:
    url = urlsplit(base_url)
    async with asyncio.timeout(GIVES_UP_SECONDS):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
    connection = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", url.netloc),
        ("Authorization", f"Bearer sk-{key}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(_BODY))),
    ]
    try:
        while time.monotonic() < end and connection.our_state is h11.IDLE:
            began = time.monotonic()
            request = h11.Request(method="POST", target="/v1/chat/completions", headers=headers)
            for event in (request, h11.Data(_BODY), h11.EndOfMessage()):
                writer.write(connection.send(event) or b"")
            async with asyncio.timeout(GIVES_UP_SECONDS):
                status, body = await _answer(connection, reader)
            if status == 200 and b'"choices"' in body:
                answers.seconds.append(time.monotonic() - began)
            else:
                answers.errors.append(f"{status} {body[:200]!r}")
            if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
                connection.start_next_cycle()
    finally:
        writer.close()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return status, body
