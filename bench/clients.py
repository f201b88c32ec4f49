"""`make bench-client`: the client beside raw httpx, openai and litellm, against one server, in turns.

What counts is the ratio within one run: this machine's seconds are no other machine's. `bench.against` compares with
another commit.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))


@dataclass(frozen=True)
class Client:
    """A client, and the environment (below `.venv/locked`) in which it is installed."""

    name: str
    environment: str


OURS, HTTPX, OPENAI = (Client(name, "bench-openai") for name in ("client", "httpx", "openai"))
LITELLM = Client("litellm", "bench-litellm")


@dataclass(frozen=True)
class Table:
    """One measurement: what, its unit and factor, and who takes part."""

    what: str
    title: str
    unit: str
    factor: float
    clients: tuple[Client, ...]
    rounds: int


TABLES = (
    Table("import", "import", "ms", 1e3, (OURS, HTTPX, OPENAI, LITELLM), ROUNDS),
    Table("call", "one call, median of 800", "µs", 1e6, (OURS, HTTPX, OPENAI, LITELLM), ROUNDS),
    Table("many", "64 calls at once, calls a second", "/s", 1, (OURS, HTTPX, OPENAI), ROUNDS),
    Table("memory", "memory, growth over 10,000 calls", "KiB", 1, (OURS,), 1),
)


def main() -> int:
    """Measure and print one table after the other."""
    try:
        with server() as base:
            for table in TABLES:
                _print(table, _measure(table, base))
    except (subprocess.CalledProcessError, OSError) as problem:
        print(f"{problem}\n{getattr(problem, 'stderr', '')}", file=sys.stderr)
        return 1
    return 0


def _measure(table: Table, base: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {client.name: [] for client in table.clients}
    for number in range(table.rounds):
        # Another one begins each time, so that none has always the same neighbour.
        turn = number % len(table.clients)
        for client in (*table.clients[turn:], *table.clients[:turn]):
            found[client.name].append(_once(table.what, client, base))
    return found


def _once(what: str, client: Client, base: str) -> float:
    python = ROOT / ".venv/locked" / client.environment / "bin/python"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "client"),
        # Without it litellm fetches a list of prices at every import.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    command = [str(python), str(ROOT / "bench/client_worker.py"), what, client.name, base]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(json.loads(run.stdout.splitlines()[-1]))


def _print(table: Table, found: dict[str, list[float]]) -> None:
    print(f"{table.title}, {table.rounds} rounds in turns: median (lowest-highest), and beside ours")
    ours = statistics.median(found[OURS.name])
    for name, values in found.items():
        middle = statistics.median(values)
        low, high = min(values) * table.factor, max(values) * table.factor
        beside = f"ours is {ours / middle:.2f} of it" if name != OURS.name else ""
        print(f"  {name:8s} {middle * table.factor:9.1f} {table.unit:4s} ({low:.1f}-{high:.1f})  {beside}")


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.loopback"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            port = int(server.stdout.readline()) if server.stdout else 0
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
