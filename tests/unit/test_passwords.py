"""Where a password is wanted and nobody can be asked, that is said, and not that the connection is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_gateway import pyinfra_insides
from tests.unit.fake_hosts import KEYS, ROOT

SUDO_ASKS = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"


@pytest.mark.parametrize("name", pyinfra_insides.PASSWORDS)
def test_each_module_of_pyinfra_asks_by_the_function_that_is_replaced(name: str) -> None:
    """Else a new pyinfra would ask by itself again."""
    # Not in this process: pyinfra_cli patches Python for gevent.
    look = f"import getpass, {name} as asking; assert asking.getpass is getpass.getpass"
    subprocess.run([sys.executable, "-c", look], check=True)


def without_terminal(place: Path, *arguments: str, stdin: str = "", **data: object) -> str:
    """What deploy.py says on this machine, whose sudo wants a password; nothing can be asked."""
    programs = place / "programs"
    programs.mkdir()
    (programs / "sudo").write_text(SUDO_ASKS)
    (programs / "sudo").chmod(0o755)
    inventory = place / "inventory.py"
    name = data.pop("name", "@local")
    inventory.write_text(f"gateways = [({name!r}, {data!r})]\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "-y", *arguments, str(inventory), str(ROOT / "deploy.py")],
        cwd=ROOT,
        env={**os.environ, **KEYS, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(place)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "internal exception" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_sudo_that_wants_a_password_is_no_lost_connection(tmp_path: Path) -> None:
    told = without_terminal(tmp_path, _sudo=True)
    assert "sudo on this host asks for a password, and there is no terminal to ask on" in told
    assert "NOPASSWD" in told
    assert "lost" not in told


@pytest.mark.slow
def test_a_key_with_a_passphrase_is_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "hush-hush", "-f", str(key)], check=True)
    told = without_terminal(tmp_path, name="127.0.0.1", ssh_key=str(key), ssh_port=1)
    assert "the SSH key has a passphrase, and there is no terminal to ask on" in told
    assert "ssh-add" in told


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--same-sudo-password", "--ssh-password-prompt"])
def test_an_option_that_asks_is_refused(tmp_path: Path, option: str) -> None:
    assert "a password cannot be asked without a terminal" in without_terminal(tmp_path, option)
