"""The asynchronous client in a real FastAPI whose clients go; `make test-runtimes` runs it, as it does trio's tests."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_server import FaultServer, Step
from raw_server import ANSWER

HERE = Path(__file__).resolve().parent
_OK = {"status": 200, "json": ANSWER}
_THREE = [{**_OK, "gather": 3}] * 3
_DELTA = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
_STREAM = {
    "status": 200,
    "headers": {"Content-Type": "text/event-stream"},
    "text": _DELTA,
    "framing": "chunked",
    "then": "endless",
}


@contextmanager
def serving(gateway: str) -> Iterator[tuple[int, int]]:
    """The service in a process of its own: its port and its process id."""
    command = [sys.executable, "-u", str(HERE / "fastapi_app.py"), gateway]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "client")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told = []
            for line in process.stderr:
                told.append(line)
                if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                    yield int(found[1]), process.pid
                    break
            else:
                raise AssertionError("".join(told))
            assert process.poll() is None, process.stderr.read()
        finally:
            process.terminate()


def connections(process: int, port: int) -> int:
    """How many sockets a process has whose other end is that port, whatever their state."""
    owned = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            owned.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[2].rpartition(":")[2], 16) == port and f"socket:[{row[9]}]" in owned for row in rows)


def wait_for(process: int, port: int, count: int) -> None:
    end = time.monotonic() + 10
    while (seen := connections(process, port)) != count and time.monotonic() < end:
        time.sleep(0.01)
    assert seen == count


@pytest.mark.parametrize(
    ("path", "steps"), [("/scope", _THREE), ("/dependency", _THREE), ("/stream", [*_THREE, _STREAM])]
)
def test_a_request_whose_client_goes_leaves_no_socket(path: str, steps: list[Step]) -> None:
    with FaultServer(steps) as gateway, serving(f"http://127.0.0.1:{gateway.port}") as (port, process):
        with socket.create_connection(("127.0.0.1", port)) as person:
            person.sendall(f"GET {path} HTTP/1.1\r\nHost: service\r\n\r\n".encode())
            wait_for(process, gateway.port, 3)
            if path != "/scope":
                assert person.recv(4096).startswith(b"HTTP/1.1 200")  # it has begun to answer
        wait_for(process, gateway.port, 0)
