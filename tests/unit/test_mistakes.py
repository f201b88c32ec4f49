"""What a person gets wrong before a host is reached: told in a line, without a traceback or a line of our source."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.inputs.inventory_groups import wrong_groups
from llm_gateway.tasks import preflight
from tests.unit.fake_hosts import KEYS, ROOT
from tests.unit.topology import make_machine

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
CLOSED = {"ssh_hostname": "127.0.0.1", "ssh_port": 1, "ssh_look_for_keys": False, "ssh_allow_agent": False}


def told(place: Path, content: str) -> str:
    """What deploy.py says of an inventory; it fails."""
    (place / "inventory.py").write_text(content)
    done = subprocess.run(
        [PYINFRA, "-y", str(place / "inventory.py"), str(ROOT / "deploy.py")],
        cwd=ROOT,
        env={**KEYS, "HOME": str(place), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert not re.search(r"Traceback|\.py line \d|internal exception", done.stderr), done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"ssh_key": "/none/id_ed25519"}, "No such private key file: /none/id_ed25519; correct `ssh_key`"),
        ({"ssh_key": "/etc/passwd"}, "Invalid private key file: /etc/passwd; correct `ssh_key`"),
        ({"ssh_port": "many"}, "Invalid connector data `ssh_port`"),
        ({}, "Could not connect"),
    ],
)
def test_a_connection_that_cannot_be_made(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    said = told(tmp_path, f"gateways = {[('gw1', {**CLOSED, **data})]!r}\n")
    assert words in said
    if "ssh_port" not in data:
        assert "No host was reached, so nothing was changed" in said
        assert (tmp_path / ".ssh").stat().st_mode & 0o777 == 0o700, "as OpenSSH makes it; pyinfra failed without it"


@pytest.mark.parametrize(
    ("attributes", "problems"),
    [
        ({"gateways": ["gw1"], "servers": ["gw1"]}, []),
        ({"gateways": []}, []),
        ({}, []),
        (
            {"gateway": ["gw1"], "open_claw": ["a1"], "web": ["w1"], "_hidden": ["x"]},
            [
                "it has the groups gateway (did you mean gateways?), open_claw (did you mean openclaw?), web, and"
                " neither `gateways` nor `openclaw`: give its hosts one of these"
            ],
        ),
        (
            {"gateways": [("gw1", {"ssh_usr": "admin"})]},
            ["gateways: gw1: ssh_usr: pyinfra knows no such data; did you mean 'ssh_user'?"],
        ),
        (
            {"gateways": ([("gw1", {"_sudoo": True})], {"sshuser": "admin"})},
            [
                "gateways: sshuser: pyinfra knows no such data; did you mean 'ssh_user'?",
                "gateways: gw1: _sudoo: pyinfra knows no such data; did you mean '_sudo'?",
            ],
        ),
        ({"gateways": [("gw1", {"ssh_user": "a", "_sudo": True, "_mine": 1, "sshd_port": 22, "x": 1})]}, []),
        (
            {"gateways": ["a..b"]},
            ["gateways: 'a..b' is not a valid host name: a part between its dots is empty or too long"],
        ),
        ({"gateways": [("a..b", {"ssh_hostname": "127.0.0.1"}), "网关", "@docker/a..b"]}, []),
    ],
)
def test_what_is_wrong_in_an_inventory(attributes: dict[str, Any], problems: list[str]) -> None:
    assert list(wrong_groups(attributes)) == problems


@pytest.mark.slow
def test_an_inventory_without_our_groups_is_told_before_anything_is_reached(tmp_path: Path) -> None:
    said = told(tmp_path, f"gateway = {[('gw1', CLOSED)]!r}\n")
    assert "it has the groups gateway (did you mean gateways?)" in said
    assert "Connecting" not in said


def test_a_host_in_no_group_of_ours_is_told_with_those_that_it_is_in() -> None:
    made = make_machine(roles="")
    made.host.groups = ["all", "web", "web", "@local"]
    (said,) = preflight.group_problems(made)
    assert said == (
        "is in neither group, `gateways` nor `openclaw` (its groups: web); list it in one of them in the inventory"
    )


_WHILE_LOADING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "llm_gateway.command.run_guard":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
exec(compile(open("config.py").read(), "config.py", "exec"))
"""


@pytest.mark.slow
def test_an_interruption_while_config_py_is_read() -> None:
    done = subprocess.run([sys.executable, "-c", _WHILE_LOADING], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "\nInterrupted: nothing was changed.\n")


_WHILE_PYINFRA_IS_LOADED = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "pyinfra_cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_path("verify.py", run_name="__main__")
"""


@pytest.mark.slow
def test_an_interruption_while_pyinfra_is_loaded_by_a_script_of_ours(tmp_path: Path) -> None:
    """Of `pyinfra` itself nothing of ours is there yet."""
    (tmp_path / "inventory.py").write_text("gateways = ['@fake/gw1']\n")
    done = subprocess.run(
        [sys.executable, "-c", _WHILE_PYINFRA_IS_LOADED, str(tmp_path / "inventory.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.endswith("\nInterrupted: nothing was changed.\n")
    assert "Traceback" not in done.stderr
