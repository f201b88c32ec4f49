"""The wheel in an environment of its own, used from somebody else's deploy.py; as in docs/as-a-package.md."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.conftest import INVENTORY, ROOT, Lab, Run

GATEWAY, AGENT, OTHER = "gwpk", "agentpk", "agent1"
THEIRS = "/etc/theirs"
_CONFIG = "from llm_gateway import watch\n\nwatch()\n"
_DEPLOY = f"""
from pyinfra.operations import files

from llm_gateway import deploy_gateway, point_openclaw

files.file(name="Make a file of theirs", path="{THEIRS}", _sudo=True)
deploy_gateway()
point_openclaw()
"""


@dataclass(frozen=True)
class Theirs:
    """A folder with a deploy.py of somebody's own, and an environment that has the wheel."""

    lab: Lab
    folder: Path
    python: Path

    def pyinfra(self, *arguments: str, **environment: str) -> Run:
        """`pyinfra …` in the folder; nothing of the checkout is to be found there."""
        return self._run("pyinfra", *arguments, **environment)

    def _run(self, program: str, *arguments: str, **environment: str) -> Run:
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "SSH_AUTH_SOCK")}
        command = [str(self.python.with_name(program)), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=kept | environment, capture_output=True, text=True, timeout=600, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def command(self, *arguments: str) -> Run:
        """`llm-gateway …` in the folder, which the wheel brings."""
        return self._run("llm-gateway", *arguments)

    def deploy(self, *arguments: str, **environment: str) -> Run:
        """`pyinfra -y inventory.py deploy.py`."""
        return self.pyinfra("-y", *arguments, "inventory.py", "deploy.py", **environment)


def _install(place: Path) -> Path:
    """The Python of an environment that has the wheel and what it needs, as pip would resolve it, and no more."""
    uv = str(Path(sys.executable).with_name("uv"))
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = place.glob("*.whl")
    python = place / "environment" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])], check=True, timeout=60)
    locked = ["--constraint", str(ROOT / "requirements" / "runtime.txt")]
    install = [uv, "pip", "install", "--quiet", "--python", str(python), *locked, str(wheel)]
    subprocess.run(install, check=True, timeout=300)
    return python


@pytest.fixture(scope="module")
def theirs(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theirs]:
    """The wheel installed, and two hosts that nothing was deployed on."""
    folder, place = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("installed")
    with deployed.more_hosts(f"{GATEWAY}:ready", f"{AGENT}:agent"):
        groups = runpy.run_path(INVENTORY)
        gateways = [(name, data) for name, data in groups["gateways"] if name == GATEWAY]
        agents = [(name, {**data, "openclaw_gateway": GATEWAY}) for name, data in groups["openclaw"] if name == AGENT]
        web = [(name, data) for name, data in groups["openclaw"] if name == OTHER]
        assert gateways and agents and web
        (folder / "inventory.py").write_text(f"gateways = {gateways!r}\nopenclaw = {agents!r}\nweb = {web!r}\n")
        (folder / "deploy.py").write_text(_DEPLOY)
        yield Theirs(deployed, folder, _install(place))


def test_without_the_safeguards_it_says_how_to_have_them_and_touches_nothing(theirs: Theirs) -> None:
    run = theirs.deploy()
    run.must_fail_with(f"into {theirs.folder / 'config.py'}: `from llm_gateway import watch` and `watch()`")
    assert theirs.lab.ssh(GATEWAY, f"ls -d {THEIRS} /opt/openclaw-llm-gateway 2>/dev/null || true") == ""


def test_it_deploys_both_beside_steps_of_their_own(theirs: Theirs) -> None:
    (theirs.folder / "config.py").write_text(_CONFIG)
    where = subprocess.run(
        [theirs.python, "-I", "-c", "import llm_gateway, llm_client; print(llm_gateway.__file__, llm_client.__file__)"],
        cwd=theirs.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.count("site-packages") == 2, where.stdout

    wrong = theirs.deploy(LAB_UPSTREAM_API_KEY="wrong-key-of-the-test")
    wrong.must_fail_with("refuses the provider's key", "run the same command again")
    first = theirs.deploy()
    assert first.code == 0, first.output[-5000:]
    for host in (GATEWAY, AGENT):
        assert [line for line in first.output.splitlines() if f"[{host}]" in line and "verified on" in line], host
    url = f"http://{theirs.lab.address(GATEWAY)}:3000/v1"
    assert url in theirs.lab.ssh(AGENT, "cat /home/openclaw/.openclaw/.env")
    assert theirs.lab.ssh(OTHER, f"ls {THEIRS}") == THEIRS
    assert not [line for line in first.output.splitlines() if f"[{OTHER}]" in line and "verified" in line]
    assert "LLM gateway | Declare channels, tokens and options" in first.output
    journal = theirs.lab.ssh(GATEWAY, "cat /var/lib/openclaw-llm-gateway/journal.jsonl").splitlines()
    assert [json.loads(line).get("outcome") for line in journal if '"ended"' in line] == ["failed", "done"]

    again = theirs.deploy("--json")
    assert again.code == 0, again.output[-3000:]
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.stdout

    only = ("--limit", "gateways", "--limit", "openclaw")
    ours = theirs.command("deploy", "-y", *only)
    assert ours.code == 0, ours.output[-3000:]
    assert ours.output.count("  nothing  ") == 2, ours.output
    assert "All is well." in theirs.command("status", *only).stdout

    nobody = theirs.deploy("--limit", "another")
    assert nobody.code != 0, "pyinfra itself ends with 0"
    text = (theirs.folder / "inventory.py").read_text()
    (theirs.folder / "inventory.py").write_text(text.replace("gateways =", "gateway =").replace("openclaw =", "claw ="))
    theirs.deploy().must_fail_with("inventory.py cannot be used; nothing was changed", "mean gateways?")
