"""A write load on the lab's gateway by the real path: completions, each of which it logs and charges in its database.

They are answered by a server of this machine's that answers at once, so that the load can be steady on two cores.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from llm_gateway.flavours import ChannelSpec, TokenSpec
from llm_gateway.flavours.oneapi import AdminClient

ROOT = Path(__file__).parent.parent
MODEL = "load-model"
NAME = "load"
WORKERS = 10


@dataclass
class Load:
    """What came of it; `slowest` and `taken` are in seconds."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    taken: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second, of those that were answered well."""
        return (self.sent - len(self.failed)) / self.taken if self.taken else 0.0

    def __str__(self) -> str:
        return (
            f"{self.sent} requests in {self.taken:.1f} s ({self.rate:.0f}/s), {len(self.failed)} failed, the slowest"
            f" took {self.slowest:.2f} s"
        )


@contextmanager
def running(admin: AdminClient, base_url: str, lan_address: str, rate: float) -> Iterator[Load]:
    """Let completions come at that rate, in requests a second, for as long as the block lasts.

    Parameters: `base_url`, the gateway's; `lan_address`, this machine's as the gateway's host sees it.
    """
    with upstream(lan_address) as url, client(admin, url) as key:
        load, stopped = Load(), threading.Event()
        lock = threading.Lock()
        workers = [
            threading.Thread(target=_work, args=(load, lock, stopped, base_url, key, number, rate), daemon=True)
            for number in range(WORKERS)
        ]
        began = time.monotonic()
        for worker in workers:
            worker.start()
        try:
            yield load
        finally:
            stopped.set()
            for worker in workers:
                worker.join()
            load.taken = time.monotonic() - began


def _work(
    load: Load, lock: threading.Lock, stopped: threading.Event, base_url: str, key: str, number: int, rate: float
) -> None:
    every = WORKERS / rate
    due = time.monotonic() + number / rate
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer sk-{key}"}, timeout=60) as client:
        while not stopped.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            try:
                answer = client.post("/v1/chat/completions", json=body)
                problem = None if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
            except httpx.HTTPError as error:
                problem = repr(error)
            with lock:
                load.sent += 1
                load.slowest = max(load.slowest, time.monotonic() - began)
                load.failed += [problem] if problem else []
            due += every


@contextmanager
def reachable(name: str, address: str) -> Iterator[None]:
    """While the block runs, the gateway on that host of the lab may reach a private address, that of the load's server.

    Raises subprocess.CalledProcessError where a deployment fails.
    """
    _deploy(name, "--data", f'gateway_private_upstreams=["{address}"]')
    try:
        yield
    finally:
        _deploy(name)


def _deploy(name: str, *arguments: str) -> None:
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    command = [pyinfra, "-y", "--limit", name, *arguments, "lab/inventory.py", "deploy.py"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)


@contextmanager
def upstream(address: str) -> Iterator[str]:
    """The server that answers at once, on this address of this machine; its URL."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.loopback", address], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        port = (server.stdout.readline() if server.stdout else "").strip()
        yield f"http://{address}:{port}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def client(admin: AdminClient, upstream: str) -> Iterator[str]:
    """A channel to the server here and a token for it, of which this is the key; both go again."""
    admin.create_channel(ChannelSpec(NAME, 1, upstream, "key-for-the-load", (MODEL,)))
    token = admin.create_token(TokenSpec(NAME))
    try:
        yield token.key
    finally:
        admin.delete_token(token.id)
        for channel in admin.channels():
            if channel.name == NAME:
                admin.delete_channel(channel.id)
