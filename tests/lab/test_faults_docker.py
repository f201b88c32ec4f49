"""Docker is restarted and killed, and what it keeps of the gateway is killed and removed: it comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.conftest import Lab
from tests.lab.faults import await_that
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.seen_status import attention
from tests.lab.shown import Shown

pytestmark = pytest.mark.fault

CONTAINER = "openclaw-llm-gateway"
NETWORK = "openclaw-llm-gateway_gateway"
IMAGE = f"$(docker container inspect -f '{{{{.Config.Image}}}}' {CONTAINER})"


@dataclass(frozen=True)
class Fault:
    """What is done on the host, in words and as a shell command.

    Parameters: `within`, seconds until the next completion; `proof`, a command that fails where it was not done.
    """

    name: str
    command: str
    within: float = 30
    proof: str = "true"


# What fills the memory runs beside the server in its container, and takes no more than the limit: a container without
# one would take the machine's. The kernel is told to take the server first.
_OUT_OF_MEMORY = f"""
set -- $(docker container inspect -f '{{{{.State.Pid}}}} {{{{.HostConfig.Memory}}}}' {CONTAINER})
[ "$2" -gt 0 ] && [ "$2" -le 2147483648 ] || {{ echo "the container has no memory limit: $2"; exit 1; }}
echo 1000 > /proc/$1/oom_score_adj
docker exec {CONTAINER} sh -c "head -c $2 /dev/zero | tail" >/dev/null 2>&1 || true
"""

FAULTS = (
    Fault("the container is removed by hand (docker rm -f)", f"docker rm -f {CONTAINER}"),
    Fault(
        "the container runs out of its memory (seconds with the filling of it)",
        _OUT_OF_MEMORY,
        60,
        "docker events --since 2m --until 0s --filter event=oom | grep -q .",
    ),
    Fault("docker is restarted", "systemctl restart docker"),
    Fault("docker is killed (SIGKILL)", "kill -KILL $(systemctl show -p MainPID --value docker)"),
    Fault(
        "the compose network is deleted, and the container killed",
        f"docker network disconnect -f {NETWORK} {CONTAINER} && docker network rm {NETWORK} && docker kill {CONTAINER}",
    ),
    Fault(
        "the image is deleted, and no registry can be reached",
        f"image={IMAGE}; docker rm -f {CONTAINER} && docker rmi -f $image",
        60,
    ),
)
MORE_FAULTS = (
    Fault("the container is killed", f"docker kill {CONTAINER}"),
    Fault("docker is stopped, and started again", "systemctl stop docker.socket docker && systemctl start docker"),
    Fault(
        "docker is killed with all that it runs (SIGKILL)",
        "systemctl kill -s KILL docker containerd && pkill -KILL containerd-shim || true",
    ),
    Fault(
        "the process that holds the firewall is killed (SIGKILL)",
        "kill -KILL $(systemctl show -p MainPID --value openclaw-llm-gateway-firewall)",
    ),
)


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Gateway]:
    """A gateway of this file's own."""
    with gateway_of_its_own(deployed, "gw4") as found:
        yield found
        run = found.verify()
        assert run.code == 0, run.output[-4000:]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_gateway_comes_back_by_itself(gateway: Gateway, fault: Fault, shown: Shown) -> None:
    _comes_back(gateway, fault, shown)


@pytest.mark.full
@pytest.mark.parametrize("fault", MORE_FAULTS, ids=lambda fault: fault.name)
def test_the_gateway_comes_back_by_itself_after_what_is_alike(gateway: Gateway, fault: Fault, shown: Shown) -> None:
    _comes_back(gateway, fault, shown)


def _comes_back(gateway: Gateway, fault: Fault, shown: Shown) -> None:
    before, rules = gateway.started(), gateway.firewall()
    with shown("fault", fault.name) as it:
        gateway.ssh(f"systemctl reset-failed docker; {fault.command}")
        gateway.await_restart(before)
        gateway.await_completion()
        gateway.ssh(fault.proof)
        assert it.lap() < fault.within, gateway.words()
        assert gateway.firewall() == rules
        it.happened("answers again by itself, behind the same firewall rules")


