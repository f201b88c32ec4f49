"""`make bench-usage`: a report of a million rows of the log, beside the same sum by one statement of sqlite3.

Both on this machine, in turns, as a host runs them; the files of the log are there, too, as many as are read (256 MiB).
Meanwhile somebody writes rows as the gateway does, and looks a token up before each: how long that takes while nobody
reads, and while either reads. What must hold: the report takes at most 1.5 times as long as the statement.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from llm_gateway.flavours.oneapi.usage import LOG
from llm_gateway.hosts import sums
from llm_gateway.model.usage import Price, Query, Zone, parse_by, stretches, zone_of

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
FILE_MIB = int(os.environ.get("BENCH_MEGABYTES", "256"))
MOST = 1.5
BY = "agent,model,day"
BEGIN = 1_788_000_000
PAUSE_SECONDS = 0.01
# As wide as One API's own rows and with its indexes (model/log.go); a row every 7 s.
_SCHEMA = """
CREATE TABLE logs (id integer PRIMARY KEY AUTOINCREMENT, user_id integer, created_at bigint, type integer, content text,
    username text DEFAULT "", token_name text DEFAULT "", model_name text DEFAULT "", quota integer DEFAULT 0,
    prompt_tokens integer DEFAULT 0, completion_tokens integer DEFAULT 0, channel_id integer);
CREATE INDEX idx_logs_user_id ON logs(user_id);
CREATE INDEX idx_created_at_type ON logs(created_at, type);
CREATE INDEX index_username_model_name ON logs(model_name, username);
CREATE INDEX idx_logs_token_name ON logs(token_name);
CREATE INDEX idx_logs_model_name ON logs(model_name);
CREATE INDEX idx_logs_channel_id ON logs(channel_id);
CREATE TABLE channels (id integer PRIMARY KEY, name text);
CREATE TABLE tokens (id integer PRIMARY KEY, key text UNIQUE);
INSERT INTO tokens VALUES (1, 'k');
"""
_FILL = """
INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,
    completion_tokens, channel_id)
SELECT 1, ? + value * 7, 2, '模型倍率 30.00，分组倍率 1.00，补全倍率 1.00', 'root', 'agent' || (value * 7919 % 10),
    substr('qwen3.5-plusMiniMax-M2.5', 1 + value % 2 * 12, 12), value % 997, value * 31 % 4001, value * 17 % 499,
    1 + value % 3
FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE value < ? - 1) SELECT value FROM n)
"""
_STATEMENT = (  # the sums alone, without prices
    "SELECT token_name, model_name, (created_at + 28800) / 86400, count(*), sum(prompt_tokens), sum(completion_tokens)"  # noqa: S608
    f" FROM logs WHERE created_at >= {BEGIN} AND type = 2 GROUP BY 1, 2, 3;"
)
# Whoever measures need not be root.
_AS_ROOT = 'id() { echo 0; }\nsetpriv() { while [ "$1" != -- ]; do shift; done; shift; "$@"; }\n'
_LINES = (
    "[GIN] 2027/01/01 - 00:00:00 | 2027010100000012345678 | 200 |  1.2s |  100.64.0.7 | POST /v1/chat/completions\n"
    "[INFO] 2027/01/01 - 00:00:00 | 2027010100000012345678 | record consume log: userId=1, channelId=1, promptTokens=9,"
    " completionTokens=3, modelName=qwen3.5-plus, tokenName=agent1, quota=360, content=1 \n"
)
_FAILED = "[ERR] 2027/01/01 - 00:00:00 | 1 | relay error (channel id 1, user id: 1): upstream \n"


@dataclass
class Found:
    """Seconds of each round, seconds of each write in each state, and the bytes that a report prints."""

    statement: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    writes: dict[str, list[float]] = field(default_factory=dict)
    printed: int = 0

    @property
    def ratio(self) -> float:
        """The medians."""
        return statistics.median(self.report) / statistics.median(self.statement)


def fill(directory: Path, rows: int, mebibytes: int) -> None:
    """Make a gateway's directory with a log of that many rows, and files of it."""
    (directory / "data/logs").mkdir(parents=True)
    with closing(sqlite3.connect(directory / "data/one-api.db")) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(_SCHEMA)
        database.execute(_FILL, (BEGIN, rows))
    block = (_LINES * 1000 + _FAILED).encode()
    with (directory / "data/logs/oneapi-20270101.log").open("wb") as file:
        for _ in range((mebibytes << 20) // len(block)):
            file.write(block)


def script(directory: Path, by: str) -> str:
    """What a host runs."""
    name, zone = zone_of("Asia/Shanghai")
    begin = datetime.fromtimestamp(BEGIN, UTC)
    prices = [Price("qwen3.5-plus", "CNY", Decimal("0.8"), Decimal("4.8")), Price("x", "USD", Decimal(1), Decimal(2))]
    changes, priced = stretches(prices, begin, zone)
    query = Query(parse_by(by), BEGIN, Zone.over(name, zone, begin, datetime.now(UTC)), changes, priced)
    return _AS_ROOT + sums.script(str(directory), str(directory / "data/one-api.db"), LOG, query, zone)


@contextmanager
def writing(file: Path, taken: list[float]) -> Iterator[None]:
    """While the block runs, a token is looked up and a row written again and again; how long each time, in seconds.

    One API waits for 10 s as deployed and gives up; here each is waited for.
    """
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(file, timeout=120, isolation_level=None)) as database:
            while not ended.wait(PAUSE_SECONDS):
                began = time.perf_counter()
                database.execute("SELECT id FROM tokens WHERE key = 'k'").fetchall()
                database.execute("INSERT INTO logs (created_at, type, token_name) VALUES (?, 9, 'bench')", (BEGIN,))
                taken.append(time.perf_counter() - began)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure(rounds: int, rows: int, mebibytes: int) -> Found:
    """Measure in turns. Raises subprocess.CalledProcessError."""
    found = Found()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        fill(directory, rows, mebibytes)
        file, text = directory / "data/one-api.db", script(directory, BY)
        ways: dict[str, Callable[[], int]] = {
            "one statement": lambda: len(
                _output(["sqlite3", "-readonly", "-cmd", ".timeout 120000", str(file), _STATEMENT])
            ),
            "the report": lambda: len(_output(["sh", "-c", text])),
        }
        for _ in range(rounds):
            for way, seconds in zip(ways.values(), (found.statement, found.report), strict=True):
                began = time.perf_counter()
                found.printed = way()
                seconds.append(time.perf_counter() - began)
        ways = {"nothing": lambda: time.sleep(statistics.median(found.report)) or 0, **ways}
        for name, way in ways.items():
            with writing(file, found.writes.setdefault(name, [])):
                for _ in range(2):
                    way()
    return found


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def main() -> int:
    """Measure and print; 1 where something failed, or the report took too long."""
    try:
        found = measure(ROUNDS, ROWS, FILE_MIB)
    except subprocess.CalledProcessError as problem:
        print(f"{shlex.join(problem.cmd[:1])}: {problem.stderr.decode(errors='replace')}", file=sys.stderr)
        return 1
    print(f"Usage of {ROWS:,} rows by {BY}, {ROUNDS} rounds in turns, {FILE_MIB} MiB of files; median:")
    for name, seconds in (("one statement", found.statement), ("the report", found.report)):
        print(f"  {name:14s} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f}-{max(seconds):.2f})")
    print(f"  ratio {found.ratio:.2f} (at most {MOST}); {found.printed:,} bytes over the wire")
    print("A look-up of a token and a row written, while there runs:")
    for name, seconds in found.writes.items():
        late = sorted(seconds)[len(seconds) * 99 // 100]
        print(
            f"  {name:14s} median {statistics.median(seconds) * 1000:6.1f} ms  p99 {late * 1000:7.1f} ms"
            f"  slowest {max(seconds) * 1000:7.1f} ms  ({len(seconds)})"
        )
    return int(found.ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
