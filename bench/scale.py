"""How a run grows with the number of hosts: reading and planning a fleet of pretended hosts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS_A_COMMAND = 0.085


def measure(sizes: Iterable[int]) -> Iterator[tuple[int, float]]:
    """Seconds of a dry run of deploy.py for each number of hosts."""
    for hosts in sizes:
        with tempfile.TemporaryDirectory() as place:
            inventory = Path(place) / "inventory.py"
            inventory.write_text(_inventory(hosts))
            started = time.monotonic()
            subprocess.run(
                [str(Path(sys.executable).with_name("pyinfra")), "--dry", str(inventory), "deploy.py"],
                cwd=ROOT,
                capture_output=True,
                check=True,
            )
            yield hosts, time.monotonic() - started


def _inventory(hosts: int) -> str:
    return (
        "from tests.unit.fake_hosts import FRESH as _FRESH, OPENCLAW as _OPENCLAW, host as _host\n"
        f"_slow = {{'fake_delay': {SECONDS_A_COMMAND}, 'gateway_channels': []}}\n"
        "def _slowed(made):\n    return made[0], {**made[1], **_slow}\n"
        "gateways = [_slowed(_host('gw1'))]\n"
        f"openclaw = [_slowed(_host(f'a{{n}}', {{**_FRESH, **_OPENCLAW}})) for n in range(1, {hosts})]\n"
    )
