"""The script that our unit runs before it publishes, with an `ip` of the test's."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from gateway.checkout import ROOT

SCRIPT = ROOT / "files/wait-for-address"
SHOWN = "3: tailscale0    inet {}/32 scope global tailscale0\\\\       valid_lft forever preferred_lft forever"


def wait(place: Path, shows: str, address: str = "100.64.0.10", seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Wait for an address; `shows` are the shell lines of `ip`. Waiting for a second takes no time here."""
    for name, text in {
        "ip": f'[ "$*" = "-4 -o addr show" ] || exit 9\n{shows}',
        "sleep": f"echo $1 >> {place}/slept",
    }.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    return subprocess.run(
        [SCRIPT, address, str(seconds)],
        env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def slept(place: Path) -> int:
    """How many seconds were waited."""
    path = place / "slept"
    return sum(int(line) for line in path.read_text().splitlines()) if path.exists() else 0


def test_an_address_that_is_there_is_found_at_once(tmp_path: Path) -> None:
    done = wait(tmp_path, f"echo '1: lo inet 127.0.0.1/8'; echo '{SHOWN.format('100.64.0.10')}'")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert slept(tmp_path) == 0


def test_an_address_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    counted = (
        f'echo x >> {tmp_path}/asked; [ "$(wc -l < {tmp_path}/asked)" -lt 4 ] || echo "{SHOWN.format("100.64.0.10")}"'
    )
    done = wait(tmp_path, counted)
    assert (done.returncode, done.stderr) == (0, "waiting up to 60 s for 100.64.0.10\n")
    assert slept(tmp_path) == 3


@pytest.mark.parametrize("there", ["100.64.0.101", "1100.64.0.10", "100.64.0.1", "100x64x0x10"])
def test_another_address_is_not_taken_for_it_and_the_wait_ends(tmp_path: Path, there: str) -> None:
    done = wait(tmp_path, f"echo '{SHOWN.format(there)}'", seconds=5)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "waiting up to 5 s for 100.64.0.10",
        "100.64.0.10 is on no interface of this host after 5 s; is Tailscale up? (tailscale status)",
    ]
    assert slept(tmp_path) == 5


def test_an_ip_command_that_fails_is_not_taken_for_an_address(tmp_path: Path) -> None:
    assert wait(tmp_path, "exit 1", seconds=1).returncode == 1


def test_a_second_is_a_second(tmp_path: Path) -> None:
    """Once with the real `sleep`: the time-out is in seconds."""
    (tmp_path / "ip").write_text("#!/bin/sh\n")
    (tmp_path / "ip").chmod(0o755)
    started = time.monotonic()
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([SCRIPT, "100.64.0.10", "1"], env=path, capture_output=True, timeout=30)
    assert done.returncode == 1
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_it_is_a_posix_script(shell: str) -> None:
    done = subprocess.run([shell, "-n", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
