"""``python -m client`` as a process of its own, for the tests of the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from llm_client.http_library import httpx
from tests.client.cli_gateway import KEY

ROOT = Path(__file__).parents[2]

# Where httpx is hidden from the tests (scripts/without_httpx.py), it is hidden from the processes as well.
HIDING = "" if httpx.__name__ == "httpx" else "import sys; sys.modules.update(httpx=None, httpcore=None)\n"
_HIDDEN = f"""{HIDING}
import runpy, sys
sys.argv[0] = "client/__main__.py"
runpy.run_module("client", run_name="__main__")
"""
PROGRAM = [sys.executable, *(("-c", _HIDDEN) if HIDING else ("-m", "client"))]
ONE_AFTER_THE_OTHER = f"""{HIDING}
import contextlib, io, json, sys
from llm_client.cli import main

sys.argv[0] = "client/__main__.py"
found = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(arguments)
    found.append([code, out.getvalue(), err.getvalue()])
json.dump(found, sys.stdout)
"""


def environment(base: str, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"LLM_BASE_URL": base, "LLM_API_KEY": KEY, "LANG": "C", "HOME": "/nonexistent"} | changes


def run(
    base: str, *arguments: str | bytes, stdin: bytes | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the program; the key may be in nothing that it says."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env=environment(base, **changes),
        input=stdin or b"",
        capture_output=True,
        timeout=30,
    )
    found = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert KEY.removeprefix("sk-") not in found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) <= 1
    return found


def start(
    base: str, *arguments: str, stdout: int = subprocess.PIPE, close: int | None = None
) -> subprocess.Popen[bytes]:
    """Start the program, where `close` is given without that file descriptor."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a pytest started in the background hands down an ignored one
        if close is not None:
            os.close(close)

    return subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env=environment(base),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
    )
