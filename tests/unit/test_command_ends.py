"""How `llm-gateway` ends when Ctrl-C comes early, and when nobody reads what it says."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.command import commands, streams
from llm_gateway.model.checkout import ROOT

SECONDS = 60
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
CTRL_C_AT_AN_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from llm_gateway.command.start import main
sys.argv[1:] = ["history"]
main("llm-gateway")
"""


@pytest.fixture(autouse=True)
def ctrl_c_is_heeded() -> Iterator[None]:
    """A child of tests that run in the background would ignore it, and be waited for in vain."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("module", ["llm_gateway.command.cli", "click", "llm_gateway.command.commands"])
@pytest.mark.parametrize(
    ("locale", "told"), [("C.UTF-8", "Interrupted: nothing was changed."), ("zh_CN.UTF-8", "已中断：未做任何更改。")]
)
def test_ctrl_c_while_modules_are_imported(module: str, locale: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_AT_AN_IMPORT.format(module=module)],
        env={**ENVIRONMENT, "LC_ALL": locale, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", told)


def test_what_a_shell_runs_in_the_background_ignores_ctrl_c() -> None:
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    done = subprocess.run(
        [sys.executable, "-c", ignoring + CTRL_C_AT_AN_IMPORT.format(module="click").replace("history", "--help")],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: llm-gateway")


@pytest.mark.parametrize(
    ("arguments", "question"), [([], b"Hosts that get"), (["--gateway", "gw1"], b"DASHSCOPE_API_KEY (not shown")]
)
def test_ctrl_c_at_a_question_of_init(arguments: list[str], question: bytes, tmp_path: Path) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.endswith("_API_KEY")}
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "llm_gateway", "init", *arguments],
        cwd=tmp_path,
        env=environment,
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
    ) as run:
        os.close(its_end)
        try:
            told = read(terminal, until=question)
            while not select.select([terminal], [], [], 1)[0]:  # Python loses one right before it begins to read
                run.send_signal(signal.SIGINT)
            told += read(terminal)
            code = run.wait(timeout=SECONDS)
        finally:
            run.kill()
            os.close(terminal)
    assert (code, told.endswith(b"\nInterrupted: nothing was changed.\r\n")) == (130, True), told
    assert list(tmp_path.iterdir()) == []


def read(terminal: int, until: bytes = b"") -> bytes:
    """What comes from there until then, or until its other end is closed; it never waits longer than a minute."""
    told = b""
    while not until or until not in told:
        if not select.select([terminal], [], [], SECONDS)[0]:
            pytest.fail(f"nothing came after {told!r}")
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so where nobody has the other end any more
            break
        if not piece:
            break
        told += piece
    return told


WRITES_UNTIL_NOBODY_READS = """
import sys
from llm_gateway.command import leaving, streams
streams.heed_readers(only_tells={only_tells})
sys.stderr.write("begun\\n")
for _ in range(100_000):
    print("a line")
    sys.stdout.flush()
sys.stderr.write("ended\\n")
leaving.leave({code})
"""


@pytest.mark.parametrize(
    ("only_tells", "code", "expected"),
    [
        (True, 0, (streams.NOBODY_READS, "begun\n")),
        (False, 0, (0, "begun\nended\n")),
        (False, 1, (1, "begun\nended\n")),
    ],
)
def test_nobody_reads_its_answer(only_tells: bool, code: int, expected: tuple[int, str]) -> None:
    """What only tells ends like any Unix tool; what changes hosts goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_NOBODY_READS.format(only_tells=only_tells, code=code)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout and run.stderr
        assert run.stdout.readline() == "a line\n"
        run.stdout.close()
        told = run.stderr.read()
        assert (run.wait(timeout=SECONDS), told) == expected


def test_nobody_reads_what_goes_on() -> None:
    """`llm-gateway deploy -y 2>&1 | head -1`: the deployment is not cut off."""
    program = (
        "import sys; from llm_gateway.command import leaving, streams; streams.heed_readers(only_tells=False)\n"
        "for _ in range(100_000): sys.stderr.write('a step\\n')\n"
        "leaving.leave(0)"
    )
    with subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stderr=subprocess.PIPE) as run:
        assert run.stderr
        run.stderr.readline()
        run.stderr.close()
        assert run.wait(timeout=SECONDS) == 0


def test_only_what_changes_nothing_may_end_early() -> None:
    ending = {command.name for command in commands.COMMANDS if command.only_tells}
    assert ending == {"plan", "status", "usage", "history", "logs", "alerts"}
    assert not [command.name for command in commands.COMMANDS if command.only_tells and command.asks]
