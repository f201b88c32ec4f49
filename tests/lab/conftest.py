"""A lab of the tests' own: a bare host, an OpenClaw host and one that comes from the older, hand-made set-up.

It is made anew for each run of the tests and removed afterwards (KEEP_LAB=1 leaves it, for looking around).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import tailnet
from llm_gateway.flavours import known
from llm_gateway.flavours.contents import Admin
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.inputs.secrets import Generated
from tests.lab import old_gateway, sessions
from tests.lab.rows import directory, rows
from tests.lab.shown import shown as shown  # the fixture, for all tests of this directory
from tests.lab.watching import Watchers

ROOT = Path(__file__).parent.parent.parent
HOSTS = "gw1:fresh,agent1:agent,old1:legacy"
INVENTORY = "lab/inventory.py"
WORKSPACE = "/home/openclaw/.openclaw/workspace"
OWN_CLIENT = "// written by a person, before there was one for all Skills\nmodule.exports = {};\n"

# One lab for each checkout and for each of pytest-xdist's workers, so that they can be tested beside each other.
# What the lab's stand-in for Tailscale has not got.
collect_ignore = [] if os.environ.get("LAB_TAILNET") == tailnet.REAL else ["test_tailnet_real.py"]

_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
os.environ["LAB_NAME"] = os.environ.get("TEST_LAB_NAME", f"test-{_CHECKOUT}") + _WORKER


@dataclass(frozen=True)
class Run:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr

    def must_fail_with(self, *words: str) -> None:
        """Check that it failed as a person's mistake does: with these words, and without a traceback."""
        assert self.code == 1, self.output[-3000:]
        told = " ".join(self.output.split())
        for word in words:
            assert word in told, self.output[-3000:]
        assert "Traceback" not in self.output


class Lab:
    """The lab of the tests, used as a person uses it: by its commands."""

    @property
    def state(self) -> dict[str, Any]:
        """What the lab says of itself."""
        found: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return found

    @property
    def directory(self) -> Path:
        """Where the lab keeps its state."""
        return ROOT / ".lab" / os.environ["LAB_NAME"]

    def command(self, *arguments: str, stdin: str | None = None, timeout: float = 900) -> Run:
        """`python -m lab …`."""
        return run_here([sys.executable, "-m", "lab", *arguments], stdin=stdin, timeout=timeout)

    @contextmanager
    def more_hosts(self, *hosts: str) -> Iterator[None]:
        """More hosts ("gw2:fresh") for as long as the context lasts: a machine has room for some twenty."""
        up = self.command("up", "--hosts", ",".join(hosts))
        assert up.code == 0, up.output
        yield
        for host in hosts:
            removed = self.command("host-remove", host.partition(":")[0])
            assert removed.code == 0, removed.output

    def ssh(self, host: str, command: str, stdin: str | None = None) -> str:
        """What a shell command, run as root on a host, prints; it must succeed."""
        run = sessions.run(host, command, stdin, timeout=900)
        assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"
        return run.stdout.strip()

    def copy(self, host: str, source: Path, destination: str) -> None:
        """Send a file to a host."""
        with source.open("rb") as file:
            subprocess.run(
                [sys.executable, "-m", "lab", "ssh", host, "--", f"sudo sh -c 'cat > {destination}'"],
                cwd=ROOT,
                stdin=file,
                check=True,
                timeout=300,
            )

    def pyinfra(self, *arguments: str, environment: dict[str, str] | None = None) -> Run:
        """`pyinfra …`, from the checkout's root."""
        pyinfra = str(Path(sys.executable).with_name("pyinfra"))
        return run_here([pyinfra, *arguments], environment=environment)

    def deploy(self, *arguments: str, environment: dict[str, str] | None = None) -> Run:
        """`pyinfra -y lab/inventory.py deploy.py`, with more arguments before the inventory."""
        return self.pyinfra("-y", *arguments, INVENTORY, "deploy.py", environment=environment)

    def verify(self, *arguments: str) -> Run:
        """`pyinfra -y lab/inventory.py verify.py`."""
        return self.pyinfra("-y", *arguments, INVENTORY, "verify.py")

    @property
    def flavour(self) -> Flavour:
        """The software of its gateways, where nothing else is said."""
        return known.of_image(self.state["gateway_image"]["reference"])

    @contextmanager
    def admin(self, host: str, base_url: str | None = None) -> Iterator[Admin]:
        """The admin API of a gateway of the lab's own software, as root has it, spoken to from the tailnet."""
        text = self.ssh(host, f"cat {shlex.quote(directory(host))}/secrets.env")
        base_url = base_url or f"http://{self.address(host)}:3000"
        with self.flavour.admin(base_url, access_token=Generated.read(text).access_token) as admin:
            yield admin

    def address(self, host: str) -> str:
        """A host's address on the tailnet."""
        return str(self.state["hosts"][host]["tailscale_address"])


