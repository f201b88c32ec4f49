"""`make bench-tokens`: a long Chinese prompt without punctuation, its tokens estimated and, beside it, counted.

What must hold with the real One API: estimating, which a deployment switches on, takes at most a hundredth. The lab's
stand-in has no encoder and estimates always, so with it there is nothing to compare: the bench says so.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field

import httpx

from bench import load
from bench.backup import on
from bench.errors import BenchError
from bench.no_op import DIRECTORY, deployed_lab
from lab import networks
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.inputs.secrets import Generated

CHARACTERS = int(os.environ.get("BENCH_CHARACTERS", "60000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LONGEST_SECONDS = 900.0
LEAST = 100.0
OPTION = "ApproximateTokenEnabled"
PROMPT = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(CHARACTERS))


@dataclass
class Found:
    """Seconds of each round; `is_real`, whether the image counts at all."""

    estimated: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    image: str = ""
    is_real: bool = False

    @property
    def ratio(self) -> float:
        """How many times as long counting takes."""
        return statistics.median(self.counted) / statistics.median(self.estimated)


def measure(rounds: int) -> Found:
    """Ask the lab's gateway, and leave it as it was. Raises BenchError or httpx.HTTPError."""
    lab, name = deployed_lab()
    image = on(name, "docker inspect openclaw-llm-gateway --format '{{.Config.Image}}'").strip()
    found = Found(image=image, is_real=bool(lab.gateway_image and not lab.gateway_image.is_stand_in))
    base_url, here = f"http://{lab.hosts[name].tailscale_address}:3000", networks.address(lab.lan_subnet, 1)
    token = Generated.read(on(name, f"cat {DIRECTORY}/secrets.env")).access_token
    with (
        load.reachable(name, here),
        load.upstream(here) as upstream,
        AdminClient(base_url, access_token=token) as admin,
        load.client(admin, upstream) as key,
    ):
        try:
            for seconds, value in ((found.estimated, "true"), (found.counted, "false")):
                admin.set_option(OPTION, value)
                seconds += [_ask(base_url, key) for _ in range(rounds)]
        finally:
            admin.set_option(OPTION, "true")
    return found


def _ask(base_url: str, key: str) -> float:
    began = time.monotonic()
    answer = httpx.post(
        f"{base_url}/v1/chat/completions",
        headers={"Authorization": f"Bearer sk-{key}"},
        json={"model": load.MODEL, "messages": [{"role": "user", "content": PROMPT}]},
        timeout=LONGEST_SECONDS,
        trust_env=False,
    )
    answer.raise_for_status()
    return time.monotonic() - began


def main() -> int:
    """Measure and print; 1 when the lab is not up, a request failed, or estimating gains too little."""
    try:
        found = measure(ROUNDS)
    except (BenchError, httpx.HTTPError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{found.image}: {CHARACTERS} Chinese characters without punctuation, {ROUNDS} rounds, seconds:")
    for what, seconds in (("estimated", found.estimated), ("counted", found.counted)):
        print(f"  {what:10s} {statistics.median(seconds):8.3f}  ({min(seconds):.3f}-{max(seconds):.3f})")
    if not found.is_real:
        print("  this is the lab's stand-in, which estimates always: nothing to compare")
        return 0
    print(f"  ratio {found.ratio:.0f} (at least {LEAST:.0f})")
    return int(found.ratio < LEAST)


if __name__ == "__main__":
    sys.exit(main())
