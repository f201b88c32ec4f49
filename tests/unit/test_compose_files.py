"""Our compose files as Docker Compose itself understands them, and the health check as the container runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts.topology import Node
from llm_gateway.parts import installation
from tests.unit.fake_hosts import ADDRESS
from tests.unit.readers import compose
from tests.unit.topology import GENERATED, make_node

IMAGE = "justsong/one-api:v0.6.10"
ENVIRONMENT_OF_COMPOSE = {"PATH": os.environ["PATH"], "GATEWAY_CPUS": "1.5"}
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def config(place: Path, made: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` in an install directory that holds our files."""
    for file in installation.wanted_files(made):
        if file.path.startswith(made.directory):
            (place / Path(file.path).name).write_bytes(file.content)
    return subprocess.run(
        [compose.binary(), *arguments, "config", "--format", "json"],
        cwd=place,
        env={"HOME": str(place), **ENVIRONMENT_OF_COMPOSE},
        capture_output=True,
        text=True,
        timeout=60,
    )


def understood(place: Path, *arguments: str, **chosen: Any) -> dict[str, Any]:
    """The project as compose understands it; compose must say nothing against it."""
    done = config(place, make_node(**chosen), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    project: dict[str, Any] = json.loads(done.stdout)
    return project


def mounts(place: Path) -> list[dict[str, Any]]:
    data = {"type": "bind", "source": str(place / "data"), "target": "/data", "bind": {}}
    tiktoken = {"type": "bind", "source": str(place / "tiktoken"), "target": "/tiktoken", "read_only": True, "bind": {}}
    return [data, tiktoken]


ENVIRONMENT = {
    "type": "bind",
    "source": "/run/openclaw-llm-gateway/one-api.env",
    "target": "/data/.env",
    "read_only": True,
    "bind": {},
}
HARDENED: dict[str, Any] = {
    "user": "59300:59300",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": ["/tmp:size=128m,mode=1777,noexec,nosuid,nodev"],
    "pids_limit": 1024,
    "mem_limit": str(1024 << 20),
    "cpus": 1.5,
    "ulimits": {"core": {}},  # 0, which compose leaves out here; tests/server looks at what the process has
}
"""Of every container that is started on data."""


def require_hardened(service: dict[str, Any]) -> None:
    assert {name: service[name] for name in HARDENED} == HARDENED
    assert service["environment"]["GOMEMLIMIT"] == "819MiB"
    assert not {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "userns_mode"} & {*service}


def require_own_bridge(project: dict[str, Any], network: str, bridge: str) -> None:
    """One that the firewall knows by its name, and on which no other container is spoken to."""
    assert list(project["services"]["oneapi"]["networks"]) == list(project["networks"]) == [network]
    options = {"com.docker.network.bridge.name": bridge, "com.docker.network.bridge.enable_icc": "false"}
    assert project["networks"][network]["driver_opts"] == options
    assert not project["networks"][network].get("enable_ipv6")


def without_defaults(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mounts without what compose adds differently from version to version."""
    return [{**mount, "bind": {}} for mount in found]


def test_the_gateway(tmp_path: Path) -> None:
    project = understood(tmp_path)
    assert project["name"] == "openclaw-llm-gateway"
    assert list(project["services"]) == ["oneapi"]
    gateway = project["services"]["oneapi"]
    assert gateway["container_name"] == "openclaw-llm-gateway"
    assert gateway["image"] == IMAGE
    assert gateway["pull_policy"] == "missing"
    assert gateway["restart"] == "no"
    assert gateway["ports"] == [
        {"mode": "ingress", "host_ip": ADDRESS, "target": 3000, "published": "3000", "protocol": "tcp"}
    ]
    assert without_defaults(gateway["volumes"]) == [*mounts(tmp_path), ENVIRONMENT]
    assert not [mount for mount in gateway["volumes"] if mount["bind"].get("create_host_path")]
    assert gateway["environment"] == {
        "TZ": "Asia/Shanghai",
        "SQLITE_BUSY_TIMEOUT": "10000",
        "GLOBAL_API_RATE_LIMIT": "2400",
        "TIKTOKEN_CACHE_DIR": "/tiktoken",
        "GOMEMLIMIT": "819MiB",
        "PORT": "3000",
    }
    assert "extra_hosts" not in gateway
    assert gateway["logging"] == LOGGING
    require_hardened(gateway)
    require_own_bridge(project, "gateway", "llmgw0")


@pytest.mark.parametrize(("cpus", "limit"), [(0.5, "0.5"), (1024, str(os.cpu_count()))])
def test_what_is_started_for_a_moment_is_limited_to_what_the_host_has(cpus: float, limit: str) -> None:
    command = installation.limit_processors(make_node(gateway_cpus=cpus))
    done = subprocess.run(["sh", "-c", f"{command} && env"], capture_output=True, text=True, check=True)
    assert f"GATEWAY_CPUS={limit}" in done.stdout.splitlines()


def test_a_trial_is_the_same_service_without_a_port(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_bytes(
        installation.unpublished_compose_file(make_node(), project="openclaw-llm-gateway-trial", image="next:1")
    )
    (tmp_path / ".env").write_text(f"TAILSCALE_IP={ADDRESS}\n")
    done = subprocess.run(
        [compose.binary(), "config", "--format", "json"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), **ENVIRONMENT_OF_COMPOSE},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    project = json.loads(done.stdout)
    trial = project["services"]["oneapi"]
    assert "ports" not in trial
    assert without_defaults(trial["volumes"]) == mounts(tmp_path)
    require_hardened(trial)
    require_own_bridge(project, "gateway", "llmgw-trial")


def test_the_first_start_publishes_nothing_and_is_out_of_reach(tmp_path: Path) -> None:
    project = understood(tmp_path, "--env-file", "secrets.env", "-f", "first-start.yml")
    assert project["name"] == "openclaw-llm-gateway-first-start"
    first = project["services"]["oneapi"]
    assert first["container_name"] == "openclaw-llm-gateway-first-start"
    assert "ports" not in first
    require_hardened(first)
    require_own_bridge(project, "unreachable", "llmgw-first")
    assert project["networks"]["unreachable"]["internal"] is True
    assert first["restart"] == "no"
    assert without_defaults(first["volumes"]) == mounts(tmp_path)
    assert first["environment"]["INITIAL_ROOT_ACCESS_TOKEN"] == GENERATED.access_token
    assert "SESSION_SECRET" not in first["environment"]


def test_the_settings_are_in_it(tmp_path: Path) -> None:
    digest = "sha256:" + "d" * 64
    chosen = {"gateway_port": 3001, "gateway_tailscale_address": "100.99.0.1", "gateway_image_digest": digest}
    chosen |= {"gateway_user_id": 0, "gateway_memory_mb": 300}
    gateway = understood(tmp_path, gateway_timezone="UTC", **chosen)["services"]["oneapi"]
    assert (gateway["user"], gateway["mem_limit"]) == ("0:0", str(300 << 20))
    assert gateway["environment"]["GOMEMLIMIT"] == "240MiB"
    assert gateway["image"] == f"{IMAGE}@{digest}"
    assert (gateway["ports"][0]["host_ip"], gateway["ports"][0]["published"]) == ("100.99.0.1", "3001")
    assert gateway["ports"][0]["target"] == 3000
    assert gateway["environment"]["TZ"] == "UTC"


@pytest.mark.parametrize("name", ["TAILSCALE_IP"])
def test_without_its_values_it_refuses_to_start(tmp_path: Path, name: str) -> None:
    """An empty address would mean every address of the host."""
    assert config(tmp_path, make_node()).returncode == 0
    environment = tmp_path / ".env"
    kept = [line for line in environment.read_text().splitlines() if not line.startswith(name)]
    for text in ("\n".join(kept) + "\n", "\n".join([*kept, f"{name}="]) + "\n"):
        environment.write_text(text)
        done = subprocess.run(
            [compose.binary(), "config"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), **ENVIRONMENT_OF_COMPOSE},
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        assert name in done.stderr


# ------------------------------------------------------------------------------- the health check

HEALTHY = '{"success":true,"message":"","data":{"version":"v0.6.10"}}'


def run_health_check(place: Path, wget: str) -> int:
    """The health check's exit code, with this in the place of `wget`."""
    kind, command = understood(place)["services"]["oneapi"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    commands = place / "bin"
    commands.mkdir(exist_ok=True)
    (commands / "wget").write_text(f'#!/bin/sh\necho "$*" > {place}/asked\n{wget}\n')
    (commands / "wget").chmod(0o755)
    # `config` prints a compose file, in which a dollar sign is written twice.
    text = command.replace("$$", "$")
    done = subprocess.run(["sh", "-c", text], env={"PATH": f"{commands}:{os.environ['PATH']}"}, timeout=10)
    return done.returncode


def test_the_health_check_passes_when_one_api_is_well(tmp_path: Path) -> None:
    assert run_health_check(tmp_path, f"echo '{HEALTHY}'") == 0
    assert (tmp_path / "asked").read_text() == "-q -T 5 -O - http://127.0.0.1:3000/api/status\n"


@pytest.mark.parametrize(
    "wget",
    [
        pytest.param("exit 1", id="nobody answers"),
        pytest.param(":", id="an empty answer"),
        pytest.param("echo '<html>One API</html>'", id="a web page"),
        pytest.param("""echo '{"success":false,"message":"no database"}'""", id="not well"),
        pytest.param("""echo '{"success": "true"}'""", id="another API"),
        pytest.param("exit 127", id="no wget"),
    ],
)
def test_the_health_check_fails_when_it_is_not(tmp_path: Path, wget: str) -> None:
    assert run_health_check(tmp_path, wget) == 1


def test_the_health_check_gives_a_start_its_time(tmp_path: Path) -> None:
    check = understood(tmp_path)["services"]["oneapi"]["healthcheck"]
    assert (check["interval"], check["timeout"], check["retries"]) == ("15s", "10s", 3)
    assert check["start_period"] == "1m30s"
