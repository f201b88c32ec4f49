"""Hosts for pyinfra's `@fake` connector: they answer the script that reads a host's state, and take any command."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_gateway.parts import tiktoken

ROOT = Path(__file__).parent.parent.parent
ADDRESS = "100.64.0.10"
KEYS = {"DASHSCOPE_API_KEY": "dashscope-key-for-tests", "MINIMAX_API_KEY": "minimax-key-for-tests"}

FRESH = {
    "os_release": 'ID=debian\nVERSION_ID="13"\n',
    "machine": "x86_64\n",
    "uid": "0\n",
    "systemd": "yes\n",
    "disk": "Filesystem 1024-blocks Used Available Capacity Mounted\n" + "/dev/a 90 9 9000000 9% /\n" * 2,
    "disk_places": "/var/lib/docker\n",
    "tailscale0": f"{ADDRESS}/32\n",
}
"""What a bare Debian 13 host in a tailnet answers."""

OPENCLAW = {
    "openclaw_unit": "LoadState=loaded\nActiveState=active\nUser=claw\nMainPID=70\nNeedDaemonReload=no\n"
    "ExecMainStartTimestamp=Sun 2026-11-22 10:00:00.000000 UTC\n",
    "openclaw_passwd": "claw:x:1000:1000::/home/claw:/bin/sh\n",
    "openclaw_env": "# mine\nOTHER=kept\n",
    "openclaw_env_stat": "644 claw:claw 1700000000.000000\n",
    "openclaw_process": "PATH\nOPENAI_BASE_URL\n",
}
"""What an OpenClaw host answers besides."""


def docker_info(version: str = "29.1.0", compose: str = "2.40.1", **more: Any) -> str:
    """What a usable Docker says of itself: the answer `docker_info`; `more` are other fields of it."""
    plugins = [{"Name": "compose", "Version": compose}] if compose else []
    found = {"ServerVersion": version, "OSType": "linux", "DockerRootDir": "/var/lib/docker", "SecurityOptions": []}
    return json.dumps({**found, "ClientInfo": {"Plugins": plugins}, **more}, separators=(",", ":"))


def answer(values: Mapping[str, str]) -> list[str]:
    """The lines that the script prints for these values."""
    complete = {**values, "end": "complete"}
    return [f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in complete.items()]


def tiktoken_answers(directory: str) -> dict[str, str]:
    """As if the tiktoken files were on the host already, so that a test needs none here."""
    files = [(f"{directory}/tiktoken/{name}", digest) for name, (_, digest) in tiktoken.FILES.items()]
    return {
        "tracked_stat": "".join(f"{path} 644 root:root 1700000000.000000\n" for path, _ in files),
        "tracked_sum": "".join(f"{digest}  {path}\n" for path, digest in files),
    }


def host(name: str, values: Mapping[str, str] = FRESH, **data: Any) -> tuple[str, dict[str, Any]]:
    """A host of an inventory; `data` are its settings."""
    directory = data.get("gateway_directory", "/opt/openclaw-llm-gateway")
    responses = {
        **data.pop("fake_responses", {}),
        "Reads all that a run needs to know": answer({**tiktoken_answers(directory), **values}),
        "docker inspect openclaw-llm-gateway-first-start": "true 172.18.0.2",
    }
    return f"@fake/{name}", {"fake_responses": responses, "fake_delay": 0, "fake_delay_jitter": 0, **data}


def run(
    place: Path,
    *arguments: str,
    script: str = "deploy.py",
    environment: Mapping[str, str] | None = None,
    prelude: str = "",
    **groups: list[tuple[str, dict[str, Any]]],
) -> subprocess.CompletedProcess[str]:
    """Run pyinfra as a user does, on an inventory of these groups; secrets are in the environment.

    Parameters: `prelude`, what the inventory does before: Python, run inside pyinfra's process.
    """
    inventory = place / "inventory.py"
    inventory.write_text("\n".join([prelude, *(f"{name} = {hosts!r}" for name, hosts in groups.items())]) + "\n")
    clean = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_PASSWORD"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), *arguments, str(inventory), str(ROOT / script)],
        cwd=ROOT,
        env={**clean, **(KEYS if environment is None else environment)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def planned(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The names of the operations that `--dry --json` says would change something."""
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)["plan"]
    return [name for entry in plan if entry["hosts_with_change"] for name in entry["names"]]


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
