"""A name with an address of each family, and a round trip of 300 ms; `make test-runtimes` runs it on each Node.

The network is a namespace with a device that delays (far_network.py): it needs `unshare` and /dev/net/tun.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from far_network import NAME, PORT
from node_process import MODULE, node_binary

PROGRAM = Path(__file__).with_name("far_network.py")
_CALL = """
const [, module, base] = process.argv;
Object.assign(process.env, { LLM_BASE_URL: base, LLM_API_KEY: "k-1" });
const began = Date.now();
require(module).callSpecificModel("m", [{ role: "user", content: "hello" }], { timeoutMs: 8000 }).then(
  (answer) => console.log(answer.choices[0].message.content, Date.now() - began),
  (error) => console.log(error.summary, Date.now() - began),
);
"""


def call(milliseconds: int, lost: str, *options: str) -> tuple[str, int]:
    """What a call prints in such a network, and how many milliseconds it took."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    node = [str(node_binary()), *options, "--eval", _CALL, "--", str(MODULE), f"http://{NAME}:{PORT}"]
    command = ["unshare", *root, "--net", "--mount", sys.executable, str(PROGRAM), str(milliseconds), lost, "--", *node]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    told, _, took = run.stdout.strip().rpartition(" ")
    return told, int(took)


@pytest.mark.parametrize("order", ["ipv4first", "verbatim"])
@pytest.mark.parametrize("lost", ["nothing", "route", "ipv6", "ipv4"])
def test_both_families_are_tried_within_the_deadline(lost: str, order: str) -> None:
    told, took = call(300, lost, f"--dns-result-order={order}")
    assert told == "hi"
    assert 600 <= took < 8000, "a connection and a request take two round trips"
