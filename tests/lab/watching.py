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
# docker exec leaves behind what it has started, so it ends with its input, which the shell keeps from background jobs.
exec 3<&0; (cat <&3 > /dev/null; kill $$) &
n=0; end=$(($(date +%s) + 1200))
while [ "$(date +%s)" -lt "$end" ]; do
    n=$((n + 1))
    curl -s -m 2 -w ' HTTP %{http_code}\\n' -H "X-Forwarded-For: 10.9.$((n / 250 % 250)).$((n % 250 + 1))" \\
        -H 'Content-Type: application/json' -d '{"username":"root","password":"123456"}' \\
        "http://ADDRESS:3000/api/user/login" || echo unreachable
done
"""

# Every process's arguments, again and again, each distinct line once.
_ARGUMENTS = """
umask 077; : > FILE
end=$(($(date +%s) + 1200))
while [ "$(date +%s)" -lt "$end" ] && [ -e FILE ]; do
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >> FILE
    sleep 0.02  # sampling, with a core left for the deployment
done
"""


class Watchers:
    """Two watchers: a peer on the tailnet that tries root/123456, and one on the host that reads all arguments."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self._seen = lab.directory / "logins"

    def __enter__(self) -> Watchers:
        script = _LOG_IN.replace("ADDRESS", self._lab.address(self._host))
        self._log = self._seen.open("w")
        python = [sys.executable, "-m", "lab"]
        self._peer = subprocess.Popen(
            [*python, "peer", "--", "sh", "-c", script], cwd=ROOT, stdout=self._log, stdin=subprocess.PIPE
        )
        watch = _ARGUMENTS.replace("FILE", ARGUMENTS)
        self._lab.ssh(
            self._host, "cat > /root/watch-arguments && (setsid sh /root/watch-arguments >/dev/null 2>&1 &)", watch
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._peer.stdin
        self._peer.stdin.close()
        self._peer.wait(timeout=30)
        self._log.close()
        self._arguments = self._lab.ssh(self._host, f"cat {ARGUMENTS}; rm {ARGUMENTS} /root/watch-arguments")

    def logins(self) -> str:
        """What each try to log in was answered, in their order, one a line."""
        return self._seen.read_text()

    def arguments(self) -> str:
        """The arguments of all processes that ran on the host meanwhile, as often as they were seen."""
        return self._arguments
