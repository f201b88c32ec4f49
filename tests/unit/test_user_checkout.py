"""What a person who only deploys calls of the Makefile: it leaves .venv alone, and wants no Docker on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.fake_hosts import ROOT

FOR_USERS = ("check-server", "sbom", "audit", "tiktoken", "help")


@pytest.mark.parametrize("target", FOR_USERS)
def test_what_users_call_does_not_set_a_developers_machine_up(target: str) -> None:
    """`make setup` installs Docker, and made the .venv of whoever had it activated its own."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target, "INVENTORY=inventory.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()
    assert "setup.sh" not in done.stdout


def test_a_linked_environment_is_left_as_it_is(tmp_path: Path) -> None:
    """A worktree may have another's; it was emptied, because it has a stamp of another place."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    others = tmp_path / "others"
    others.mkdir()
    (others / ".stamp").write_text("of another place\n")
    (tmp_path / ".venv").symlink_to(others)
    done = subprocess.run([tmp_path / "scripts/setup.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"setup: .venv is a symbolic link to {others}, which is left as it is" in done.stderr
    assert done.stderr.rstrip().endswith("rm .venv")
    assert [path.name for path in others.iterdir()] == [".stamp"]


@pytest.mark.slow
def test_an_environment_for_a_tool_is_made_beside_what_is_in_venv(tmp_path: Path) -> None:
    """With nothing of .venv's but its Python: a person's own has no uv."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/environments.sh", tmp_path / "scripts")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/tool.txt").write_text("# nothing\n")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".venv/mine").touch()

    def make() -> str:
        command = [str(tmp_path / "scripts/environments.sh"), "tool"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert make() == "installing what requirements/tool.txt names into .venv/locked/tool\n"
    assert (tmp_path / ".venv/mine").exists()
    assert (tmp_path / ".venv/locked/tool/bin/python").exists()
    assert make() == "", "nothing is done again"


@pytest.mark.slow
def test_a_missing_package_is_told_with_the_command(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / ".venv/bin/python").chmod(0o755)
    done = subprocess.run(["make", "tiktoken"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ".venv/bin/pip install -r requirements/runtime.txt" in done.stderr
