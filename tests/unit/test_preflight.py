"""What prevents a deployment, one test for each message."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from llm_gateway.tasks import preflight
from tests.unit.fake_hosts import ADDRESS, FRESH, KEYS, OPENCLAW, docker_info, tiktoken_answers
from tests.unit.topology import DIRECTORY, make_agent, make_machine, make_node

READY = {**FRESH, **tiktoken_answers(DIRECTORY)}
"""A bare host in order; the tiktoken files are there, so that the test needs none."""


def found(values: dict[str, str] | None = None, *, roles: str = "gateway", **chosen: Any) -> list[str]:
    """What is told of a host that differs from a bare one in these answers."""
    return list(preflight.problems(make_machine({**READY, **(values or {})}, roles=roles, **chosen)))


def container(source: str = f"{DIRECTORY}/data", host_port: str = "3000", address: str = ADDRESS) -> str:
    """`docker container inspect` of a gateway with its data there, on this port."""
    return json.dumps(
        [
            {
                "Mounts": [{"Source": source, "Destination": "/data"}],
                "HostConfig": {"PortBindings": {"3000/tcp": [{"HostIp": address, "HostPort": host_port}]}},
            }
        ]
    )


def listener(address: str = ADDRESS, program: str | None = "nginx") -> str:
    """A line of `ss -ltnpH`."""
    users = f' users:(("{program}",pid=812,fd=6))' if program else ""
    return f"LISTEN 0      4096   {address}:3000   0.0.0.0:*{users}\n"


def test_a_bare_host_is_in_order() -> None:
    assert found() == []
    assert found({**OPENCLAW, "openclaw_env": ""}, roles="gateway openclaw") == []
    assert found(OPENCLAW, roles="openclaw") == []


@pytest.mark.parametrize("system", ["ID=debian\nVERSION_ID=13\n", 'ID="ubuntu"\nVERSION_ID="24.04"\n'])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_these_systems_are_supported(system: str, machine: str) -> None:
    assert found({"os_release": system, "machine": machine}) == []


def test_another_distribution() -> None:
    assert found({"os_release": "ID=fedora\nVERSION_ID=43\n"})[0] == (
        "fedora is not supported; use Debian 12 or 13, or Ubuntu"
    )
    assert "unknown is not supported" in found({"os_release": ""})[0]
    assert found({**OPENCLAW, "os_release": "ID=fedora\n"}, roles="openclaw") == [], "an OpenClaw host may be any"


def test_another_architecture() -> None:
    assert found({"machine": "riscv64"}) == ["One API has no image for riscv64; use an amd64 or arm64 host"]


@pytest.mark.parametrize("roles", ["gateway", "openclaw"])
def test_not_root(roles: str) -> None:
    (told,) = found({**OPENCLAW, "uid": "1000\n"}, roles=roles)
    assert told.startswith("the user that pyinfra connects as is not root: ")
    assert '"_sudo": True' in told
    assert "--same-sudo-password" in told


def test_no_systemd() -> None:
    assert found({"systemd": ""}) == ["it does not run systemd, which the deployment needs"]


@pytest.mark.parametrize(
    ("release", "least"),
    [('ID=debian\nVERSION_ID="12"\n', "debian 13"), ('ID=ubuntu\nVERSION_ID="22.04"\n', "ubuntu 24")],
)
def test_packages_with_compose_1_only(release: str, least: str) -> None:
    (told,) = found({"os_release": release})
    assert "have Compose 1 only" in told
    assert 'set docker_source to "docker" for this host' in told
    assert told.endswith(f"use {least} or newer")
    assert found({"os_release": release, "docker_info": docker_info()}) == []
    assert found({"os_release": release, "docker_info": docker_info(compose="v5.0.1")}) == []


def test_preinstalled_docker_that_is_not_there() -> None:
    (told,) = found(docker_source="preinstalled")
    assert 'docker_source is "preinstalled" but no Docker is there' in told


@pytest.mark.parametrize("source", ["distribution", "preinstalled"])
def test_a_docker_that_is_there_is_never_replaced(source: str) -> None:
    (told,) = found({"docker_commands": "/usr/bin/docker\n"}, docker_source=source)
    assert "its engine does not answer: `systemctl enable --now docker`" in told
    old = {"docker_commands": "/usr/bin/docker\n", "docker_info": docker_info("20.10.24", "")}
    (told,) = found(old, docker_source=source)
    assert "Docker is there but Compose 2 is not" in told
    assert "docker-compose-plugin" in told


def test_an_interrupted_installation_of_the_distributions_docker_is_continued() -> None:
    assert (
        found({"docker_packages": "docker.io half-configured 26.1.5+dfsg1-9\n", "docker_commands": "/usr/bin/docker\n"})
        == []
    )
    (told,) = found(
        {"docker_packages": "docker.io config-files 26.1.5+dfsg1-9\n", "docker_commands": "/usr/bin/docker\n"}
    )
    assert "its engine does not answer" in told, "the package is gone, the command is somebody else's"


def test_a_full_disk() -> None:
    (told,) = found({"disk": FRESH["disk"].replace("9000000", "2097152", 1)})
    assert told.startswith(f"only 2048 MiB are free below {DIRECTORY}; 3072 MiB are needed: ")
    assert "docker system df" in told


def test_a_host_that_has_docker_and_the_image_needs_less() -> None:
    there = {"docker_info": docker_info(), "image": "sha256:1 amd64 []\n"}
    assert found({**there, "disk": FRESH["disk"].replace("9000000", "300000")}) == []
    (told,) = found({**there, "disk": FRESH["disk"].replace("9000000", "1000")})
    assert "256 MiB are needed" in told


def test_the_number_of_one_apis_user_is_somebodys() -> None:
    account = {"user_of_data": "wei:x:1000:1000::/home/wei:/bin/bash\n"}
    assert found(account, gateway_user_id=1000) == [
        "gateway_user_id: 1000 is the user wei on this host, who could read all keys: choose a number that nobody has"
    ]
    assert found({"user_of_data": "root:x:0:0:root:/root:/bin/bash\n"}, gateway_user_id=0) == [], "as it was meant"


def test_no_tailscale_address() -> None:
    assert found({"tailscale0": ""}) == [
        "it has no Tailscale address (interface tailscale0): log in with `tailscale up` on the host"
    ]


def test_what_tailscale_lacks_is_told_instead_of_its_address() -> None:
    problem = "Tailscale is down on this host: `tailscale up`"
    assert found({"tailscale0": "", "tailscale_problem": problem}) == [problem]
    assert found({"tailscale_problem": problem}) == [problem]


def test_a_tailscale_address_that_is_not_on_its_interface() -> None:
    (told,) = found({"tailscale0": "", "tailscale_ip": f"{ADDRESS}\n"})
    assert told.startswith(f"its Tailscale address {ADDRESS} is on no interface tailscale0")


def test_another_tailscale_address_than_configured() -> None:
    (told,) = found(gateway_tailscale_address="100.64.0.99")
    assert told.startswith(f"gateway_tailscale_address is 100.64.0.99, but the host's is {ADDRESS}: ")
    assert "correct the setting" in told
    assert found(gateway_tailscale_address=ADDRESS) == []


def test_several_tailscale_addresses() -> None:
    two = {"tailscale0": f"{ADDRESS}/32\n100.64.0.11/32\n"}
    assert found(two) == [
        f"it has several Tailscale addresses ({ADDRESS}, 100.64.0.11): set `gateway_tailscale_address` to one"
    ]
    assert found(two, gateway_tailscale_address="100.64.0.11") == []


@pytest.mark.parametrize("address", [ADDRESS, "0.0.0.0", "*", "[::]", "0.0.0.0%tailscale0"])  # noqa: S104
def test_the_port_is_taken_by_another_program(address: str) -> None:
    assert found({"listeners": listener(address)}) == [
        f"port 3000 on {address} is taken by nginx (process 812): stop it, or choose another port by gateway_port"
    ]
    assert "is taken by another program: stop it" in found({"listeners": listener(address, None)})[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "192.168.1.2", "100.64.0.11"])
def test_the_port_is_taken_on_an_address_that_is_not_ours(address: str) -> None:
    assert found({"listeners": listener(address)}) == []


@pytest.mark.parametrize("program", ["docker-proxy", "dockerd"])
def test_the_port_is_taken_by_our_own_container(program: str) -> None:
    """dockerd itself listens where the userland proxy is switched off."""
    assert found({"listeners": listener(program=program), "container": container()}) == []


def test_a_gateway_that_would_move_away_from_agents_out_of_this_run() -> None:
    done = {"tracked_stat": READY["tracked_stat"] + f"{DIRECTORY}/first-start-done 644 root:root 1.0\n"}
    gateway = make_node({**READY, **done, "container": container()}, gateway_port=3001)
    agent = make_agent(OPENCLAW, name="agent1", run=cast(Any, gateway.machine.run))
    assert list(preflight._cut_off(gateway)) == [], "it is told in this run"
    cast(Any, gateway.machine.run).agents_of = lambda _: [agent]
    del gateway.machine.run.machines["agent1"]
    (told,) = preflight._cut_off(gateway)
    assert told.startswith(f"it would move to http://{ADDRESS}:3001, and agent1 would not be told: run without --limit")
    stays = make_node({**READY, **done, "container": container()})
    cast(Any, stays.machine.run).agents_of = lambda _: [agent]
    assert list(preflight._cut_off(stays)) == []


@pytest.mark.parametrize("ours", [container(host_port="3001"), "[]", '[{"HostConfig":{"PortBindings":null}}]'])
def test_the_port_is_taken_by_another_container(ours: str) -> None:
    (told,) = found({"listeners": listener(program="docker-proxy"), "container": ours})
    assert "is taken by docker-proxy (process 812)" in told


def test_another_program_beside_our_container() -> None:
    (told,) = found({"listeners": listener("*"), "container": container()})
    assert "is taken by nginx" in told


def test_no_tiktoken_files() -> None:
    (told,) = found({"tracked_stat": "", "tracked_sum": ""}, gateway_tiktoken_directory="/nowhere")
    assert told.startswith("gateway_tiktoken_directory: [Errno 2] No such file or directory: '/nowhere/")
    assert told.endswith("`make tiktoken` gets the files")


def test_a_host_at_which_another_deployment_is_at_work() -> None:
    busy = "deploy.py by wei@laptop since 2026-11-22 10:11 UTC (process 812)"
    (told,) = found({"busy": f"{busy}\n", "tailscale0": ""})
    assert told == (
        f"another run is at work on this host ({busy}): run again when it has ended; if its machine is gone for good,"
        " end that process on the host"
    )
    machine = make_machine({**READY, "busy": "process 812\n"})
    assert preflight.verification_problems(machine) == [], "looking disturbs nobody"


def test_no_such_user() -> None:
    gone = {**OPENCLAW, "openclaw_passwd": "", "openclaw_env": ""}
    assert found(gone, roles="openclaw", openclaw_user="claw") == ["openclaw_user: there is no user claw on the host"]
    assert found(gone, roles="openclaw") == [
        "the user of openclaw-gateway.service does not exist on the host; correct its User="
    ]


def test_an_env_file_that_its_user_cannot_read() -> None:
    there = {name: value for name, value in OPENCLAW.items() if name != "openclaw_env"}
    assert found(there, roles="openclaw") == [], "there is none yet"
    assert found({**there, "openclaw_env_exists": "yes\n"}, roles="openclaw") == [
        "OpenClaw's .env (/home/claw/.openclaw/.env) is not a file that its user can read: if it is a link,"
        " replace the link by a file; otherwise give the file to that user"
    ]
    assert found({**there, "openclaw_env_exists": "yes\n", "openclaw_env": ""}, roles="openclaw") == []
    (told,) = found({**there, "openclaw_env_dangles": "yes\n", "openclaw_env_path": "/mnt/env"}, roles="openclaw")
    assert told == "OpenClaw's .env is a link to /mnt/env, which is not there: mount or make it, or remove the link"


def test_no_such_unit() -> None:
    missing = {**OPENCLAW, "openclaw_unit": "LoadState=not-found\n"}
    assert found(missing, roles="openclaw") == []
    (told,) = found(missing, roles="openclaw", openclaw_unit_required=True)
    assert told.startswith("there is no openclaw-gateway.service: install OpenClaw, ")
    assert "set openclaw_unit_required to False" in told


def test_an_env_file_that_its_readers_read_differently() -> None:
    (told,) = found({**OPENCLAW, "openclaw_env": "A=1\nB='hush\n"}, roles="openclaw")
    assert told.startswith("/home/claw/.openclaw/.env: line 2 opens a quote and does not close it: ")
    assert told.endswith("fix or delete that line")
    assert "hush" not in told


def test_a_host_in_no_group() -> None:
    assert list(preflight.group_problems(make_machine(roles=""))) == [
        "is in neither group, `gateways` nor `openclaw`; list it in one of them in the inventory"
    ]
    assert not list(preflight.group_problems(make_agent().machine))


def test_missing_secrets_of_a_gateway() -> None:
    told = list(preflight.missing_secrets(make_node(secrets={"MINIMAX_API_KEY": "a b"}).machine))
    assert len(told) == 2
    assert told[0].startswith("DASHSCOPE_API_KEY: this secret is missing; `export DASHSCOPE_API_KEY=…`")
    assert told[1].startswith("MINIMAX_API_KEY: this secret holds a blank")
    assert not list(preflight.missing_secrets(make_node(secrets=KEYS).machine))
    assert not list(preflight.missing_secrets(make_agent(secrets={}).machine))


def test_a_root_password_that_cannot_be_kept() -> None:
    told = list(preflight.missing_secrets(make_node(secrets={**KEYS, "ONEAPI_ROOT_PASSWORD": "it's hush"}).machine))
    assert len(told) == 1
    assert told[0].startswith("ONEAPI_ROOT_PASSWORD: ")
    assert told[0].endswith("choose another in the gateway's admin page and hand that one in")
    assert "hush" not in told[0]
    assert not list(
        preflight.missing_secrets(make_node(secrets={**KEYS, "ONEAPI_ROOT_PASSWORD": "pass word$"}).machine)
    )


def test_a_verification_needs_a_host_that_can_be_read_and_no_more() -> None:
    full = {"disk": FRESH["disk"].replace("9000000", "1"), "listeners": listener(), "machine": "riscv64"}
    assert preflight.verification_problems(make_node({**FRESH, **full}, secrets={}).machine) == []
    told = preflight.verification_problems(make_node({**FRESH, "uid": "1000", "tailscale0": ""}).machine)
    assert [text.split(":")[0] for text in told] == [
        "the user that pyinfra connects as is not root",
        "it has no Tailscale address (interface tailscale0)",
    ]


def test_everything_at_once() -> None:
    wrong = {"machine": "riscv64", "tailscale0": "", "data": "x\n", "openclaw_passwd": ""}
    assert len(found({**OPENCLAW, **wrong}, roles="gateway openclaw", gateway_image_archive="/nowhere")) == 5
