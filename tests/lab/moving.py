"""What the tests of a migration need: runs that are watched and killed, an agent that asks all the time, power cuts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from gateway import dotenv
from lab import state as lab_state
from lab.docker import connect
from lab.labels import object_name
from lab.networks import lan
from tests.lab.rows import TABLES

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

ROOT = Path(__file__).parent.parent.parent
PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
ENVIRONMENT = "/home/openclaw/.openclaw/.env"
_STEP = re.compile(r"\[([\w-]+)\]\s+(migration: .*) \.\.\.$")

_INVENTORY = """
from lab.inventory import gateways as _gateways, openclaw as _openclaw
_known = {{**dict(_gateways), **dict(_openclaw)}}
gateways = [(name, _known[name]) for name in {gateways}]
{strangers}
openclaw = [(name, {{**_known[name], "openclaw_gateway": {target!r}}}) for name in {agents}]
"""


def inventory(place: Path, source: str, target: str, agents: list[str], *, source_is_ours: bool = True) -> str:
    """Write the inventory of a person who is about to migrate: the agents name the new gateway. Returns its path."""
    gateways = [source, target] if source_is_ours else [target]
    strangers = "" if source_is_ours else f"strangers = [({source!r}, _known[{source!r}])]"
    file = place / f"from_{source}_to_{target}.py"
    file.write_text(_INVENTORY.format(gateways=gateways, strangers=strangers, target=target, agents=agents))
    return str(file)


def await_(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.3)


class Migration:
    """A run of deploys/migrate.py, watched line by line."""

    def __init__(self, file: str, source: str, *arguments: str) -> None:
        options = [part for each in (f"source={source}", *arguments) for part in ("--data", each)]
        self.output = ""
        self._process = subprocess.Popen(
            [PYINFRA, "-y", file, "deploys/migrate.py", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def steps(self) -> list[str]:
        """The steps that it has told, in their order."""
        return [match[2] for line in self.output.splitlines() if (match := _STEP.search(line.rstrip()))]

    def end(self) -> int:
        """Wait for its end. Returns its exit code."""
        return self.when("", lambda: None)

    def kill_at(self, step: str) -> bool:
        """Kill it when it tells of a step. Returns whether it came that far."""
        return self.when(step, lambda: self._process.send_signal(signal.SIGKILL)) == -signal.SIGKILL

    def when(self, step: str, act: Callable[[], object]) -> int:
        """Do something at the moment when it tells of a step, and wait for its end. Returns its exit code."""
        assert self._process.stdout
        is_done = not step
        for line in self._process.stdout:
            self.output += line
            if not is_done and step in line:
                is_done = True
                act()
        return self._process.wait(timeout=30)


class Asking:
    """An agent's completions, one after the other, with whatever its .env says at that moment."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.answered = 0
        self.failed: list[float] = []
        self._lab, self._host = lab, host
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._is_over.set()
        self._thread.join(60)

    @property
    def longest(self) -> float:
        """Seconds from the first failure to the last: the outage as the agent has seen it."""
        return self.failed[-1] - self.failed[0] if self.failed else 0.0

    def _ask_on(self) -> None:
        while not self._is_over.is_set():
            if ask(self._lab, self._host):
                self.answered += 1
            else:
                self.failed.append(time.monotonic())


def ask(lab: Lab, host: str) -> bool:
    """A completion with what an agent's .env says. Returns whether it was answered."""
    run = lab.command("ssh", host, "--", "sudo", "cat", ENVIRONMENT)
    values = dotenv.read("\n".join(line for line in run.stdout.splitlines() if line.startswith(("LLM_", "EMB"))))
    body = {"model": values["LLM_MODEL_ID"], "max_tokens": 1, "messages": [{"role": "user", "content": "sky?"}]}
    headers = {"Authorization": f"Bearer {values['LLM_API_KEY']}"}
    url = f"{values['LLM_BASE_URL']}/chat/completions"
    try:
        return httpx.post(url, json=body, headers=headers, timeout=20).status_code == 200
    except httpx.HTTPError:
        return False


def container(host: str) -> str:
    """The container that is a lab host."""
    return object_name(os.environ["LAB_NAME"], host)


def cut_power(host: str) -> None:
    """A host loses its power: nothing in it is told, and nothing is written any more."""
    connect().run("kill", "--signal", "KILL", container(host))


def restore_power(lab: Lab, host: str) -> None:
    """And gets it again."""
    done = lab.command("up", "--hosts", f"{host}:{lab.state['hosts'][host]['profile']}")
    assert done.code == 0, done.output


def unplug(host: str) -> None:
    """A host's network goes, and the run is not told so."""
    connect().run("network", "disconnect", lan(os.environ["LAB_NAME"]), container(host))


def plug_in(lab: Lab, host: str) -> None:
    """And comes back."""
    address = lab.state["hosts"][host]["lan_address"]
    connect().run("network", "connect", "--ip", address, lan(os.environ["LAB_NAME"]), container(host))
    await_(lambda: lab.command("ssh", host, "--", "true").code == 0, f"{host} answers over SSH")


def is_served(lab: Lab, host: str) -> bool:
    """Whether a gateway answers on a host."""
    try:
        return httpx.get(f"http://{lab.address(host)}:3000/api/status", timeout=3).status_code == 200
    except httpx.HTTPError:
        return False


def nothing_is_unfinished(lab: Lab, host: str) -> bool:
    """Whether a host has undone whatever it had to."""
    left = "ls -d /var/lib/openclaw-llm-gateway/unfinished /var/lib/openclaw-llm-gateway/undoing 2>/dev/null || true"
    return lab.ssh(host, left) == ""


def remove(*hosts: str) -> None:
    """Take hosts out of the lab, so that the tests of other files do not deploy them."""
    docker, state = connect(), lab_state.load()
    for host in hosts:
        docker.run("rm", "--force", "--volumes", container(host))
        docker.run("volume", "rm", "--force", object_name(state.name, f"{host}-docker"))
        del state.hosts[host]
    lab_state.save(state)


def differing(kept: dict[str, list[Any]], now: dict[str, list[Any]]) -> list[str]:
    """Rows of the old gateway that the new one has not as they were, but for what its use has counted since."""
    counters = {"accessed_time", "used_quota", "request_count", "quota", "remain_quota"}
    found = []
    for table in TABLES:
        key = "id" if kept[table] and "id" in kept[table][0] else None
        there = {row[key] if key else tuple(row.values()): row for row in now[table]}
        for row in kept[table]:
            other = there.get(row[key] if key else tuple(row.values()), {})
            found += [
                f"{table} {row.get('id')} {name}: {value} became {other.get(name)}"
                for name, value in row.items()
                if name not in counters and other.get(name) != value
            ]
    return found
