"""`make bench-load`: 200 clients at once on a deployed gateway, and on the same image as a bare container beside it.

Both are asked in turns, by the same way over the tailnet, for BENCH_SECONDS each. What counts is the ratio within one
run: this machine's seconds are no other machine's. What must hold: no error, and a median at most 5 % longer.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import crowd, load
from bench.backup import on
from bench.no_op import DIRECTORY, BenchError, deployed_lab
from gateway.secrets import Generated
from lab import networks
from oneapi import AdminClient

SECONDS = float(os.environ.get("BENCH_SECONDS", "120"))
SLICE_SECONDS = 10.0
CROWDS = (1, 200)
BARE_PORT = 3999
MOST_PERCENT = 5.0
OURS, BARE = "as deployed", "bare container"

# As somebody starts it who wants nothing but an answer: One API's own settings are the same, the host's are Docker's.
_START = f"""
set -e
docker rm --force bare > /dev/null 2>&1 || true
rm -rf /root/bare && mkdir -p /root/bare/data
sqlite3 {DIRECTORY}/data/one-api.db ".backup /root/bare/data/one-api.db"
image=$(docker inspect openclaw-llm-gateway --format '{{{{.Image}}}}')
docker run --detach --quiet --name bare --publish ADDRESS:{BARE_PORT}:3000 --volume /root/bare/data:/data \\
    --volume {DIRECTORY}/tiktoken:/tiktoken:ro --env TIKTOKEN_CACHE_DIR=/tiktoken --env SQLITE_BUSY_TIMEOUT=10000 \\
    --env SESSION_SECRET=of-the-bench --env TZ=Asia/Shanghai "$image" > /dev/null
for attempt in $(seq 300); do
    ! (exec 3<> /dev/tcp/ADDRESS/{BARE_PORT}) 2>/dev/null || exit 0
    sleep 0.2
done
docker logs bare >&2; exit 1
"""
_END = "docker rm --force bare > /dev/null; rm -rf /root/bare"


@dataclass
class Found:
    """What each of the two has answered to a crowd of that many clients."""

    clients: int
    answers: dict[str, crowd.Answers] = field(default_factory=lambda: {OURS: crowd.Answers(), BARE: crowd.Answers()})

    def added(self, part: float) -> float:
        """By how many percent longer this part of the completions took as deployed."""
        return 100 * (self.answers[OURS].quantile(part) / self.answers[BARE].quantile(part) - 1)


def measure(seconds: float) -> list[Found]:
    """Ask both in turns, for so many seconds each with each crowd. Raises BenchError."""
    lab, name = deployed_lab()
    address = lab.hosts[name].tailscale_address
    here = networks.address(lab.lan_subnet, 1)
    ports = {OURS: 3000, BARE: BARE_PORT}
    token = Generated.read(on(name, f"cat {DIRECTORY}/secrets.env")).access_token
    all_found = []
    with (
        load.reachable(name, here),
        load.upstream(here) as upstream,
        AdminClient(f"http://{address}:3000", access_token=token) as admin,
        load.client(admin, upstream) as key,
        _bare(name, address),
    ):
        for clients in CROWDS:
            found = Found(clients)
            for number in range(max(1, round(seconds / SLICE_SECONDS))):
                # Who is first changes, so that what one leaves to the other falls on both.
                for which in (OURS, BARE) if number % 2 else (BARE, OURS):
                    url = f"http://{address}:{ports[which]}"
                    found.answers[which].add(crowd.ask(url, key, clients, min(seconds, SLICE_SECONDS)))
            all_found.append(found)
    return all_found


@contextmanager
def _bare(name: str, address: str) -> Iterator[None]:
    try:
        on(name, f"bash -c {shlex.quote(_START.replace('ADDRESS', address))}")
        yield
    finally:
        on(name, _END)


def main() -> int:
    """Measure and print; 1 when the lab is not up, a request failed, or the deployment costs too much."""
    try:
        all_found = measure(SECONDS)
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 1
    errors = [error for found in all_found for answers in found.answers.values() for error in answers.errors]
    for found in all_found:
        print(f"{found.clients} clients at once, {SECONDS:.0f} s each, in turns:")
        for which, answers in found.answers.items():
            median, slow = (1e3 * answers.quantile(part) for part in (0.5, 0.95))
            print(
                f"  {which:16s} median {median:7.1f} ms  p95 {slow:7.1f} ms  {answers.rate:6.0f}/s"
                f"  {len(answers.seconds)} completions, {len(answers.errors)} errors"
            )
        print(f"  added: {found.added(0.5):+.1f} % of the median, {found.added(0.95):+.1f} % of p95")
    for error in sorted(set(errors))[:10]:
        print(f"  error: {error}", file=sys.stderr)
    return int(bool(errors) or any(found.added(0.5) > MOST_PERCENT for found in all_found))


if __name__ == "__main__":
    sys.exit(main())
