"""What happens to machines and runs: power cuts, networks that go away, kills at a chosen step."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

from lab.docker import connect
from lab.labels import object_name
from lab.networks import lan
from tests.lab.conftest import ROOT, Lab, Run

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
HANGS_AFTER_SECONDS = 900
"""A run that has not ended by then is killed, whatever waits for it."""


def await_that(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.25)  # what is asked costs a host, and this machine, more than the waiting does


# --- machines


_docker = cache(connect)  # asked for in the middle of things, where time counts


def switch_off(host: str) -> None:
    """Take a host's power away: nothing in it is told, and nothing is written any more."""
    _docker().run("kill", _container(host))


def switch_on(host: str) -> None:
    """Give a host its power; does not wait for it."""
    _docker().run("start", _container(host))


def cut_power(host: str) -> None:
    """Take a host's power away, and give it back; does not wait for it."""
    switch_off(host)
    switch_on(host)


def await_ssh(lab: Lab, host: str) -> None:
    """Wait until a host takes connections; where it boots, that may go on."""
    await_that(lambda: lab.command("ssh", host, "--", "true").code == 0, f"{host} takes connections", 90)


def await_boot(lab: Lab, host: str) -> None:
    """Wait until a host that was switched on has booted, with all that starts then."""
    up = lab.command("up", "--hosts", f"{host}:{lab.state['hosts'][host]['profile']}")
    assert up.code == 0, up.output


@contextmanager
def unplugged(lab: Lab, host: str) -> Iterator[None]:
    """While the block runs, a host is off the LAN: what is sent to it by SSH gets no answer, not even a refusal."""
    docker, network, container = _docker(), lan(os.environ["LAB_NAME"]), _container(host)
    docker.run("network", "disconnect", network, container)
    try:
        yield
    finally:
        docker.run("network", "connect", "--ip", lab.state["hosts"][host]["lan_address"], network, container)


def _container(host: str) -> str:
    return object_name(os.environ["LAB_NAME"], host)


# --- runs


class Running:
    """pyinfra under way: its lines, as it says them. `said` is what was read of them so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.said = ""
        self._process = process

    def __iter__(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            self.said += line
            yield line

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> Run:
        """Wait for its end. Returns what was read of it, and how it ended."""
        return Run(self._process.wait(seconds), self.said, "")

    def kill(self) -> Run:
        """Kill it, and wait for its end: it may have been faster."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def end(self, seconds: float = 30) -> Run:
        """Read all that it has to say, and wait for its end."""
        for _ in self:
            pass
        return self.wait(seconds)


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None, typed: str | None = None) -> Iterator[Running]:
    """pyinfra with these arguments, under way. It is killed at the end.

    Parameters: `typed`, what a person types at its terminal; None: there is no person, and it does not ask (-y).
    """
    with (
        nullcontext(subprocess.DEVNULL) if typed is None else _terminal(typed) as stdin,
        subprocess.Popen(
            [PYINFRA, *(["-y"] if typed is None else []), *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        limit = threading.Timer(HANGS_AFTER_SECONDS, process.kill)
        limit.start()
        try:
            yield Running(process)
        finally:
            limit.cancel()
            process.kill()


@contextmanager
def _terminal(typed: str) -> Iterator[int]:
    """The end of a terminal that a process reads, where this was typed."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, typed.encode())
    try:
        yield terminal
    finally:
        os.close(keyboard)
        os.close(terminal)


def await_line(run: Running, words: str) -> None:
    """Read a run's output up to the line with these words."""
    _read_to(run, lambda line: words in line, words)


def await_step(run: Running, words: str) -> None:
    """Read a run's output up to the line that tells of a step with these words."""
    _read_to(run, lambda line: words in line and is_step(line), words)


def _read_to(run: Running, is_it: Callable[[str], bool], words: str) -> None:
    assert any(is_it(line) for line in run), f"the run ended before it said {words!r}:\n{run.said[-3000:]}"


def kill_at(step: str, *arguments: str) -> Run:
    """Run pyinfra and kill it when it tells of a step with these words. Returns what it had said, and how it ended."""
    with running(*arguments) as run:
        await_step(run, step)
        return run.kill()


def kill_where(is_it: Callable[[str], bool], *arguments: str, after: int = 0) -> tuple[str | None, Run]:
    """Run pyinfra and kill it at the first line that is it, or after so many of them at the next.

    Returns the line, None where the run ended before, and what it had said and how it ended.
    """
    with running(*arguments) as run:
        for line in run:
            if is_it(line):
                if not after:
                    return line.strip(), run.kill()
                after -= 1
        return None, run.end(60)


def is_step(line: str) -> bool:
    """Whether a line tells of a step, as `llm_gateway.hosts.progress.step` does."""
    return line.rstrip().endswith(" ...")


def steps_told(output: str, script: str) -> Sequence[str]:
    """The steps that a run has told, each once, in their order: "migration: the last copy ..."."""
    steps = [line.partition(f"{script}: ")[1:] for line in output.splitlines() if is_step(line)]
    return list(dict.fromkeys("".join(step).strip() for step in steps if step[0]))
