"""A lab host that asks for completions all the time, as OpenClaw on it would."""

from __future__ import annotations

from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

ENVIRONMENT = "/home/openclaw/.openclaw/.env"
_PLACE = "/run/asking-agent"

# bash speaks TCP by itself: a minimal Debian has no curl. The key is in no argument. The environment is read once, so
# that its lines belong together. The answer ends with the connection, as HTTP/1.0 has it.
_ASK = """
LC_ALL=C
ask() {
    now=$(cat "$1")
    of() { printf '%s\\n' "$now" | sed -n "s/^$1=//p" | tr -d "'"; }
    base=$(of LLM_BASE_URL); address=${base#http://}; address=${address%%/*}
    body='{"model":"'$(of LLM_MODEL_ID)'","messages":[{"role":"user","content":"hi"}],"max_tokens":1}'
    exec 3<> "/dev/tcp/${address%:*}/${address#*:}" || return
    printf 'POST /v1/chat/completions HTTP/1.0\\r\\nHost: gateway\\r\\n' >&3
    printf 'Authorization: Bearer %s\\r\\n' "$(of LLM_API_KEY)" >&3
    printf 'Content-Type: application/json\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
    IFS= read -r -d '' -t 30 answer <&3; exec 3>&-
    case ${answer//[[:space:]]/} in
        *'"choices":[{'*) ;;
        *) printf 'no choices in: ' ;;
    esac
    printf '%s\\n' "${answer%%$'\\r'*}"
}
"""
_LOOP = f"""
{_ASK}
while [ -e {_PLACE}/go ]; do
    said=$(ask "$1" 2>&1) || said="no answer: $said"
    echo "$EPOCHREALTIME ${{said//$'\\n'/ }}" >> {_PLACE}/answers
    sleep 0.1 # as often as tells a second without answers; without a pause the small model would keep a processor busy
done
touch {_PLACE}/ended
"""
_START = f"umask 077; rm -rf {_PLACE}; mkdir {_PLACE}; touch {_PLACE}/go {_PLACE}/answers; cat > {_PLACE}/loop"
_STOP = (
    f"rm {_PLACE}/go; for i in $(seq 400); do [ ! -e {_PLACE}/ended ] || break; sleep 0.1; done;"
    f" [ -e {_PLACE}/ended ] && cat {_PLACE}/answers && rm -r {_PLACE}"
)


class AskingAgent:
    """Asks for as long as the context lasts, each time on a connection of its own.

    Parameters: `environment`, what it asks with; None: what stands in `file`, OpenClaw's .env, anew each time.
    """

    def __init__(self, lab: Lab, host: str, environment: dict[str, str] | None = None, file: str = ENVIRONMENT) -> None:
        self._lab = lab
        self._host = host
        self._environment = environment
        self._file = file
        self._seen: list[tuple[float, str]] = []

    def __enter__(self) -> AskingAgent:
        self._lab.ssh(self._host, _START, _LOOP)
        file = self._file
        if self._environment is not None:
            file = f"{_PLACE}/env"
            lines = [f"{name}={value}\n" for name, value in self._environment.items()]
            self._lab.ssh(self._host, f"umask 077; cat > {file}", "".join(lines))
        self._lab.ssh(self._host, f"(setsid bash {_PLACE}/loop {file} >/dev/null 2>&1 &)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._read(_STOP)

    def look(self) -> int:
        """Look at what was answered so far, while it asks on. Returns how many completions there are."""
        self._read(f"cat {_PLACE}/answers")
        return len(self.answers) - len(self.failures)

    def _read(self, command: str) -> None:
        lines = [line.partition(" ") for line in self._lab.ssh(self._host, command).splitlines()]
        self._seen = [(float(at), answer.strip()) for at, _, answer in lines]

    @property
    def answers(self) -> list[str]:
        """The status lines of all answers, in their order."""
        return [answer for _, answer in self._seen]

    @property
    def failures(self) -> list[str]:
        """The answers that are no completion."""
        return [answer for answer in self.answers if not is_completion(answer)]

    @property
    def outage(self) -> float:
        """Seconds from the first failure to the last: the outage as the host has seen it."""
        failed = [at for at, answer in self._seen if not is_completion(answer)]
        return failed[-1] - failed[0] if failed else 0.0

    @property
    def longest_gap(self) -> float:
        """The most seconds from one completion to the next, as far as was looked."""
        moments = [at for at, answer in self._seen if is_completion(answer)]
        return max((later - one for one, later in pairwise(moments)), default=float("inf"))


def ask(lab: Lab, host: str) -> str:
    """Have a host ask once, as OpenClaw on it would. Returns the answer's status line."""
    return lab.ssh(host, "bash -s", f"{_ASK}ask {ENVIRONMENT} || echo no answer")


def is_completion(answer: str) -> bool:
    """Whether an answer, by its status line, is a completion."""
    return answer.split()[1:2] == ["200"]
