"""Docker Compose, in both places where it reads a dotenv file. No daemon is needed for that."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.unit.readers.missing import missing

_BINARY = Path(sys.executable).parent / "docker-compose"
_PROJECT = """\
name: readers
services:
  reader:
    image: none
    env_file: values.env
"""


def read(text: str) -> dict[str, str]:
    """What a container with this `env_file:` gets. Raises ValueError when compose refuses the file."""
    config = json.loads(_config(text, "--format", "json"))
    environment: dict[str, str] = config["services"]["reader"].get("environment") or {}
    # `config` prints a compose file, in which a dollar sign is written twice.
    return {key: value.replace("$$", "$") for key, value in environment.items()}


def read_project(text: str) -> dict[str, str]:
    """What `${KEY}` stands for in a compose file that has this `.env` beside it."""
    lines = _config(text, "--environment").splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def binary() -> Path:
    """Docker Compose itself."""
    if not _BINARY.exists():
        raise missing("docker-compose")
    return _BINARY


def _config(text: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "compose.yaml").write_text(_PROJECT)
        Path(directory, "values.env").write_bytes(text.encode())
        Path(directory, ".env").write_bytes(text.encode())
        done = subprocess.run(
            [binary(), "config", *options],
            cwd=directory,
            env={"HOME": directory},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
    if done.returncode:
        raise ValueError(f"compose: {done.stderr.strip()}")
    return done.stdout
