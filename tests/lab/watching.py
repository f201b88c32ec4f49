"""Watching a deployment from outside while it runs: who gets in with the default password, and what `ps` shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = "/root/seen-arguments"

# One API counts log-ins by client address, which it believes X-Forwarded-For about: a new one each time keeps
# its limit of 20 in 20 minutes out of the way of the question.
_LOG_IN = """
import http.client, itertools, os, sys, threading, time

def end_with_input():  # docker exec leaves behind what it has started
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_input, daemon=True).start()
for n in itertools.count():
    began = time.monotonic()
    connection = http.client.HTTPConnection("ADDRESS", 3000, timeout=2)
    try:
        caller = {"Content-Type": "application/json", "X-Forwarded-For": f"10.9.{n // 250 % 250}.{n % 250 + 1}"}
        connection.request("POST", "/api/user/login", '{"username":"root","password":"123456"}', caller)
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace"), "HTTP", answer.status, flush=True)
    except (OSError, http.client.HTTPException):
        print("unreachable", flush=True)
    connection.close()
    # As long as it took: to check a password keeps a processor busy, which the deployment has a use for.
    time.sleep(max(0.05, time.monotonic() - began))
"""

# Every process's arguments, again and again, each time that they are others. In bash alone: a process of its own for
# each look, or for each pause, would keep a processor busy. What was there for some looks is looked at rarely.
_WATCH_ARGUMENTS = """
umask 077
exec > FILE 9<> <(:)
declare -A looks said
while [ "$SECONDS" -lt 1200 ] && [ -e FILE ]; do
    for process in /proc/[0-9]*; do
        n=$((${looks[$process]:-0} + 1)) looks[$process]=$((n % 100))
        [ "$n" -lt 20 ] || [ "$n" = 100 ] || continue
        words=()
        mapfile -d '' -t words < "$process/cmdline" || continue
        [ "${words[*]}" != "${said[$process]:-}" ] || continue
        said[$process]=${words[*]}
        printf '%s\\n' "${words[*]}"
    done
    read -r -t 0.02 -u 9
done
"""


class Arguments:
    """The arguments of all processes that run on a host while the block does; to be asked for after it."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self._seen = ""

    def __enter__(self) -> Arguments:
        script = _WATCH_ARGUMENTS.replace("FILE", ARGUMENTS)
        start = f": > {ARGUMENTS}; cat > {ARGUMENTS}.sh && (setsid bash {ARGUMENTS}.sh >/dev/null 2>&1 &)"
        self._lab.ssh(self._host, f"umask 077; {start}", script)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seen = self._lab.ssh(self._host, f"cat {ARGUMENTS}; rm {ARGUMENTS} {ARGUMENTS}.sh")

    def __contains__(self, text: str) -> bool:
        return text in self._seen

    def __str__(self) -> str:
        return self._seen


class Watchers:
    """Two watchers: a peer on the tailnet that tries root/123456, and one on the host that reads all arguments."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self._seen = lab.directory / "logins"
        self._arguments = Arguments(lab, host)

    def __enter__(self) -> Watchers:
        script = _LOG_IN.replace("ADDRESS", self._lab.address(self._host))
        self._log = self._seen.open("w")
        python = [sys.executable, "-m", "lab"]
        self._peer = subprocess.Popen(
            [*python, "peer", "--", "python3", "-c", script], cwd=ROOT, stdout=self._log, stdin=subprocess.PIPE
        )
        self._arguments.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._peer.stdin
        self._peer.stdin.close()
        self._peer.wait(timeout=30)
        self._log.close()
        self._arguments.__exit__(kind, error, trace)

    def logins(self) -> str:
        """What each try to log in was answered, in their order, one a line."""
        return self._seen.read_text()

    def arguments(self) -> str:
        """The arguments of all processes that ran on the host meanwhile."""
        return str(self._arguments)
