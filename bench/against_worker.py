"""One of the two processes of `bench.against`: `python bench/against_worker.py PROJECT BASE` measures once a line.

It runs in the environment that has the client, so it imports nothing else of the project.
"""

from __future__ import annotations

import json
import sys
import time

CALLS = 100


def main(project: str, base: str) -> None:
    """Print the seconds of one call, the median of many, and those of the processor."""
    sys.path[:1] = [f"{project}/client", project]  # not this directory, which holds modules of the same names
    try:
        from llm_client import call_specific_model
    except ModuleNotFoundError:  # a commit in which the package was `client`
        from client import call_specific_model

    messages = [{"role": "user", "content": "Say hello in Chinese, please."}]

    def ask() -> float:
        begun = time.perf_counter()
        call_specific_model("m", messages, base_url=base, api_key="sk-" + "bench")
        return time.perf_counter() - begun

    for _ in range(2 * CALLS):
        ask()
    for _ in sys.stdin:
        begun = time.process_time()
        taken = sorted(ask() for _ in range(CALLS))
        print(json.dumps([taken[CALLS // 2], (time.process_time() - begun) / CALLS]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
