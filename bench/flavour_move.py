"""`make bench-new-api`: how long nobody serves while a gateway of One API with 500 MB becomes one of new-api.

Side by side in one run with an upgrade from One API to One API of the same database, in a lab of its own, which is
taken down afterwards (KEEP_LAB=1 leaves it). What must hold: at most 1.3 times as long. With real images where they are
handed in (LAB_GATEWAY_ARCHIVE) or a registry gives them, else with stand-ins.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench.errors import BenchError
from lab import state

ROOT = Path(__file__).parent.parent
HOST = "gw1"
DATABASE = "/opt/openclaw-llm-gateway/data/one-api.db"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "500"))
MOST = 1.3
_ROW_BYTES = 420
"""What a row of the logs takes with its part of the indices of One API."""
_FILL = """
PRAGMA synchronous = OFF;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,
    completion_tokens, channel_id)
SELECT 1, 1700000000 + i, 2, hex(randomblob(150)), 'root', 'agent' || i % 7, 'model' || i % 3, i % 1000, 100, 20, 1
FROM n;
"""
_STEP = re.compile(r"\[[\w-]+\]\s+((?:upgrade|trial|carrying|making|loading).*) \.\.\.$")
_OUTAGE = re.compile(r"nobody was served for ([0-9.]+) s")
_SAME, _OTHER = "One API to One API", "One API to new-api"


@dataclass(frozen=True)
class Image:
    """A name, and the archive on this machine that holds it."""

    name: str
    archive: str


@dataclass
class Found:
    """Seconds of outage, round by round, and when each step of a round began, in seconds from its start."""

    outages: dict[str, list[float]] = field(default_factory=lambda: {_SAME: [], _OTHER: []})
    steps: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    size: int = 0


def main() -> int:
    """Measure and print; 1 when the figure is missed, 2 when it could not be measured."""
    os.environ["LAB_NAME"] = os.environ.get("BENCH_LAB_NAME", "bench-new-api")
    os.environ.setdefault("LAB_GATEWAY", "one-api,new-api")
    try:
        with tempfile.TemporaryDirectory() as place:
            return _report(measure(Path(place), ROUNDS, MEGABYTES))
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 2
    finally:
        if not os.environ.get("KEEP_LAB"):
            _lab("down", may_fail=True)


def measure(place: Path, rounds: int, megabytes: int) -> Found:
    """Bring a lab up, and measure both in turn; between rounds the data from before come back. Raises BenchError."""
    print(f"bringing up a host, and filling a database with {megabytes} MB ...", flush=True)
    _lab("down", may_fail=True)
    _lab("up", "--hosts", f"{HOST}:ready")
    images = state.load().gateway_images
    one, new = (Image(images[name].reference, images[name].archive or "") for name in ("one-api", "new-api"))
    again = _relabelled(one, place)
    _deploy(one)
    rows = megabytes * 1_000_000 // _ROW_BYTES
    _lab("ssh", HOST, "--", "sudo", "sqlite3", DATABASE, stdin=_FILL.format(rows=rows))
    found = Found(size=int(_lab("ssh", HOST, "--", "sudo", "stat", "-c", "%s", DATABASE)))
    for _ in range(rounds):
        _deploy(again, found, _SAME)
        _deploy(new, found, _OTHER)
        _pyinfra("deploys/rollback.py", new, "--data", f"yes={HOST}")
        again, one = one, again
    return found


def _relabelled(image: Image, place: Path) -> Image:
    """The same software in another image, as a new version would be."""
    name = f"{image.name.rpartition(':')[0]}:again"
    archive = place / "again.tar"
    _run(["docker", "build", "--quiet", "--tag", name, "-"], f"FROM {image.name}\nLABEL bench=again\n")
    _run(["docker", "save", "--output", str(archive), name])
    return Image(name, str(archive))


def _deploy(image: Image, found: Found | None = None, what: str = "") -> None:
    began = time.monotonic()
    output = ""
    steps: list[tuple[str, float]] = []
    with subprocess.Popen(
        _command("deploy.py", image),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        for line in run.stdout or ():
            output += line
            if match := _STEP.search(line.rstrip()):
                steps.append((match[1], time.monotonic() - began))
    if run.returncode:
        raise BenchError(f"the deployment of {image.name} failed:\n{output[-4000:]}")
    if found is None:
        return
    if not (outage := _OUTAGE.search(output)):
        raise BenchError(f"the deployment of {image.name} told no outage:\n{output[-4000:]}")
    found.outages[what].append(float(outage[1]))
    found.steps[what] = [*steps, ("", time.monotonic() - began)]
    print(f"  {what}: {outage[1]} s", flush=True)


def _report(found: Found) -> int:
    print(f"A database of {found.size / 1e6:.0f} MB, {ROUNDS} rounds in turn; the steps are the last round's:")
    for what, steps in found.steps.items():
        seconds = found.outages[what]
        print(f"  {what}: nobody served for {statistics.median(seconds):.1f} s ({min(seconds):.1f}-{max(seconds):.1f})")
        for (step, began), (_, ended) in pairwise(steps):
            print(f"    {ended - began:6.2f} s  {step}")
    ratio = statistics.median(found.outages[_OTHER]) / statistics.median(found.outages[_SAME])
    print(f"ratio {ratio:.2f} (at most {MOST})")
    print(json.dumps({"megabytes": found.size / 1e6, "outages": found.outages, "ratio": ratio}))
    return int(ratio > MOST)


def _command(script: str, image: Image, *more: str) -> list[str]:
    command = [sys.executable, "-m", "pyinfra", "-y", "--limit", HOST, "lab/inventory.py", script]
    archive = image.archive or "null"
    return [*command, "--data", f"gateway_image={image.name}", "--data", f"gateway_image_archive={archive}", *more]


def _pyinfra(script: str, image: Image, *more: str) -> None:
    _run(_command(script, image, *more))


def _lab(*arguments: str, stdin: str = "", may_fail: bool = False) -> str:
    return _run([sys.executable, "-m", "lab", *arguments], stdin, may_fail=may_fail)


def _run(command: list[str], stdin: str = "", *, may_fail: bool = False) -> str:
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode and not may_fail:
        raise BenchError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
