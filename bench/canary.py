"""`make bench-canary`: what a look of the canary costs the host's processor, beside an older commit's (AGAINST).

Both look in turns, on the lab's gateway, while nothing is wrong; the newer one has three destinations for its alarms.
What must hold: at most 1.2 times as much.
"""

from __future__ import annotations

import base64
import os
import shlex
import statistics
import subprocess
import sys
from dataclasses import dataclass

from bench.backup import on
from bench.errors import BenchError
from bench.no_op import DIRECTORY, deployed_lab
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.layout import CANARY, CANARY_CONF

AGAINST = os.environ.get("AGAINST", "3409049")
"""The last commit whose canary knew gateway_alert_command alone."""
TURNS = int(os.environ.get("BENCH_TURNS", "25"))
MOST = 1.2
_OLDER = f"{CANARY}.of-the-bench"
# The processor's time of the script and all that it calls; that of One API and of Tailscale is not in it.
_TIMED = f"""
set -e
cd {DIRECTORY}
cp -p {CANARY_CONF} {CANARY_CONF}.of-the-bench
trap 'mv -fT {CANARY_CONF}.of-the-bench {CANARY_CONF}' EXIT
echo 'alerts=(ntfy:ONE feishu:TWO email:THREE)' >> {CANARY_CONF}
TIMEFORMAT='%3U %3S'
for turn in $(seq TURNS); do
    for script in {_OLDER} {CANARY}; do
        echo "$script $({{ time ./$script > /dev/null 2>&1; }} 2>&1)"
    done
done
"""


@dataclass(frozen=True)
class Found:
    """Seconds of the processor, of each look in turns."""

    older: list[float]
    now: list[float]

    @property
    def ratio(self) -> float:
        """The median of the pairs of looks beside each other."""
        return statistics.median(now / older for older, now in zip(self.older, self.now, strict=True))


def measure(commit: str, turns: int) -> Found:
    """Measure on the lab's gateway, and leave it as it was. Raises BenchError."""
    _, name = deployed_lab()
    shown = subprocess.run(
        ["git", "show", f"{commit}:files/{CANARY}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise BenchError(f"there is no files/{CANARY} in the commit {commit}: {shown.stderr.strip()}")
    older = base64.b64encode(shown.stdout.encode()).decode()
    on(name, f"echo {older} | base64 -d > {DIRECTORY}/{_OLDER} && chmod 755 {DIRECTORY}/{_OLDER}")
    try:
        lines = on(name, f"bash -c {shlex.quote(_TIMED.replace('TURNS', str(turns)))}").splitlines()
    finally:
        on(name, f"rm -f {DIRECTORY}/{_OLDER}")
    seconds: dict[str, list[float]] = {_OLDER: [], CANARY: []}
    for line in lines:
        script, *parts = line.split()
        seconds[script].append(sum(map(float, parts)))
    return Found(seconds[_OLDER], seconds[CANARY])


def main() -> int:
    """Measure and print; 1 when the lab is not up, or a look costs too much."""
    try:
        found = measure(AGAINST, TURNS)
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 1
    older, now = statistics.median(found.older), statistics.median(found.now)
    print(f"{len(found.now)} looks of each in turns, of the processor: {AGAINST} {older:.3f} s, now {now:.3f} s")
    print(f"  median of the ratios: {found.ratio:.2f} (at most {MOST})")
    return int(found.ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