def python(*arguments: str, environment: dict[str, str] | None = None, timeout: float = 900) -> Run:
    """`python …`, from the checkout's root, as a person types it; there is no terminal."""
    return run_here([sys.executable, *arguments], environment=environment, timeout=timeout)


def run_here(
    command: Sequence[str],
    stdin: str | None = None,
    timeout: float = 900,
    environment: dict[str, str] | None = None,
) -> Run:
    """A command, from the checkout's root."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """The first lab builds the images, the others find them."""
    place = ROOT / ".lab"
    place.mkdir(exist_ok=True)
    with (place / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """The lab, up; nothing is deployed yet."""
    found = Lab()
    if reporter := pytestconfig.pluginmanager.getplugin("terminalreporter"):  # a worker has none
        reporter.write_line("bringing the tests' lab up (the first time on a machine this builds its images) ...")
    os.environ.setdefault("LAB_GATEWAY", "one-api,new-api")
    found.command("down")
    with _one_at_a_time():
        up = found.command("up", "--hosts", HOSTS, timeout=1800)
    assert up.code == 0, up.output
    yield found
    if not os.environ.get("KEEP_LAB"):
        down = found.command("down")
        assert down.code == 0, down.output


# As somebody wrote it before: the deployment keeps it.
_OWN_CLIENT = f"cd {WORKSPACE} && mkdir -p skills/shared && cat > skills/shared/llm_client.js"


@dataclass(frozen=True)
class First:
    """The first deployment, what stood before it, and what was seen meanwhile."""

    run: Run
    old_rows: dict[str, list[Any]]
    old_environment: dict[str, str]
    without_password: Run
    old_gateway_served_on: bool
    logins: str
    arguments: str


@pytest.fixture(scope="session")
def first(lab: Lab) -> First:
    """The first deployment of all hosts, at pyinfra's highest verbosity, watched from outside."""
    old_gateway.start(lab)
    old_rows = rows(lab, "old1")
    environment = {host: lab.ssh(host, "cat /home/openclaw/.openclaw/.env") + "\n" for host in ("agent1", "old1")}
    lab.ssh("old1", f"runuser -u openclaw -- sh -c '{_OWN_CLIENT}'", OWN_CLIENT)
    # A hardened host, as dev-sec's roles leave it: the deployment may not depend on SSH forwarding.
    lab.ssh("old1", "echo AllowTcpForwarding no > /etc/ssh/sshd_config.d/10-hardened.conf && systemctl reload ssh")
    without_password = lab.deploy("--limit", "old1")
    served_on = old_gateway.serves(lab)
    with Watchers(lab, "gw1") as watchers:
        run = lab.deploy("-vvv", "--diff", environment={"ONEAPI_ROOT_PASSWORD": old_gateway.PASSWORD})
    return First(run, old_rows, environment, without_password, served_on, watchers.logins(), watchers.arguments())


def look_with_canary(lab: Lab, host: str) -> None:
    """Have the canary look now: what it saw last may be what another test did to the gateway."""
    lab.ssh(host, "systemctl start openclaw-llm-gateway-canary")


@pytest.fixture(scope="session")
def deployed(lab: Lab, first: First) -> Lab:
    """The lab after a first deployment that succeeded."""
    assert first.run.code == 0, first.run.output[-6000:]
    return lab
