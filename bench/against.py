"""`make bench-client AGAINST=COMMIT`: a call over a kept connection, beside that of another commit.

Both clients stay in processes of their own and call in turns, a hundred calls each time, so that what else the
machine does meets both alike: what counts is the median of the ratios of neighbours.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .against_worker import CALLS
from .clients import OURS, ROOT, server

_TURNS = 200


def main(commit: str) -> int:
    """Measure and print."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, server() as base:
        subprocess.run(["tar", "--extract", "--directory", folder], input=packed, check=True)
        workers = [_worker(ROOT, base), _worker(Path(folder), base)]
        found: list[list[list[float]]] = [[], []]
        for turn in range(_TURNS):
            for number in (0, 1) if turn % 2 else (1, 0):
                found[number].append(_ask(workers[number]))
        for worker in workers:
            worker.communicate()
    for column, what in enumerate(("one call", "its processor time")):
        ours, other = ([row[column] for row in rows] for rows in found)
        ratio = statistics.median(one / two for one, two in zip(ours, other, strict=True))
        middle = [statistics.median(rows) * 1e6 for rows in (ours, other)]
        print(f"{what}, {_TURNS} turns of {CALLS}: {middle[0]:.1f} µs, {commit} {middle[1]:.1f} µs, ratio {ratio:.4f}")
    return 0


def _worker(project: Path, base: str) -> subprocess.Popen[str]:
    python = ROOT / ".venv/locked" / OURS.environment / "bin/python"
    command = [str(python), str(ROOT / "bench/against_worker.py"), str(project), base]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=project)


def _ask(worker: subprocess.Popen[str]) -> list[float]:
    if worker.stdin is None or worker.stdout is None:
        raise OSError("a worker without pipes")
    worker.stdin.write("\n")
    worker.stdin.flush()
    found: list[float] = json.loads(worker.stdout.readline())
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
