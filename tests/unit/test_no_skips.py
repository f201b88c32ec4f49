"""The plugin under which `make test` runs: what was skipped has proven nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PASSES = "def test_passes():\n    pass\n"
SKIPS = "import pytest\ndef test_skips():\n    pytest.skip('no reason')\n"
SKIPS_ALL = "import pytest\npytest.skip('no reason', allow_module_level=True)\n"


@pytest.mark.parametrize(
    ("content", "exit_code"),
    [
        (PASSES, pytest.ExitCode.OK),
        (PASSES + SKIPS, pytest.ExitCode.TESTS_FAILED),
        (SKIPS_ALL, pytest.ExitCode.NO_TESTS_COLLECTED),
        ("", pytest.ExitCode.NO_TESTS_COLLECTED),
    ],
)
def test_a_run_passes_only_when_everything_ran(tmp_path: Path, content: str, exit_code: pytest.ExitCode) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(content)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "scripts.no_skips", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == exit_code, run.stdout
    assert ("counts as failed" in run.stdout) == ("skip" in content)


@pytest.mark.parametrize(("inventory", "left"), [('gateways = ["gw1"]', "agent"), ('openclaw = ["a1"]', "gateway")])
def test_a_group_without_a_host_is_nothing_to_check(tmp_path: Path, inventory: str, left: str) -> None:
    """`make lab LAB_HOSTS=gw1:ready` has no OpenClaw host, and each of its checks was a skipped one."""
    (tmp_path / "inventory.py").write_text(f"{inventory}\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "scripts.no_skips",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "-q",
    ]
    run = subprocess.run(
        [*command, "tests/server", f"--inventory={tmp_path / 'inventory.py'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    collected = [line for line in run.stdout.splitlines() if "::" in line]
    assert collected
    assert not [line for line in collected if "no such host" in line or f"[{left}" in line]
    assert re.search(r"\d+/\d+ tests collected \(\d+ deselected\)", run.stdout)
