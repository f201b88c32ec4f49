"""What a gateway and its agent must be like after each act of tests/lab/test_days.py, and what is done to them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from llm_gateway.flavours import AdminError
from llm_gateway.flavours.contents import Admin
from llm_gateway.flavours.specs import TokenSpec
from tests.lab.conftest import Lab, Run
from tests.lab.faults import is_step, kill_where
from tests.lab.rows import DIRECTORY

AGENT = "agent8"
MIGRATE = "deploys/migrate.py"
PAUSE_SECONDS = 0.2
"""Between two writes: One API takes 2400 requests in 3 minutes from one address."""
SERVES_WITHIN_SECONDS = 90

_INVENTORY = """
import runpy as _runpy

_all = _runpy.run_path("lab/inventory.py")
_hosts = {{**dict(_all["openclaw"]), **dict(_all["gateways"])}}
gateways = [({gateway!r}, {{**_hosts[{gateway!r}], **{image!r}}})]
openclaw = [({agent!r}, {{**_hosts[{agent!r}], "openclaw_gateway": {gateway!r}}})]
others = [(name, _hosts[name]) for name in {others!r}]
"""

_COMPLETION = """
set -eu
. /home/openclaw/.openclaw/.env
printf 'url = "%s/chat/completions"\\nheader = "Authorization: Bearer %s"\\n' "$LLM_BASE_URL" "$LLM_API_KEY"
printf 'header = "Content-Type: application/json"\\n'
printf 'data = "{\\\\"model\\\\": \\\\"%s\\\\", \\\\"max_tokens\\\\": 1, ' "$LLM_MODEL_ID"
printf '\\\\"messages\\\\": [{\\\\"role\\\\": \\\\"user\\\\", \\\\"content\\\\": \\\\"hi\\\\"}]}"\\n'
"""
"""Prints a curl configuration that asks what OpenClaw asks, with the address and the key of its own .env."""


@dataclass
class World:
    """The hosts, and what must be on them."""

    lab: Lab
    gateway: str
    spare: str
    image: dict[str, str | None] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    """The names of the tokens whose making the gateway has acknowledged."""
    backups: dict[str, frozenset[str]] = field(default_factory=dict)
    """What was acknowledged before each archive on the present gateway's host was begun."""
    written: int = 0

    def inventory(self, script: str) -> Path:
        """The inventory of this moment: one gateway and its agent; for a migration also the host that it comes from."""
        path = self.lab.directory / "days.py"
        others = [self.spare] if script == MIGRATE else []
        text = _INVENTORY.format(gateway=self.gateway, image=self.image, agent=AGENT, others=others)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, script: str, *arguments: str) -> Run:
        """Run it to its end."""
        return self.lab.pyinfra("-y", *arguments, str(self.inventory(script)), script)

    def kill(self, at: int, script: str, *arguments: str) -> str | None:
        """Run it and kill it at the step of that number; the step's line, or None where it ended before."""
        return kill_where(is_step, *arguments, str(self.inventory(script)), script, after=at)[0]

    def directory_listing(self, pattern: str) -> list[str]:
        """The names of the files in the gateway's directory that a shell pattern matches."""
        return self.lab.ssh(
            self.gateway, f"cd {DIRECTORY} && ls -1d {pattern} 2>/dev/null | xargs -rn1 basename"
        ).split()

    def admin(self, gateway: str) -> AbstractContextManager[Admin]:
        """A gateway's admin API, spoken to from the tailnet."""
        return self.lab.admin(gateway)

    def tokens(self) -> set[str]:
        """The names of all tokens that the gateway has."""
        with self.admin(self.gateway) as admin:
            return {token.name for token in admin.tokens()}

    def completes(self) -> str:
        """Ask as OpenClaw would, with its own .env, from the tailnet; "" where it is answered, else what was said."""
        asked = self.lab.ssh(AGENT, f"sh -c '{_quoted(_COMPLETION)}'")
        answer = self.lab.command("peer", "--", "curl", "-s", "-m", "20", "-K", "-", stdin=asked).stdout
        try:
            return "" if json.loads(answer)["choices"] else answer
        except (ValueError, LookupError):
            return answer or "no answer"

    def await_completion(self) -> None:
        """Wait until OpenClaw is answered, with nobody's help."""
        deadline = time.monotonic() + SERVES_WITHIN_SECONDS
        while problem := self.completes():
            assert time.monotonic() < deadline, f"no completion within {SERVES_WITHIN_SECONDS} s: {problem}"


def _quoted(script: str) -> str:
    return script.replace("'", "'\\''")


class Writer(threading.Thread):
    """Makes tokens one after the other for as long as it is entered, and keeps those that were acknowledged."""

    def __init__(self, world: World, gateway: str) -> None:
        super().__init__(daemon=True)
        self._world, self._gateway, self._end = world, gateway, threading.Event()

    def run(self) -> None:
        """Write until told to end; what is refused or lost was not acknowledged."""
        with self._world.admin(self._gateway) as admin:
            while not self._end.wait(PAUSE_SECONDS):
                self._world.written += 1
                name = f"row-{self._world.written}"
                try:
                    admin.create_token(TokenSpec(name))
                except AdminError:
                    continue
                self._world.acknowledged.add(name)

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self.join(60)
        assert not self.is_alive()
