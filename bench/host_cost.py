"""`make bench-load`: 200 clients at once on a deployed gateway, and on the same image as a bare container beside it.

Both are asked in turns, by the same way over the tailnet, for BENCH_SECONDS each. What counts are the ratios of turns
beside each other: this machine's seconds are no other machine's, and other work on it comes and goes. What must hold:
no error, and a completion that takes at most 5 % longer (by the median of the ratios).
"""

from __future__ import annotations

import os
import shlex
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import crowd, load
from bench.backup import on
from bench.errors import BenchError
from bench.no_op import DIRECTORY, deployed_lab
from lab import networks
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.inputs.secrets import Generated

SECONDS = float(os.environ.get("BENCH_SECONDS", "120"))
TURN_SECONDS = 5.0
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

    percents: list[float] = field(default_factory=list)
    """Of each pair of turns: by how much longer a completion took as deployed, on the average."""

    def add(self, ours: crowd.Answers, bare: crowd.Answers) -> None:
        """Count two turns that were beside each other."""
        self.answers[OURS].add(ours)
        self.answers[BARE].add(bare)
        if ours.seconds and bare.seconds:
            self.percents.append(100 * (statistics.fmean(ours.seconds) / statistics.fmean(bare.seconds) - 1))

    @property
    def added(self) -> tuple[float, float, float]:
        """The quartiles of these percents."""
        if len(self.percents) < 2:
            return float("nan"), float("nan"), float("nan")
        one, middle, three = statistics.quantiles(self.percents, method="inclusive")
        return one, middle, three


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
            for number in range(max(2, round(seconds / TURN_SECONDS))):
                # Who is first changes, so that what one leaves to the other falls on both.
                order = (OURS, BARE) if number % 2 else (BARE, OURS)
                urls = {which: f"http://{address}:{ports[which]}" for which in order}
                turn = {which: crowd.ask(urls[which], key, clients, TURN_SECONDS) for which in order}
                found.add(turn[OURS], turn[BARE])
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
        one, middle, three = found.added
        print(
            f"  added: {middle:+.1f} % to a completion (quartiles of {len(found.percents)}: {one:+.1f}, {three:+.1f})"
        )
    for error in sorted(set(errors))[:10]:
        print(f"  error: {error}", file=sys.stderr)
    return int(bool(errors) or any(found.added[1] > MOST_PERCENT for found in all_found))


if __name__ == "__main__":
    sys.exit(main())
