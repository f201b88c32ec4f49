"""An OpenClaw host that asks for completions all the time, each with what stands in its .env at that moment."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

_PLACE = "/run/asking-agent"

# bash speaks TCP by itself: a minimal Debian has no curl. The key is in no argument.
_ASK = """
ask() {
    of() { sed -n "s/^$1=//p" /home/openclaw/.openclaw/.env | tr -d "'"; }
    base=$(of LLM_BASE_URL); address=${base#http://}; address=${address%%/*}
    body='{"model":"'$(of LLM_MODEL_ID)'","messages":[{"role":"user","content":"hi"}],"max_tokens":1}'
    exec 3<> "/dev/tcp/${address%:*}/${address#*:}" || return
    printf 'POST /v1/chat/completions HTTP/1.0\\r\\nHost: gateway\\r\\n' >&3
    printf 'Authorization: Bearer %s\\r\\n' "$(of LLM_API_KEY)" >&3
    printf 'Content-Type: application/json\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
    read -r -t 30 answer <&3; exec 3>&-
    echo "$answer"
}
"""
_LOOP = f"""
{_ASK}
while [ -e {_PLACE}/go ]; do answer=; ask >> {_PLACE}/answers 2>&1 || echo "no answer" >> {_PLACE}/answers; done
touch {_PLACE}/ended
"""
_START = f"rm -rf {_PLACE}; mkdir {_PLACE}; touch {_PLACE}/go; cat > {_PLACE}/loop"
_STOP = (
    f"rm {_PLACE}/go; for i in $(seq 400); do [ ! -e {_PLACE}/ended ] || break; sleep 0.1; done; cat {_PLACE}/answers"
)


class AskingAgent:
    """Asks for as long as the context lasts; `answers` are then the status lines, in their order."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self.answers: list[str] = []

    def __enter__(self) -> AskingAgent:
        self._lab.ssh(self._host, f"{_START} && (setsid bash {_PLACE}/loop >/dev/null 2>&1 &)", _LOOP)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers = [line.strip() for line in self._lab.ssh(self._host, _STOP).splitlines()]

    @property
    def failures(self) -> list[str]:
        """The answers that are no completion."""
        return [answer for answer in self.answers if answer.split()[1:2] != ["200"]]


def asks_once(lab: Lab, host: str) -> str:
    """The status line of one completion, asked by the host as it would."""
    return lab.ssh(host, "bash -s", f"{_ASK}ask || echo no answer")
