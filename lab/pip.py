"""Python packages of the lab's, pinned by hashes, into a directory of their own."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError


def install(requirements: Path, target: Path) -> None:
    """Install the packages of a lock file.

    Raises:
        LabError: neither pip nor uv is there, or the packages cannot be had.
    """
    wanted = ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(requirements)]
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    elif shutil.which("uv"):
        command = ["uv", "pip", "install", "--quiet", "--only-binary=:all:"]
    else:
        raise LabError(f"neither pip nor uv is there to fetch {requirements.name}", "make setup")
    result = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LabError(
            f"the packages of {requirements.name} could not be installed:\n{result.stderr.strip()[-1500:]}",
            "check the network and pip's index settings (pip config list)",
        )
