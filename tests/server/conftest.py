"""The hosts of an inventory, for checks that look at them from outside: `pytest tests/server --inventory=FILE`.

Nothing here or in the checks changes a host. A lab host and a production host are checked alike.
"""

from __future__ import annotations

import atexit
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from llm_gateway.inputs import host_data
from llm_gateway.inputs.settings import Settings

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Server:
    """A host of the inventory: its settings, and the way in."""

    name: str
    settings: Settings
    host: Host

    def sh(self, command: str) -> str:
        """What a shell command prints; it must succeed."""
        return str(self.host.check_output(command)).strip()

    @property
    def address(self) -> str:
        """The host's Tailscale address."""
        return self.settings.gateway_tailscale_address or self.sh(
            "ip -4 -o addr show dev tailscale0 | awk '{print $4}' | cut -d/ -f1"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--inventory", default=None, help="the pyinfra inventory whose hosts are checked")


@cache
def _inventory(path: str) -> list[dict[str, Any]]:
    """What pyinfra makes of the inventory: name, groups and data of each host."""
    if not (ROOT / path).is_file():
        raise pytest.UsageError(f"no inventory {path}: make check-server INVENTORY=inventory.py")
    pyinfra = Path(sys.executable).with_name("pyinfra")
    answer = subprocess.run(
        [str(pyinfra), path, "debug-inventory", "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise pytest.UsageError(f"pyinfra cannot read {path}: {answer.stderr.strip()[-2000:]}")
    hosts: list[dict[str, Any]] = json.loads(answer.stdout)
    if not hosts:
        raise pytest.UsageError(f"{path} has no host: list yours in `gateways` and `openclaw`")
    return hosts


def _connect(name: str, data: dict[str, Any]) -> Host:
    sudo = bool(data.get("_sudo"))
    if name == "@local" or name.startswith("@local/"):
        return testinfra.get_host("local://", sudo=sudo)
    user = f"{data['ssh_user']}@" if data.get("ssh_user") else ""
    port = f":{data['ssh_port']}" if data.get("ssh_port") else ""
    options = []
    if known_hosts := data.get("ssh_known_hosts_file"):
        options.append(f"-o UserKnownHostsFile={shlex.quote(known_hosts)}")
    if config := data.get("ssh_config_file"):
        options.append(f"-F {shlex.quote(config)}")
    return testinfra.get_host(
        f"ssh://{user}{data.get('ssh_hostname', name)}{port}",
        sudo=sudo,
        ssh_identity_file=data.get("ssh_key"),
        ssh_extra_args=" ".join(options) or None,
        controlpath=f"{_sockets()}/%%C",  # testinfra puts what it quotes in the place of a lone %
    )


@cache
def _sockets() -> str:
    """Where connections are kept: without it each command makes one of its own. Paths of sockets have 107 bytes."""
    place = tempfile.mkdtemp(prefix="check-ssh-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


@cache
def _server(path: str, name: str) -> Server:
    data = next(entry["data"] for entry in _inventory(path) if entry["name"] == name)
    found, problems = host_data.check(data)
    if problems:
        raise pytest.UsageError(f"{name}: " + "; ".join(problems))
    return Server(name, found, _connect(name, data))


@pytest.fixture(scope="session")
def gateways(pytestconfig: pytest.Config) -> list[Server]:
    """All gateways of the inventory, for a check of an OpenClaw host that looks at its gateway, too."""
    path = pytestconfig.getoption("--inventory")
    return [_server(path, entry["name"]) for entry in _inventory(path) if "gateways" in entry["groups"]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check with the argument `gateway` runs for each gateway, one with `agent` for each OpenClaw host."""
    path = metafunc.config.getoption("--inventory")
    for argument, group in (("gateway", "gateways"), ("agent", "openclaw")):
        if argument not in metafunc.fixturenames:
            continue
        if path is None:
            raise pytest.UsageError("which servers? make check-server INVENTORY=inventory.py")
        names = [entry["name"] for entry in _inventory(path) if group in entry["groups"]]
        servers = [_server(path, name) for name in names] or [None]
        metafunc.parametrize(argument, servers, ids=names or ["no such host"], scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the checks of a group that has no host: there is nothing to look at, which is no skipped check."""
    unused = [item for item in items if None in getattr(getattr(item, "callspec", None), "params", {}).values()]
    config.hook.pytest_deselected(items=unused)
    items[:] = [item for item in items if item not in unused]
