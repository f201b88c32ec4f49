"""The script that reads a host, run on this machine for real (it only reads)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from llm_gateway.hosts import host_state
from llm_gateway.hosts.host_state import HostState

VALUES = {
    "LOCK": "no",
    "PORT": "3000",
    "IMAGE": "justsong/one-api:v0.6.10",
    "OPENCLAW_UNIT": "openclaw-gateway.service",
    "OPENCLAW_SCOPE": "system",
    "OPENCLAW_USER": "",
    "OPENCLAW_WORKSPACE": "",
}


def read(directory: Path, *roles: str, path: Path | None = None, **values: str) -> HostState:
    """This machine's state, read by the shell that hosts have; `path` holds commands to be found first."""
    tracked = [f"{directory}/secrets.env", f"{directory}/none", "/etc/os-release"]
    script = host_state.script(roles, {"DIRECTORY": str(directory), **VALUES, **values}, tracked)
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return HostState.parse(done.stdout.splitlines())


def commands(place: Path, **scripts: str) -> Path:
    """A directory of commands that answer as told."""
    place.mkdir()
    for name, text in scripts.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    return place
