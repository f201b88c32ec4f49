"""What happens to machines and runs: power cuts, networks that go away, kills at a chosen step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.docker import connect
from lab.labels import object_name
from lab.networks import lan
from tests.lab.conftest import ROOT, Lab

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))


def await_that(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def cut_power(host: str) -> None:
    """Kill a host's machine as a power cut does, and switch it on again; does not wait for it."""
    docker, container = connect(), object_name(os.environ["LAB_NAME"], host)
    docker.run("kill", container)
    docker.run("start", container)


def await_boot(lab: Lab, host: str) -> None:
    """Wait until a host that was switched on takes connections again."""
    await_that(lambda: lab.command("ssh", host, "--", "true").code == 0, f"{host} boots", 90)


@contextmanager
def unplugged(lab: Lab, host: str) -> Iterator[None]:
    """While the block runs, a host is off the LAN: what is sent to it by SSH gets no answer, not even a refusal."""
    docker, name = connect(), os.environ["LAB_NAME"]
    network, container = lan(name), object_name(name, host)
    docker.run("network", "disconnect", network, container)
    try:
        yield
    finally:
        docker.run("network", "connect", "--ip", lab.state["hosts"][host]["lan_address"], network, container)


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """pyinfra with these arguments, under way; its output is `stderr`, line by line. It is killed at the end."""
    with subprocess.Popen(
        [PYINFRA, "-y", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            yield run
        finally:
            run.send_signal(signal.SIGKILL)


def await_line(run: subprocess.Popen[str], words: str) -> None:
    """Read a run's output up to the line with these words."""
    seen: list[str] = []
    for line in run.stderr or ():
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"the run ended before it said {words!r}:\n{''.join(seen[-30:])}")


def steps_told(output: str, script: str) -> Sequence[str]:
    """The steps that a run has told by `gateway.runs.progress.step`, each once, in their order: "migrate: …"."""
    steps = (line.partition(f"{script}: ")[2] for line in output.splitlines() if line.rstrip().endswith(" ..."))
    return list(dict.fromkeys(step.strip() for step in steps if step))