def test_docker_system_prune_leaves_a_gateway_that_runs(gateway: Gateway, shown: Shown) -> None:
    started = gateway.started()
    with shown("fault", "docker system prune -af") as it:
        gateway.ssh("docker system prune -af --volumes")
        gateway.await_completion(5)
        assert gateway.started() == started
        it.happened("goes on")


def test_docker_system_prune_while_the_unit_waits(gateway: Gateway, shown: Shown) -> None:
    rules = gateway.firewall()
    with shown(
        "fault", "docker system prune -af while the unit waits for Tailscale (seconds from the address on)"
    ) as it:
        gateway.ssh(f"ip address flush dev tailscale0 && docker rm -f {CONTAINER}")
        await_that(lambda: "waiting: " in gateway.state(), "the unit waits")
        gateway.ssh("docker system prune -af --volumes")
        assert gateway.ssh("docker image ls --quiet") == gateway.ssh("docker network ls -q --filter type=custom") == ""
        gateway.ssh("systemctl restart tailscaled")
        it.start()
        gateway.await_completion()
        assert it.lap() < 30, gateway.words()
        assert gateway.firewall() == rules
        it.happened("loads the image from the archive that was kept, makes the network, and answers")


def test_a_pulled_image_that_cannot_be_pulled_again_is_told_of(gateway: Gateway, shown: Shown) -> None:
    with shown("fault", "a pulled image is deleted, and no registry can be reached (seconds once it is there)") as it:
        pulled = gateway.deploy("--data", "gateway_image_archive=null")
        assert pulled.code == 0, pulled.output[-4000:]
        gateway.ssh(
            f"image={IMAGE}; docker save $image > /srv/image.tar && docker rm -f {CONTAINER} && docker rmi -f $image"
        )
        await_that(lambda: "cannot be pulled" in gateway.state(), f"the unit says why it waits: {gateway.state()}")
        assert "cannot be pulled" in attention(str(gateway.inventory), gateway.name)
        it.start()
        gateway.ssh("docker load --quiet --input /srv/image.tar")
        gateway.await_completion()
        assert it.lap() < 30, gateway.words()
        it.happened("the unit and status say why it waits; it goes on trying, and answers once the image is there")
    archived = gateway.deploy()
    assert archived.code == 0, archived.output[-4000:]


def test_a_container_whose_network_was_taken_away_is_fixed_by_a_deployment(gateway: Gateway, shown: Shown) -> None:
    """Docker takes a container for running that nobody can reach: the unit has no reason to start it anew."""
    with shown("fault", "the compose network is deleted under a container that runs (seconds of the deployment)") as it:
        gateway.ssh(f"docker network disconnect -f {NETWORK} {CONTAINER} && docker network rm {NETWORK}")
        assert "does not answer" in attention(str(gateway.inventory), gateway.name)
        it.start()
        run = gateway.deploy()
        assert run.code == 0, run.output[-4000:]
        it.lap()
        gateway.await_completion(5)
        it.happened("status (and the canary) tell that it does not answer; deploy.py fixes it")


def test_docker_that_has_given_up_is_started_by_a_deployment(gateway: Gateway, shown: Shown) -> None:
    with shown("fault", "docker was killed so often that systemd has given it up (seconds of the deployment)") as it:
        gateway.ssh(
            "for i in $(seq 20); do pid=$(systemctl show -p MainPID --value docker);"
            ' [ "$pid" = 0 ] || kill -KILL "$pid"; ! systemctl is-failed --quiet docker || break; sleep 0.5; done;'
            " systemctl stop docker.socket"
        )
        run = gateway.deploy()
        assert run.code == 0, run.output[-4000:]
        it.lap()
        gateway.await_completion(5)
        it.happened("deploy.py starts it again")
