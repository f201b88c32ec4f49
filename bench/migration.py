"""`make bench-migration`: how long nobody serves while a gateway with a database of 500 MB moves to another host.

In a lab of its own, which is taken down afterwards (KEEP_LAB=1 leaves it): a deployed gateway whose database is filled
with logs, an agent that uses it, and a bare host that it moves to.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE, TARGET, AGENT = "gw1", "gw2", "agent1"
DIRECTORY = "/opt/openclaw-llm-gateway"
MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "500"))
MOST_OUTAGE_SECONDS = 10.0
MOST_MEMORY_MB = 64.0
_ROW_BYTES = 380
"""What a row of the logs takes with its part of the indices."""
_STEP = re.compile(r"\[[\w-]+\]\s+(migration: .*) \.\.\.$")
_OUTAGE = re.compile(r"outage: ([0-9.]+) s until the first completion on [\w-]+, ([0-9.]+) s until the last")
_FILL = """
PRAGMA synchronous = OFF;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,
    completion_tokens, channel_id)
SELECT 1, 1700000000 + i, 2, hex(randomblob(150)), 'root', 'agent' || i % 7, 'model' || i % 3, i % 1000, 100, 20, 1
FROM n;
"""
_INVENTORY = """
from lab.inventory import gateways as _gateways, openclaw as _openclaw
gateways = [(n, d) for n, d in _gateways if n in {gateways}]
openclaw = [(n, {{**d, "openclaw_gateway": {gateway!r}}}) for n, d in _openclaw]
"""


class BenchError(Exception):
    """The measurement cannot be made; the text says why."""


@dataclass
class Watched:
    """A run: when each of its steps began, in seconds, and its memory meanwhile, in MB."""

    output: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    base: float = 0.0
    """Just before the first step."""


def main() -> int:
    """Measure and print; 1 when a figure is missed, 2 when it could not be measured."""
    os.environ["LAB_NAME"] = os.environ.get("BENCH_LAB_NAME", "bench-migration")
    try:
        with tempfile.TemporaryDirectory() as place:
            return _report(_measure(Path(place)))
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 2
    finally:
        if not os.environ.get("KEEP_LAB"):
            _lab("down")


def _measure(place: Path) -> Watched:
    print(f"bringing up two hosts and an agent, and filling a database with {MEGABYTES} MB ...", flush=True)
    _lab("down", may_fail=True)
    _lab("up", "--hosts", f"{SOURCE}:fresh,{TARGET}:fresh,{AGENT}:agent")
    before, after = place / "before.py", place / "after.py"
    before.write_text(_INVENTORY.format(gateways=[SOURCE], gateway=SOURCE))
    after.write_text(_INVENTORY.format(gateways=[SOURCE, TARGET], gateway=TARGET))
    _run([*_pyinfra(before), "deploy.py"])
    database = f"{DIRECTORY}/data/one-api.db"
    _run(
        [sys.executable, "-m", "lab", "ssh", SOURCE, "--", "sudo", "sqlite3", database],
        _FILL.format(rows=MEGABYTES * 1_000_000 // _ROW_BYTES),
    )
    size = int(_lab("ssh", SOURCE, "--", "sudo", "stat", "-c", "%s", database))
    print(f"the database has {size / 1e6:.0f} MB; migrating ...", flush=True)
    return _watch([*_pyinfra(after), "deploys/migrate.py", "--data", f"source={SOURCE}"])


def _report(found: Watched) -> int:
    for (step, began), (_, ended) in zip(found.steps, [*found.steps[1:], ("", found.steps[-1][1])], strict=True):
        extra = found.memory.get(step, found.base) - found.base
        print(f"  {ended - began:6.2f} s  {extra:+6.1f} MB  {step}")
    outage = _OUTAGE.search(found.output)
    if outage is None:
        raise BenchError(f"the migration told no outage:\n{found.output[-3000:]}")
    first, last, most = float(outage[1]), float(outage[2]), max(found.memory.values()) - found.base
    print(f"outage: {first:.1f} s until the first completion, {last:.1f} s until the agent was pointed at the new one")
    print(f"  (at most {MOST_OUTAGE_SECONDS:.0f} s); memory: {most:+.1f} MB at most (at most {MOST_MEMORY_MB:.0f} MB)")
    return 0 if first <= MOST_OUTAGE_SECONDS and most <= MOST_MEMORY_MB else 1


def _pyinfra(inventory: Path) -> list[str]:
    return [sys.executable, "-m", "pyinfra", "-y", str(inventory)]


def _lab(*arguments: str, may_fail: bool = False) -> str:
    return _run([sys.executable, "-m", "lab", *arguments], may_fail=may_fail)


def _run(command: Sequence[str], stdin: str = "", may_fail: bool = False) -> str:
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode and not may_fail:
        raise BenchError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _watch(command: Sequence[str]) -> Watched:
    found = Watched()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        over = threading.Event()
        watcher = threading.Thread(target=_watch_memory, args=(run.pid, found, over))
        watcher.start()
        if run.stdout:
            for line in run.stdout:
                found.output += line
                if match := _STEP.search(line.rstrip()):
                    found.base = found.base or _memory(run.pid)
                    found.steps.append((match[1], time.monotonic()))
        over.set()
        watcher.join()
    if run.returncode or not found.steps:
        raise BenchError(f"the migration failed:\n{found.output[-4000:]}")
    return found


def _watch_memory(pid: int, found: Watched, over: threading.Event) -> None:
    while not over.wait(0.05):
        if found.steps and (memory := _memory(pid)):
            step = found.steps[-1][0]
            found.memory[step] = max(found.memory.get(step, 0.0), memory)


def _memory(pid: int) -> float:
    """What a process has in memory, in MB; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    sys.exit(main())
