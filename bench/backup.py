"""`python -m bench.backup`: a backup of 500 MB under 50 writes a second, beside SQLite's own `.backup` of it.

SQLite's own runs while nothing writes. What must hold: the copy takes at most 1.5 times as long.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import load
from bench.errors import BenchError
from bench.no_op import DIRECTORY, ROOT, deployed_lab
from lab import networks
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.inputs.secrets import Generated
from llm_gateway.parts.backups.archive import Outcome

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "500"))
RATE = 50.0
DATABASE = f"{DIRECTORY}/data/one-api.db"
# As wide as One API's own rows of a log, and no easier to compress.
_FILL = (
    "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,"
    " completion_tokens, channel_id) SELECT 1, 1757000000 + value, 2, hex(randomblob(90)), 'root', 'bench-fill',"
    " 'qwen-plus', value % 997, value % 4001, value % 499, 1 FROM generate_series(1, 100000);"
)
_EMPTY = "DELETE FROM logs WHERE token_name = 'bench-fill'; VACUUM;"


@dataclass
class Found:
    """Seconds of each round, the size of the database in bytes, and the loads."""

    alone: list[float] = field(default_factory=list)
    copies: list[float] = field(default_factory=list)
    wholes: list[float] = field(default_factory=list)
    size: int = 0
    loads: list[load.Load] = field(default_factory=list)


def measure(rounds: int, megabytes: int) -> Found:
    """Measure both in turn on the lab's gateway, and leave it as it was. Raises BenchError."""
    lab, name = deployed_lab()
    found = Found()
    base_url = f"http://{lab.hosts[name].tailscale_address}:3000"
    token = Generated.read(on(name, f"cat {DIRECTORY}/secrets.env")).access_token
    here = networks.address(lab.lan_subnet, 1)
    with (
        load.reachable(name, here),
        _filled(name, megabytes),
        AdminClient(base_url, access_token=token) as admin,
    ):
        found.size = int(on(name, f"stat -c %s {DATABASE}"))
        for _ in range(rounds):
            found.alone.append(_alone(name))
            with load.running(admin, base_url, here, RATE) as running:
                outcome = Outcome.parse(on(name, f"{DIRECTORY}/make-backup bench"))
            if outcome is None:
                raise BenchError("make-backup did not say how it ended")
            found.copies.append(outcome.locked_seconds)
            found.wholes.append(outcome.seconds)
            found.loads.append(running)
            on(name, f"rm {DIRECTORY}/backups/{outcome.file}")
    return found


def _alone(name: str) -> float:
    """SQLite's own, of a file that is in the page cache as well."""
    copy = f"{DIRECTORY}/bench-copy.db"
    timed = f'began=$(date +%s.%N) && sqlite3 {DATABASE} ".backup {copy}" && date +%s.%N && echo "$began" && rm {copy}'
    ended, began = on(name, f"cat {DATABASE} > /dev/null && {timed}").split()
    return float(ended) - float(began)


@contextmanager
def _filled(name: str, megabytes: int) -> Iterator[None]:
    try:
        while int(on(name, f"stat -c %s {DATABASE}")) < megabytes * 1_000_000:
            on(name, f"sqlite3 -cmd '.timeout 60000' {DATABASE} {shlex.quote(_FILL)}")
        yield
    finally:
        on(name, f"sqlite3 -cmd '.timeout 60000' {DATABASE} {shlex.quote(_EMPTY)}")


def on(name: str, command: str) -> str:
    """What a shell command, run as root on a host of the lab, prints. Raises BenchError."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", "ssh", name, "--", f"sudo sh -c {shlex.quote(command)}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"`{command}` failed on {name}: {done.stderr[-500:]}")
    return done.stdout


def main() -> int:
    """Measure and print; 1 when the lab is not up, a request failed, or the copy took too long."""
    began = time.monotonic()
    try:
        found = measure(ROUNDS, MEGABYTES)
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 1
    alone, copy, whole = (statistics.median(seconds) for seconds in (found.alone, found.copies, found.wholes))
    print(f"Backup of {found.size / 1e6:.0f} MB, {ROUNDS} rounds in turn, seconds:")
    for what, seconds in (
        ("SQLite's .backup alone, nothing writes", found.alone),
        ("the copy, under load (writers wait)", found.copies),
        ("the whole backup, under load", found.wholes),
    ):
        print(f"  {what:40s} {statistics.median(seconds):6.2f}  ({min(seconds):.2f}-{max(seconds):.2f})")
    print(
        f"  ratio of the copy {copy / alone:.2f} (at most 1.5), of the whole, checked and packed, {whole / alone:.2f}"
    )
    for each in found.loads:
        print(f"  load: {each}")
    print(json.dumps({"copy": copy / alone, "whole": whole / alone, "seconds": time.monotonic() - began}))
    return int(copy / alone > 1.5 or any(each.failed for each in found.loads))


if __name__ == "__main__":
    sys.exit(main())
