"""`make bench-page`: the page of 50 gateways beside the page of one, from recorded answers, whole processes in turns.

The hosts are pretended ones (pyinfra's @fake connector, which answers at once): what is measured is what this machine
does. Each answers as a deployed gateway, with two weeks of its canary, 14 backups and the sums of 40 agents and models.
What must hold: the page of 50 takes at most five times as long as that of one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.errors import BenchError

ROOT = Path(__file__).parent.parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SIZES = (1, 50)
MOST = 5.0
_INVENTORY = """
import gzip as _gzip, time as _time
from tests.unit import fake_hosts as _fake
from tests.unit.deployed import deployed as _deployed

_NOW = int(_time.time())
_sums = [f"group|{{agent:02x}}|{{model:02x}}|||{{agent * 90 + model}}|39118|4021|0|1.25||0"
         for agent in range(48, 56) for model in range(65, 70)]
_USAGE = _gzip.compress("\\n".join(["total|40|12000|100000|9000|0|50.0||0", *_sums]).encode())
_SEEN = {{
    "now": str(_NOW),
    "disks": "Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/a 41943040 9 31457280 9% /\\n",
    "database_bytes": "41152736",
    "log_files": "1024\\t/x",
    "canary_results": 288 * '{{"at": "2026-12-01T00:00:00Z", "ok": true, "seconds": 0.80, "error": ""}}\\n',
    "canary_hours": "".join(
        _time.strftime("%Y-%m-%dT%H", _time.gmtime(_NOW - 3600 * back)) + f" 12 {{int(back % 50 == 0)}} 9.6 1.2\\n"
        for back in range(335, -1, -1)
    ),
    "backups": "".join(
        f"gateway-{{day}}T031500Z.tar.gz {{5000000 + day}} {{_NOW - 86400 * day}}.0\\n" for day in range(13, -1, -1)
    ),
}}


def _usage():
    import base64
    lines = ["usage " + base64.b64encode(_USAGE).decode(), "end " + base64.b64encode(b"complete").decode()]
    return "\\n".join(lines)


def _gateway(name):
    made = _fake.host(name, _deployed(name, "agent-of-" + name).gateway)
    made[1]["fake_responses"]["What status.py shows beyond"] = _fake.answer({{**_SEEN, "usage": _usage()}})
    return made


gateways = [_gateway(f"gw{{number}}") for number in range({count})]
"""


def measure(rounds: int) -> dict[int, list[float]]:
    """Seconds of each round, by the number of gateways. Raises BenchError where there is no page of all of them."""
    found: dict[int, list[float]] = {count: [] for count in SIZES}
    with tempfile.TemporaryDirectory() as place:
        for count in SIZES:
            Path(place, f"{count}.py").write_text(_INVENTORY.format(count=count), encoding="utf-8")
        for _ in range(rounds):
            for count in SIZES:
                found[count].append(_made(Path(place), count))
    return found


def _made(place: Path, count: int) -> float:
    page = place / f"{count}.html"
    command = [str(Path(sys.executable).with_name("pyinfra")), "--data", f"status_html={page}"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, str(place / f"{count}.py"), "deploys/status.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise BenchError(done.stderr)
    text = page.read_text(encoding="utf-8")
    drawn = tuple(text.count(each) for each in ("<article", 'class="strip', 'class="chart"'))
    if drawn != (count, 2 * count, 2 * count):
        raise BenchError(f"this is no page of {count} gateways: {text[:2000]}")
    return seconds


def main() -> int:
    """Measure and print; 1 where the page of many takes too long."""
    try:
        found = measure(ROUNDS)
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"The page from recorded answers, medians of {ROUNDS} rounds in turns (the whole process):")
    for count, seconds in found.items():
        print(f"  {count:3d} gateways  {statistics.median(seconds):5.2f} s  ({min(seconds):.2f}-{max(seconds):.2f})")
    one, many = (statistics.median(found[count]) for count in SIZES)
    print(f"  {many / one:.2f} times; at most {MOST:g}")
    return int(many > MOST * one)


if __name__ == "__main__":
    sys.exit(main())
