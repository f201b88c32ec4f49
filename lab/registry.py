"""Whether a container registry answers, asked with a bound and remembered for an hour."""

import json
import subprocess
import time

from lab.docker import Docker
from lab.progress import step
from lab.state import CACHE, write_private

ANSWERS_WITHIN_S = 30
A_NO_HOLDS_FOR_S = 3600


def offers(docker: Docker, reference: str) -> bool:
    """Tell whether a registry gives an image.

    Args:
        docker: the engine whose client asks.
        reference: the image, such as ``debian:13``.

    Returns:
        True if its manifest came within 30 s; False otherwise. A no is kept for an hour, so that
        a second ``up`` on a machine without a registry does not wait again.
    """
    refused = _refusals()
    if time.time() - refused.get(reference, 0.0) < A_NO_HOLDS_FOR_S:
        return False
    with step(f"asking the container registry for {reference}"):
        if _has_manifest(docker, reference):
            return True
    CACHE.mkdir(parents=True, exist_ok=True)
    write_private(CACHE / "registry.json", json.dumps(refused | {reference: time.time()}))
    return False


def _has_manifest(docker: Docker, reference: str) -> bool:
    try:
        result = subprocess.run(
            docker.argv("manifest", "inspect", reference),
            capture_output=True,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def _refusals() -> dict[str, float]:
    try:
        read: dict[str, float] = json.loads((CACHE / "registry.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return read
