"""What answers to `docker` on hosts as people have them, and what is told of it.

The answers of podman, rootless Docker, userns-remap, a context elsewhere and Debian 13's own Docker are from lab hosts
(docker.io 26.1.5, podman 5.4.2), cut to the fields that are looked at; those of others from their documentation.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from llm_gateway.hosts.host_state import HostState
from llm_gateway.parts.docker import engine
from llm_gateway.tasks import preflight
from tests.unit.fake_hosts import FRESH, answer, docker_info, tiktoken_answers
from tests.unit.topology import DIRECTORY, make_node

DEBIAN = {
    **FRESH,
    **tiktoken_answers(DIRECTORY),
    "docker_commands": "/usr/bin/docker\n/usr/sbin/dockerd\n",
    "docker_unit": "LoadState=loaded\nActiveState=active\nMainPID=101\n",
    "docker_view": "same\n",
    "docker_info": docker_info(
        "26.1.5+dfsg1",
        "2.26.1-4",
        CpuCfsQuota=True,
        OperatingSystem="Debian GNU/Linux 13 (trixie)",
        Name="gw1",
        SecurityOptions=["name=seccomp,profile=builtin"],
        Isolation="",
    ),
}
NOT_FOUND = "MainPID=0\nLoadState=not-found\nActiveState=inactive\n"
SOCKET = "unix:///var/run/docker.sock"
NO_ENGINE = json.dumps(
    {
        "ServerVersion": "",
        "OSType": "",
        "DockerRootDir": "",
        "SecurityOptions": None,
        "CpuCfsQuota": False,
        "ServerErrors": [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
        ],
        "ClientInfo": {"Plugins": [{"Name": "compose", "Version": "2.26.1-4"}]},
    }
)
EMULATES = "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\n"


def test_debians_own_docker_and_none_at_all_are_in_order() -> None:
    assert list(preflight.problems(make_node(DEBIAN).machine)) == []
    assert list(preflight.problems(make_node({**FRESH, **tiktoken_answers(DIRECTORY)}).machine)) == []
    in_a_swarm = docker_info(Swarm={"LocalNodeState": "active"}, LiveRestoreEnabled=True)
    assert engine.problem(HostState(answers={**DEBIAN, "docker_info": in_a_swarm})) is None


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param(
            {
                "docker_info": '{"host":{"arch":"amd64"},"store":{},"version":{"Version":"5.4.2"}}',
                "docker_unit": NOT_FOUND,
            },
            "podman answers to `docker`",
            id="podman-docker",
        ),
        pytest.param(
            {
                "docker_info": "",
                "docker_says": f"podman version 5.4.2\n{EMULATES}Error: configure storage: 'overlay' is not",
            },
            "`apt-get remove podman-docker`",
            id="podman-docker that fails",
        ),
        pytest.param(
            {
                "docker_info": docker_info("5.4.2", "2.26.1-4", DockerRootDir="/var/lib/containers/storage"),
                "docker_unit": NOT_FOUND,
            },
            "podman answers to `docker`",
            id="podman's service behind Docker's own command",
        ),
        pytest.param(
            {"docker_endpoint": "unix:///run/user/1001/docker.sock"},
            "`docker` is pointed at unix:///run/user/1001/docker.sock",
            id="DOCKER_HOST of a rootless Docker",
        ),
        pytest.param({"docker_endpoint": "ssh://a@b"}, "`docker context use default`", id="a context elsewhere"),
        pytest.param({"docker_endpoint": "tcp://192.168.49.2:2376"}, "env_keep", id="minikube's docker-env"),
        pytest.param(
            {
                "docker_info": docker_info(
                    "26.1.5+dfsg1",
                    DockerRootDir="/home/rootless/.local/share/docker",
                    SecurityOptions=["name=seccomp,profile=builtin", "name=rootless"],
                    CgroupDriver="none",
                )
            },
            "its Docker runs rootless (/home/rootless/.local/share/docker)",
            id="a rootless Docker on the socket",
        ),
        pytest.param(
            {
                "docker_info": docker_info(
                    "26.1.5+dfsg1",
                    DockerRootDir="/var/lib/docker/165536.165536",
                    SecurityOptions=["name=seccomp,profile=builtin", "name=userns"],
                )
            },
            "take userns-remap out of /etc/docker/daemon.json",
            id="userns-remap",
        ),
        pytest.param(
            {
                "docker_info": docker_info("28.1.1", DockerRootDir="/var/snap/docker/common/var-lib-docker"),
                "docker_unit": NOT_FOUND,
            },
            "its Docker is the snap's, which sees nothing below /opt",
            id="the snap",
        ),
        pytest.param(
            {
                "docker_commands": "/snap/bin/docker\n",
                "docker_info": docker_info("28.4.0", DockerRootDir="/home/wei/docker-data"),
                "docker_unit": NOT_FOUND,
            },
            "`snap remove docker`",
            id="the snap with a data-dir of its own",
        ),
        pytest.param(
            {"docker_info": docker_info("27.1.1", OperatingSystem="Docker Desktop", Name="docker-desktop")},
            "its Docker is Docker Desktop's",
            id="Docker Desktop",
        ),
        pytest.param(
            {"docker_info": json.dumps({"ServerVersion": "v2.1.2", "OSType": "linux", "SecurityOptions": []})},
            "no Docker Engine (nerdctl",
            id="nerdctl",
        ),
        pytest.param({"docker_info": docker_info(OSType="windows")}, "containers of windows", id="Windows"),
        pytest.param({"docker_unit": NOT_FOUND}, "no docker.service runs it", id="started by hand, without a unit"),
        pytest.param(
            {"docker_unit": "LoadState=loaded\nActiveState=inactive\nMainPID=0\n"},
            "docker.service is inactive, so something else runs it",
            id="started by hand, beside the unit",
        ),
        pytest.param({"docker_view": "elsewhere\n"}, "sees other files than the host has", id="a sandbox"),
        pytest.param({"docker_info": docker_info("19.03.15")}, "19.03.15, too old for Compose 2", id="too old"),
        pytest.param({"docker_info": docker_info(CpuCfsQuota=False)}, "CONFIG_CFS_BANDWIDTH", id="no cfs quota"),
        pytest.param(
            {"daemon_json": '{"iptables": false}', "masquerades": "no\n"},
            "no container reaches its provider",
            id="no rules, by daemon.json",
        ),
        pytest.param(
            {"docker_flags": "/usr/bin/dockerd -H fd:// --iptables=false ", "masquerades": "no\n"},
            "no container reaches its provider",
            id="no rules, by the unit",
        ),
        pytest.param(
            {"docker_info": NO_ENGINE, "docker_unit": NOT_FOUND},
            "its engine does not answer (Cannot connect to the Docker daemon",
            id="no engine",
        ),
        pytest.param(
            {
                "docker_info": json.dumps(
                    {"ServerErrors": ["Error response from daemon: client version 1.41 is too old. Minimum is 1.44"]}
                )
            },
            "(Error response from daemon: client version 1.41 is too old.",
            id="a client that the engine does not speak to",
        ),
        pytest.param({"docker_info": docker_info(compose="")}, "Compose 2 is not", id="no compose"),
        pytest.param({"docker_info": "[]", "docker_says": "a\n"}, "its engine does not answer", id="no JSON object"),
    ],
)
def test_a_docker_that_cannot_be_used_is_refused_with_the_reason(answers: dict[str, str], words: str) -> None:
    told = list(preflight.problems(make_node({**DEBIAN, **answers}).machine))
    assert len(told) == 1, told
    assert words in told[0]


def test_a_docker_without_rules_is_taken_where_somebody_else_masquerades() -> None:
    own = {**DEBIAN, "daemon_json": '{"iptables": false}', "masquerades": "yes\n"}
    assert list(preflight.problems(make_node(own).machine)) == []


def look(command: str, place: Path, **environment: str) -> list[str]:
    """What a function of look.sh prints on this machine, for a user whose home is `place`."""
    done = subprocess.run(
        ["sh", "-euc", f"{engine.LOOK.read_text()}\n{command}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(place), **environment},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("", []),
        ("unix:///var/run/docker.sock", []),
        ("unix:///run/docker.sock", []),
        ("unix:///home/wei/.docker/desktop/docker.sock", ["unix:///home/wei/.docker/desktop/docker.sock"]),
        ("tcp://127.0.0.1:2375", ["tcp://127.0.0.1:2375"]),
    ],
)
def test_where_docker_is_pointed_by_the_environment(host: str, told: list[str], tmp_path: Path) -> None:
    assert look("docker_endpoint", tmp_path, DOCKER_HOST=host) == told


@pytest.mark.parametrize(
    "text", ['{\n\t"auths": {},\n\t"currentContext": "other"\n}', '{"currentContext":"other","a":"b"}']
)
def test_where_docker_is_pointed_by_its_context(text: str, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(text)
    assert look("docker_endpoint", tmp_path) == ["the context other"], "which is not there"
    (tmp_path / ".docker/config.json").write_text(text.replace("other", "default"))
    assert look("docker_endpoint", tmp_path) == []


def test_where_docker_keeps_what_it_has(tmp_path: Path) -> None:
    assert look(f"docker_places '{docker_info(DockerRootDir='/srv/docker data')}'", tmp_path) == ["/srv/docker data"]
    newer = docker_info(DriverStatus=[["driver-type", "io.containerd.snapshotter.v1"]])
    assert look(f"docker_places '{newer}'", tmp_path) == ["/var/lib/docker", "/var/lib/containerd"]


def test_the_place_with_the_least_room_is_named() -> None:
    disk = (
        "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/a 90 9 9000000 9% /\n/dev/b 90 9 100000 9% /srv\n"
    )
    there = {"disk": disk, "disk_places": "/srv/docker\n", "image": "sha256:1 amd64 []\n"}
    (told,) = preflight.problems(make_node({**DEBIAN, **there}).machine)
    assert told.startswith("only 97 MiB are free below /srv/docker; 256 MiB are needed")
    assert HostState.parse(answer(there)).least_free(DIRECTORY) == (100000, "/srv/docker")
