"""Runs of deploy.py that are cut off at a chosen operation: by Ctrl-C, by a kill, by the loss of their connection."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from lab.docker import connect
from lab.labels import object_name
from tests.lab.conftest import Lab, Run
from tests.lab.faults import Running, await_that, running, unplugged
from tests.lab.outages import Gateway
from tests.lab.rows import DIRECTORY

GIVES_UP_SECONDS = 150
"""A run that has lost its host must have noticed by then (hosts/remote.py: after a minute without an answer)."""
_WRITTEN_AT_ANY_TIME = ("*/data/*", "*/backups/*", "*/metrics*", "*/canary[-.]*")
_IS_BUSY = "another run is at work on this host"

# What a person, or a bug, may have left of everything that a deployment has put on a host, so that it puts it there
# again. The image loses its name, as when another one was loaded; the gateway serves on meanwhile. tiktoken's files
# are left alone: without them One API does not start.
_DRIFT = f"""
set -e
files=$(find {DIRECTORY} -maxdepth 1 -type f ! -name '*.tar' \\
    ! -name '*.json' ! -name secrets.env ! -name first-start-done)
units=$(find /etc/systemd/system -maxdepth 1 -type f -name 'openclaw-llm-gateway*')
rules=$(find /var/lib/openclaw-llm-gateway/firewall -type f)
for file in $files $units $rules; do printf '\\n# drift\\n' >> "$file"; done
timers=$(systemctl list-unit-files --no-legend 'openclaw-llm-gateway*.timer' | cut -d ' ' -f 1)
[ -z "$timers" ] || systemctl disable --quiet --now $timers
docker tag IMAGE drifted:drifted && docker rmi IMAGE > /dev/null
"""
_AGENT_DRIFT = """
set -e
cd /home/openclaw/.openclaw
sed -i '/^EMBEDDING_MODEL_ID=/d' .env
printf '\\n// drift\\n' >> workspace/skills/shared/llm_client.js
for file in /etc/systemd/system/openclaw-gateway.service.d/*llm-gateway.conf; do printf '\\n# drift\\n' >> "$file"; done
"""
_CUT_SESSIONS = (
    "for at in /proc/[0-9]*; do read -r name < $at/comm; [ $name != sshd-session ] || kill -9 ${at#/proc/}; done"
)


class How(Enum):
    """In which way a run ends before its time."""

    CTRL_C = "Ctrl-C"
    KILL = "SIGKILL"
    SSH = "SSH cut"
    UNPLUGGED = "network gone"


QUICK = (How.CTRL_C, How.KILL, How.SSH)
"""Those that need no minute of waiting."""
_LOST = 1, "the connection is lost: once the host can be reached, run the same command again"
_TOLD = {
    How.CTRL_C: (130, "Interrupted: run the same command again"),
    How.SSH: _LOST,
    How.UNPLUGGED: _LOST,
}
"""The exit code, and what a person reads."""


@dataclass(frozen=True)
class Operation:
    """One of deploy.py's, and how long it takes in a run that nobody interrupts."""

    name: str
    seconds: float


def begun(line: str) -> str | None:
    """The name of the operation that a line says to begin."""
    found = re.search(r"Starting operation: (.*\S)", line)
    return found[1] if found else None


def operations(gateway: Gateway, *arguments: str) -> list[Operation]:
    """Deploy, with nobody interrupting. Returns the operations, each with its time."""
    moments: list[tuple[str, float]] = []
    with running(*arguments, str(gateway.inventory), "deploy.py") as run:
        for line in run:
            if name := begun(line):
                moments.append((name, time.monotonic()))
        ended = run.wait()
    assert ended.code == 0, ended.output[-4000:]
    ends = [at for _, at in moments[1:]] + [time.monotonic()]
    return [Operation(name, end - at) for (name, at), end in zip(moments, ends, strict=True)]


def interrupt(gateway: Gateway, at: Operation, how: How, chance: random.Random, *arguments: str) -> Run:
    """Deploy, and cut that off somewhere in an operation. Returns what was said, and how it ended."""
    with running(*arguments, str(gateway.inventory), "deploy.py") as run:
        reached = any(begun(line) == at.name for line in run)
        assert reached, f"the run ended before {at.name!r}:\n{run.said[-3000:]}"
        # Nothing to wait for: the moment within the operation is what chance is to choose.
        time.sleep(chance.uniform(0, at.seconds))
        return _told(_cut_off(run, gateway, how), how)


def interrupt_at_next(gateway: Gateway, known: set[str], how: How, seconds: float, passed: int) -> str | None:
    """Deploy, and cut that off in an operation that no run has come to before.

    Parameters: `known`, the names of those that one has come to; the new ones are added; `seconds`, how far into the
    operation; `passed`, how many new ones are let pass before.
    Returns what was done, in words; None where the run has completed.
    """
    deadline = time.monotonic() + GIVES_UP_SECONDS
    while True:
        with running(str(gateway.inventory), "deploy.py") as run:
            new = (name for line in run if (name := begun(line)) and name not in known)
            reached = list(islice(new, passed + 1))
            known.update(reached)
            if len(reached) > passed:
                time.sleep(seconds)  # as above
                _told(_cut_off(run, gateway, how), how)
                return f"{how.value} at {reached[-1]!r} after {seconds} s"
            ended = run.end()
        if ended.code == 0:
            return None
        assert is_busy(ended), ended.output[-5000:]
        assert time.monotonic() < deadline, ended.output[-5000:]


def _cut_off(run: Running, gateway: Gateway, how: How) -> Run:
    if how is How.KILL:
        return run.kill()
    if how is How.CTRL_C:
        run.send_signal(signal.SIGINT)
        return run.end()
    if how is How.SSH:
        for host in (gateway.name, *gateway.agents):
            connect().run("exec", object_name(gateway.lab.directory.name, host), "bash", "-c", _CUT_SESSIONS)
        return run.end(GIVES_UP_SECONDS)
    with unplugged(gateway.lab, gateway.name):
        return run.end(GIVES_UP_SECONDS)


def _told(run: Run, how: How) -> Run:
    """Check how a run ended and what its person reads, where it was not faster than its end."""
    assert "Traceback" not in run.output, run.output[-4000:]
    is_over = run.code in (0, -signal.SIGINT)  # Python takes no more signals once it has said all and clears up
    if how is not How.KILL and not is_over:
        code, words = _TOLD[how]
        assert run.code == code and words in " ".join(run.output.split()), f"{run.code}: {run.output[-4000:]}"
    return run


def deploy_again(gateway: Gateway, *arguments: str) -> Run:
    """The next run: it completes and verifies. A host keeps it out for as long as it has the old connection."""
    runs: list[Run] = []

    def completes() -> bool:
        runs.append(gateway.deploy(*arguments))
        return not is_busy(runs[-1])

    await_that(completes, "the lock of the interrupted run is gone", GIVES_UP_SECONDS)
    assert runs[-1].code == 0, runs[-1].output[-5000:]
    assert "verified on" in runs[-1].output
    return runs[-1]


def is_busy(run: Run) -> bool:
    """Whether a run was kept out of a host that another one has, or has not yet left."""
    return _IS_BUSY in " ".join(run.output.split())


def changes_nothing(gateway: Gateway, *arguments: str) -> None:
    """Check that all is as declared."""
    run = gateway.deploy(*arguments)
    assert run.code == 0, run.output[-4000:]
    hosts = (gateway.name, *gateway.agents)
    assert run.output.count("nothing was changed") == len(hosts), run.output[-4000:]


def drift(gateway: Gateway) -> None:
    """Make everything differ that a deployment can fix, while the gateway serves."""
    gateway.ssh(_DRIFT.replace("IMAGE", gateway.lab.state["gateway_image"]["reference"]))
    for agent in gateway.agents:
        gateway.lab.ssh(agent, _AGENT_DRIFT)


def names_of_files(lab: Lab, hosts: Sequence[str]) -> set[str]:
    """Every file that a run could leave half-written on these hosts; not what the canary writes at any time."""
    places = f"{DIRECTORY} /var/lib/openclaw-llm-gateway /etc/systemd/system /home/openclaw/.openclaw /etc/docker"
    left_out = " ".join(f"! -path '{pattern}'" for pattern in _WRITTEN_AT_ANY_TIME)
    look = f"find {places} {left_out} 2>/dev/null; true"
    return {f"{host} {path}" for host in hosts for path in lab.ssh(host, look).splitlines()}
