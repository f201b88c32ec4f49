"""The run of Ansible (bench/no_op.yml) that `bench.no_op` compares with, alone and with mitogen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from lab import state as lab_state
from llm_gateway.parts import installation

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".venv/locked/bench-ansible"
DIRECTORY = "/opt/openclaw-llm-gateway"
UNITS = [f"openclaw-llm-gateway{end}" for end in (".service", "-firewall.service", "-backup.timer", "-canary.timer")]


class Playbook:
    """The playbook, with what it needs to know of the lab's host.

    Parameters: `place`, a directory for its files; `ssh`, the words of a login to the host, for what is read once.
    Raises BenchError where Ansible is not installed, or the host cannot be read.
    """

    def __init__(
        self, lab: lab_state.LabState, host: lab_state.Host, port: int, place: Path, ssh: Sequence[str]
    ) -> None:
        if not (ENVIRONMENT / "bin/ansible-playbook").exists():
            raise BenchError("Ansible is not installed: scripts/environments.sh bench-ansible")
        if lab.upstream is None or lab.gateway_image is None:
            raise BenchError("the lab is only half up: make lab")
        self._ssh = ssh
        self._on_host(
            "command -v python3 > /dev/null || { apt-get update -qq && apt-get install -y -qq python3 > /dev/null; }"
        )
        # The files that a deployment compares, as far as they are there: their sums are what the playbook expects.
        paths = " ".join(installation.tracked_files(DIRECTORY))
        sums = self._on_host(f"for file in {paths}; do [ ! -f $file ] || sha256sum $file; done")
        secrets = self._on_host(f"cat {DIRECTORY}/secrets.env")
        questions = (HERE / "same_checks.sh").read_text()
        values = {
            "ADDRESS": host.tailscale_address,
            "PORT": "3000",
            "DIRECTORY": DIRECTORY,
            "CHAT": lab.upstream.chat_model,
            "EMBEDDING": lab.upstream.embedding_model,
            "DIMENSIONS": lab.upstream.dimensions,
        }
        token = re.search(r"^ONEAPI_ACCESS_TOKEN='?([^'\n]+)", secrets, re.MULTILINE)
        if token is None:
            raise BenchError("the gateway has no access token: deploy it first")
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": host.ssh_user,
            "ansible_ssh_private_key_file": host.ssh_key,
            "ansible_python_interpreter": "/usr/bin/python3",
            "directory": DIRECTORY,
            "address": host.tailscale_address,
            "image": lab.gateway_image.reference,
            "token": token[1],
            "sources": str(place / "sources"),
            "files": {line.split(maxsplit=1)[1]: line.split()[0] for line in sums.splitlines()},
            "units": UNITS,
            "questions": "\n".join([*(f"{name}='{value}'" for name, value in values.items()), questions]),
        }
        self._inventory = place / "hosts.json"
        self._inventory.touch(mode=0o600)
        self._inventory.write_text(json.dumps({"all": {"hosts": {"gateway": variables}}}))

    def _on_host(self, command: str) -> str:
        done = subprocess.run(
            [*self._ssh, "sudo sh -s"], input=command, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise BenchError(f"the host cannot be read: {done.stderr[-500:]}")
        return done.stdout

    def run(self, has_mitogen: bool) -> float:
        """The seconds of a run, without the models' time. Raises BenchError where it fails or changes something."""
        with tempfile.TemporaryDirectory() as sockets:
            (Path(sockets) / "none.cfg").touch()
            environment = {
                **os.environ,
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_SSH_ARGS": "-F /dev/null -o ControlMaster=auto -o ControlPersist=60s",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,  # of this run alone: it begins without a connection
                "ANSIBLE_HOST_KEY_CHECKING": "0",
                "ANSIBLE_CONFIG": f"{sockets}/none.cfg",
            }
            if has_mitogen:
                (plugins,) = ENVIRONMENT.glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy")
                environment |= {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
            command = [str(ENVIRONMENT / "bin/ansible-playbook"), "-i", str(self._inventory), str(HERE / "no_op.yml")]
            started = time.monotonic()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
            seconds = time.monotonic() - started
        model = re.search(r"model (\d+)", done.stdout)
        if done.returncode or model is None or "changed=0" not in done.stdout:
            raise BenchError(f"Ansible's run was no no-op: {done.stdout[-1500:]}{done.stderr[-500:]}")
        return seconds - int(model[1]) / 1e6
