"""The run that changes nothing, against one lab gateway, beside a bash script over one ssh session and Ansible."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import no_op_ansible
from bench.delay import delayed
from bench.errors import BenchError
from lab import state as lab_state
from lab.errors import LabError
from llm_gateway.hosts import host_state
from llm_gateway.parts import installation

ROOT = Path(__file__).parent.parent
DIRECTORY = "/opt/openclaw-llm-gateway"


BASH, COMMAND, PYINFRA = "one ssh session, bash", "llm-gateway deploy -y", "pyinfra -y … deploy.py"
ANSIBLE, MITOGEN = "Ansible, tuned", "Ansible with mitogen"


@dataclass
class Found:
    """Seconds of each round by what was run, without the models' time, and the channels of one pyinfra run."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    channels: str = ""


def measure(round_trip: float, rounds: int) -> Found:
    """Measure all in turn, `rounds` times, over a link of that round trip in seconds.

    Raises BenchError when the lab is not up or a run fails.
    """
    lab, name = deployed_lab()
    host = lab.hosts[name]
    found = Found()
    with (
        tempfile.TemporaryDirectory() as place,
        delayed(host.lan_address, host.ssh_port, round_trip) as port,
        _outside_the_tailnet(host.tailscale_address),
    ):
        known_hosts = Path(place) / "known_hosts"
        keys = (line.split(maxsplit=1) for line in Path(host.known_hosts).read_text().splitlines() if line.strip())
        known_hosts.write_text("".join(f"[127.0.0.1]:{port} {key}\n" for _, key in keys))
        inventory = Path(place) / "inventory.py"
        inventory.write_text(
            "from lab.inventory import gateways as _gateways\n"
            f"gateways = [(n, {{**d, 'ssh_hostname': '127.0.0.1', 'ssh_port': {port},\n"
            f"    'ssh_known_hosts_file': {str(known_hosts)!r}}})\n"
            f"    for n, d in _gateways if n == {name!r}]\n"
        )
        script = _same_checks(lab, host)
        playbook = no_op_ansible.Playbook(lab, host, port, Path(place), _ssh(host, port))
        _command(inventory)  # the first one keeps what it asks its hosts first; the others are as the next ones
        for _ in range(rounds):
            seconds, model = _bash(host, port, script)
            found.seconds[BASH].append(seconds - model)
            # The models' time as it is on the host itself: what the link adds to the requests is the run's own.
            found.seconds[COMMAND].append(_command(inventory) - model)
            seconds, found.channels = _pyinfra(inventory)
            found.seconds[PYINFRA].append(seconds - model)
            for what, has_mitogen in ((ANSIBLE, False), (MITOGEN, True)):
                found.seconds[what].append(playbook.run(has_mitogen))
    return found


def deployed_lab() -> tuple[lab_state.LabState, str]:
    """Return the lab and the name of a deployed gateway in it. Raises BenchError when there is none."""
    try:
        lab = lab_state.load()
    except LabError as problem:
        raise BenchError(f"the lab is needed: {problem}") from None
    name = next((host for host, found in lab.hosts.items() if found.profile == "fresh"), None)
    if name is None:
        raise BenchError("a deployed gateway of the profile fresh is needed: make lab")
    return lab, name


@contextmanager
def _outside_the_tailnet(address: str) -> Iterator[None]:
    """This machine reaches the gateway's address directly, by the lab's bridge; meanwhile it shall not."""
    _checked("ip", "route", "add", "unreachable", f"{address}/32")
    try:
        yield
    finally:
        _checked("ip", "route", "del", "unreachable", f"{address}/32")


def _checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"`{' '.join(command)}` failed: {done.stderr.strip()}; make bench needs root")


def _same_checks(lab: lab_state.LabState, host: lab_state.Host) -> str:
    if lab.upstream is None or lab.gateway_image is None:
        raise BenchError("the lab is only half up: make lab")
    values = {
        "DIRECTORY": DIRECTORY,
        "PORT": "3000",
        "IMAGE": lab.gateway_image.reference,
        "OPENCLAW_UNIT": "",
        "OPENCLAW_SCOPE": "system",
        "OPENCLAW_USER": "",
        "ADDRESS": host.tailscale_address,
        "CHAT": lab.upstream.chat_model,
        "EMBEDDING": lab.upstream.embedding_model,
        "DIMENSIONS": str(lab.upstream.dimensions),
    }
    reading = host_state.script(["gateway"], values, installation.tracked_files(DIRECTORY))
    return reading + (Path(__file__).with_name("same_checks.sh")).read_text()


def _ssh(host: lab_state.Host, port: int) -> list[str]:
    command = ["ssh", "-F", "/dev/null", "-i", host.ssh_key, "-p", str(port), "-o", "BatchMode=yes"]
    command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    return [*command, f"{host.ssh_user}@127.0.0.1"]


def _timed(command: list[str], stdin: str = "") -> tuple[float, subprocess.CompletedProcess[str]]:
    """How many seconds a command took, and what came of it."""
    started = time.monotonic()
    done = subprocess.run(command, input=stdin, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    return time.monotonic() - started, done


def _bash(host: lab_state.Host, port: int, script: str) -> tuple[float, float]:
    """Seconds of the whole session, and of the models within it."""
    seconds, done = _timed([*_ssh(host, port), "sudo bash -s"], script)
    model = re.search(r"^model (\d+)$", done.stdout, re.MULTILINE)
    if done.returncode or model is None:
        raise BenchError(f"the bash script failed: {done.stderr[-500:]}")
    return seconds, int(model[1]) / 1e6


def _command(inventory: Path) -> float:
    seconds, done = _timed([sys.executable, "-m", "llm_gateway", "deploy", "-y", str(inventory)])
    if done.returncode or "  nothing  " not in done.stderr:
        raise BenchError(f"the run was no no-op: {done.stderr[-1500:]}")
    return seconds


def _pyinfra(inventory: Path) -> tuple[float, str]:
    seconds, done = _timed([sys.executable, "-m", "bench.counted", "-y", str(inventory), "deploy.py"])
    channels = re.search(r"^channels: (.*)$", done.stderr, re.MULTILINE)
    if done.returncode or channels is None or "nothing was changed" not in done.stderr:
        raise BenchError(f"the run was no no-op: {done.stderr[-1500:]}")
    return seconds, channels[1]
