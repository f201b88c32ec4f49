"""What settings put into daemon.json: refused in Docker's own words, given back where Docker does not start with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Lab

DAEMON_JSON = "/etc/docker/daemon.json"
MIRROR = ("--limit", "gw1", "--data", 'docker_registry_mirrors=["https://mirror.example"]')
CONTAINER = "of-somebody-else"
_NOT_WITH_MIRRORS = f"""
mkdir -p /run/systemd/system/docker.service.d
cat > /run/systemd/system/docker.service.d/refuses.conf <<END
[Service]
ExecStartPre=/bin/sh -c '! grep -q mirror.example {DAEMON_JSON} || {{ echo failed: no mirrors on this host; exit 1; }}'
END
systemctl daemon-reload
"""


@pytest.fixture
def theirs(deployed: Lab) -> Iterator[dict[str, object]]:
    """A person's daemon.json, with which Docker was started, and a container without a restart policy."""
    content: dict[str, object] = {"proxies": {"no-proxy": "10.0.0.0/8"}}
    image = "$(docker container inspect -f '{{.Image}}' openclaw-llm-gateway)"
    deployed.ssh("gw1", f"cat > {DAEMON_JSON} && chmod 600 {DAEMON_JSON}", json.dumps(content))
    deployed.ssh("gw1", "systemctl restart docker")
    deployed.ssh("gw1", f"docker run --detach --init --name {CONTAINER} --entrypoint sleep {image} infinity")
    yield content
    deployed.ssh("gw1", f"docker rm -f {CONTAINER}; rm -rf {DAEMON_JSON} /run/systemd/system/docker.service.d")
    deployed.ssh("gw1", "systemctl daemon-reload && systemctl restart docker")
    assert deployed.deploy("--limit", "gw1").code == 0


def test_docker_is_asked_first_and_given_back_what_it_ran_with(deployed: Lab, theirs: dict[str, object]) -> None:
    started = deployed.ssh("gw1", "systemctl show docker -p MainPID --value")
    # From before Docker was started, as far as anybody can see.
    deployed.ssh("gw1", f"cat > {DAEMON_JSON} && touch -d 2020-01-01 {DAEMON_JSON}", '{"log-opts": {"max-file": 3}}')
    deployed.deploy(*MIRROR).must_fail_with("nothing was changed", "cannot unmarshal number", "log-opts of type string")
    assert deployed.ssh("gw1", "systemctl show docker -p MainPID --value") == started
    deployed.ssh("gw1", f"cat > {DAEMON_JSON} && touch -d 2020-01-01 {DAEMON_JSON}", json.dumps(theirs))

    deployed.ssh("gw1", _NOT_WITH_MIRRORS)
    refused = deployed.deploy(*MIRROR)
    refused.must_fail_with(
        f"with it what else it runs: {CONTAINER}", "failed: no mirrors on this host", "was rolled back"
    )
    assert json.loads(deployed.ssh("gw1", f"cat {DAEMON_JSON}")) == theirs
    assert deployed.ssh("gw1", f"docker container inspect -f '{{{{.State.Running}}}}' {CONTAINER}") == "true"
    assert deployed.verify("--limit", "gw1").code == 0

    deployed.ssh("gw1", "rm /run/systemd/system/docker.service.d/refuses.conf && systemctl daemon-reload")
    taken = deployed.deploy(*MIRROR)
    assert taken.code == 0, taken.output[-4000:]
    assert json.loads(deployed.ssh("gw1", f"cat {DAEMON_JSON}")) == {
        **theirs,
        "registry-mirrors": ["https://mirror.example"],
    }
    assert deployed.ssh("gw1", f"stat -c %a {DAEMON_JSON}") == "600"
    assert "https://mirror.example/" in deployed.ssh("gw1", "docker info")
    assert deployed.ssh("gw1", f"docker container inspect -f '{{{{.State.Running}}}}' {CONTAINER}") == "true"
