"""The exit code tells how a run ended, also where pyinfra alone says 0."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit import fake_hosts
from tests.unit.fake_hosts import ROOT

pytestmark = pytest.mark.slow


def test_an_interrupted_run_says_so_at_any_stage(tmp_path: Path) -> None:
    name, data = fake_hosts.host("gw1", gateway_channels=[])
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"gateways = {[(name, {**data, 'fake_delay': 600})]!r}\n")
    pyinfra = Path(sys.executable).with_name("pyinfra")
    with subprocess.Popen(
        [str(pyinfra), "-y", str(inventory), str(ROOT / "deploy.py")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr
        for line in run.stderr:
            if "Reading the hosts" in line:
                break
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
        assert run.wait(timeout=30) == 130
    assert "Interrupted: run the same command again" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("script", ["deploys/status.py", "deploys/history.py"])
def test_nobody_reads_what_pyinfra_tells(tmp_path: Path, script: str) -> None:
    """`pyinfra inventory.py deploys/status.py | head -0`: it ends as any Unix tool does, without a traceback."""
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"gateways = {[fake_hosts.host('gw1', gateway_channels=[])]!r}\n")
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    with subprocess.Popen(
        [pyinfra, "-y", str(inventory), str(ROOT / script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout and run.stderr
        run.stdout.close()
        told = run.stderr.read()
        assert run.wait(timeout=60) == 141, told
    assert "Traceback" not in told
    assert "BrokenPipe" not in told


# Python hands the signal over in the destructor, whose exceptions go no further.
_IN_DESTRUCTOR = """
import os, signal
class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(9):
            pass
Ends()
"""


def test_an_interruption_where_nothing_may_be_raised_ends_the_run_as_well(tmp_path: Path) -> None:
    result = fake_hosts.run(
        tmp_path, "-y", prelude=_IN_DESTRUCTOR, gateways=[fake_hosts.host("gw1", gateway_channels=[])]
    )
    assert result.returncode == 130, result.stderr
    assert "Interrupted: run the same command again" in result.stderr
    assert "Traceback" not in result.stderr


@contextmanager
def _at_a_terminal(place: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A deployment that was asked to be confirmed; and the terminal at which a person types."""
    inventory = place / "inventory.py"
    inventory.write_text(f"gateways = {[fake_hosts.host('gw1', gateway_channels=[])]!r}\n")
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("pyinfra")), str(inventory), str(ROOT / "deploy.py")],
        cwd=ROOT,
        stdin=its_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as run:
        try:
            yield run, terminal
        finally:
            run.kill()
    os.close(terminal)
    os.close(its_end)


def test_an_interruption_at_the_question_is_taken(tmp_path: Path) -> None:
    with _at_a_terminal(tmp_path) as (run, _):
        assert run.stdout
        told = b""
        while b"Detected changes" not in told:
            piece = os.read(run.stdout.fileno(), 4096)
            assert piece, told
            told += piece
        run.send_signal(signal.SIGINT)
        told += run.stdout.read()
        assert run.wait(timeout=30) == 130
    assert b"Interrupted: run the same command again" in told
    assert b"Traceback" not in told


def test_verification_does_not_ask_for_the_file_of_secrets(tmp_path: Path) -> None:
    result = fake_hosts.run(
        tmp_path,
        "--dry",
        script="verify.py",
        environment={},
        gateways=[fake_hosts.host("gw1", secrets_file=str(tmp_path / "none.env"))],
    )
    assert result.returncode == 0, result.stderr


def test_without_a_terminal_the_question_is_not_asked(tmp_path: Path) -> None:
    asked = fake_hosts.run(tmp_path, gateways=[fake_hosts.host("gw1", gateway_channels=[])])
    assert asked.returncode == 1
    assert "add -y to carry it out, or --dry" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_a_declined_run_is_no_success(tmp_path: Path) -> None:
    with _at_a_terminal(tmp_path) as (run, terminal):
        os.write(terminal, b"no\n")
        told, _ = run.communicate(timeout=60)
        assert run.returncode == 1
    assert b"Nothing was carried out" in told
