"""The plugin under which `make test` runs: what was skipped has proven nothing."""

from __future__ import annotations

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
