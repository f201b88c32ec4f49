"""`make bench`: a run that changes nothing beside one ssh session and Ansible; the reconciler; many hosts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from bench import no_op, reconcile, scale
from bench.errors import BenchError

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
ROUND_TRIPS = (0.0, 0.08)


def main() -> int:
    """Measure and print; 1 when the lab is not up or a measured run failed."""
    try:
        for round_trip in ROUND_TRIPS:
            print(f"No-op of one gateway host over a link of {round_trip * 1000:.0f} ms, {ROUNDS} rounds, interleaved:")
            _print_no_op(no_op.measure(round_trip, ROUNDS))
        print("\nThe reconciler, on the lab's gateway:")
        for each in reconcile.measure(ROUNDS):
            print(f"  {each.what:48s} {each.seconds:6.2f} s  {each.requests} requests")
        print("\nA dry run of a whole fleet (pyinfra's @fake connector, 85 ms a command):")
        for hosts, seconds in scale.measure((1, 10, 50)):
            print(f"  {hosts:3d} hosts  {seconds:6.2f} s")
    except (BenchError, subprocess.CalledProcessError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _print_no_op(found: no_op.Found) -> None:
    least = statistics.median(found.seconds[no_op.BASH])
    for name, seconds in found.seconds.items():
        middle = statistics.median(seconds)
        print(f"  {name:24s} {middle:6.2f} s  ({min(seconds):.2f}-{max(seconds):.2f})  {middle / least:5.2f} x")
    print(f"  {found.channels} by pyinfra; the models' time is left out of all")


if __name__ == "__main__":
    sys.exit(main())
