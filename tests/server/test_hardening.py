"""What is left to somebody who has broken into the container, as far as it can be read off a host.

What Docker's own checklist asks of a container (docker-bench-security, sections 4 and 5), the rights of files, and how
much our units may do. That attacks fail is shown in tests/lab/.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.model.layout import PROJECT
from tests.server.conftest import Server

MOST_EXPOSED = 3.0
"""By `systemd-analyze security`, from 0 (nothing) to 10 (all)."""
SECRET_VALUES = "sed -n 's/^[A-Z_]*=//p' {0}/secrets.env {0}/.env | tr -d \"'\" | awk 'length >= 16'"
"""A shell command that prints the secrets of a gateway's directory, one a line."""


def _inspected(gateway: Server, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gateway.sh(f"docker {kind} inspect {name}"))[0]
    return found


@pytest.fixture
def container(gateway: Server) -> dict[str, Any]:
    """The container of One API, as Docker tells of it."""
    return _inspected(gateway, "container", PROJECT)


def _secrets(gateway: Server) -> str:
    return SECRET_VALUES.format(gateway.settings.gateway_directory)


def test_its_process_is_nobody_and_can_become_nobody_else(gateway: Server, container: dict[str, Any]) -> None:
    lines = gateway.sh(f"cat /proc/{container['State']['Pid']}/status").splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    user = str(gateway.settings.gateway_user_id)
    assert (status["Uid"], status["Gid"]) == ([user] * 4, [user] * 4)
    assert set(status["Groups"]) <= {user}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind][0], 16) == 0, kind
    assert status["NoNewPrivs"] == ["1"]


def test_it_has_no_rights_beyond_its_own(container: dict[str, Any]) -> None:
    host = container["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"], "nothing unconfined"
    assert not host["Devices"]
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", ""), "none of the host's namespaces"
    assert host["IpcMode"] == "private"


def test_it_can_write_to_its_data_and_nowhere_else(gateway: Server, container: dict[str, Any]) -> None:
    assert container["HostConfig"]["ReadonlyRootfs"]
    directory = gateway.settings.gateway_directory
    assert [mount["Source"] for mount in container["Mounts"] if mount["RW"]] == [f"{directory}/data"]
    assert not [mount for mount in container["Mounts"] if "docker.sock" in mount["Source"]]
    (options,) = container["HostConfig"]["Tmpfs"].values()
    assert {"noexec", "nosuid", "nodev"} <= {*options.split(",")}
    assert any(option.startswith("size=") for option in options.split(","))


def test_it_cannot_use_the_host_up(gateway: Server, container: dict[str, Any]) -> None:
    host, settings = container["HostConfig"], gateway.settings
    assert host["Memory"] == settings.gateway_memory_mb << 20
    assert host["NanoCpus"] == round(min(settings.gateway_cpus, int(gateway.sh("nproc"))) * 1e9)
    assert 0 < host["PidsLimit"] <= 1024
    assert f"GOMEMLIMIT={settings.gateway_memory_mb * 8 // 10}MiB" in container["Config"]["Env"]
    limits = gateway.sh(f"cat /proc/{container['State']['Pid']}/limits")
    (core,) = [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core == ["0", "0"], "no dump of the process, keys in it, lies in data/"
    log = host["LogConfig"]
    assert log["Type"] == "json-file"
    assert {"max-size", "max-file"} <= {*log["Config"]}
    assert container["Config"]["Healthcheck"]["Test"]


def test_it_is_on_a_bridge_of_its_own(gateway: Server, container: dict[str, Any]) -> None:
    network = f"{PROJECT}_gateway"
    assert [*container["NetworkSettings"]["Networks"]] == [network]
    found = _inspected(gateway, "network", network)
    assert [member["Name"] for member in found["Containers"].values()] == [PROJECT]
    assert found["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    assert found["Options"]["com.docker.network.bridge.name"] == "llmgw0", "by which the firewall knows it"
    assert not found["EnableIPv6"]


def test_docker_tells_no_secret_of_it(gateway: Server) -> None:
    # Searched on the host, so that no secret leaves it, nor stands in an argument.
    inspected = f"docker inspect {PROJECT} $(docker inspect {PROJECT} --format '{{{{.Image}}}}')"
    search = '$0 == "--" { rest = 1; next } !rest { secrets[$0]; known++; next }'
    search += " { for (each in secrets) found += index($0, each) > 0 } END { print (known >= 3), found + 0 }"
    assert gateway.sh(f"{{ {_secrets(gateway)}; echo --; {inspected}; }} | awk '{search}'") == "1 0"


def test_docker_takes_orders_from_root_and_its_group_alone(gateway: Server) -> None:
    socket = gateway.host.file("/run/docker.sock")
    assert (socket.user, socket.mode & 0o007) == ("root", 0)
    assert "tcp://" not in gateway.sh("tr '\\0' ' ' < /proc/$(pidof -s dockerd)/cmdline")


def test_files_with_secrets_are_for_root_alone(gateway: Server) -> None:
    directory = gateway.settings.gateway_directory
    places = f"--exclude-dir=data {directory} /etc /var/lib/{PROJECT}"
    held = gateway.sh(f"{_secrets(gateway)} | grep -rlFf - {places} 2>/dev/null || true")
    assert f"{directory}/secrets.env" in held.splitlines()
    nobody_reads = "runuser -u nobody -- test ! -r"
    assert [path for path in held.splitlines() if gateway.host.run(f"{nobody_reads} '{path}'").rc] == []


def test_the_data_are_for_one_api_alone(gateway: Server) -> None:
    directory, user = gateway.settings.gateway_directory, gateway.settings.gateway_user_id
    assert gateway.sh(f"stat -c '%a %u:%g' {directory}/data") == f"700 {user}:{user}"
    assert gateway.sh(f"find {directory}/data -xdev -size +0 ! -uid {user}") == ""
    assert gateway.sh(f"find {directory} -maxdepth 1 -perm /022 ! -type l") == ""


def test_our_units_may_do_little(gateway: Server) -> None:
    units = gateway.sh(f"cd /etc/systemd/system && ls {PROJECT}*.service").split()
    assert f"{PROJECT}.service" in units
    scores = {}
    for unit in units:
        last = gateway.sh(f"systemd-analyze security --no-pager {unit} | tail -n 1")
        scores[unit] = float(last.partition(f"{unit}: ")[2].split()[0])
    assert {unit: score for unit, score in scores.items() if score > MOST_EXPOSED} == {}
