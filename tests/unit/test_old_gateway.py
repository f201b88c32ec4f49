"""A gateway that somebody else has set up: where it is reached, and what of its settings would be lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.flavours.known import NEW_API
from llm_gateway.hosts.host_state import HostState
from llm_gateway.inputs import host_data
from llm_gateway.model import layout
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.takeover import old_gateway, old_settings
from tests.unit import state_reader
from tests.unit.fake_hosts import answer
from tests.unit.readers import compose
from tests.unit.test_preflight import found
from tests.unit.topology import DIRECTORY, make_node


@pytest.fixture(autouse=True)
def recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its database is One API's."""
    monkeypatch.setattr(recognition, "glimpse", lambda *_: recognition.Found(None))


BRIDGE = {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}


def answers(environment: str = "", ports: str = "", hosts: str = "", **details: Any) -> dict[str, str]:
    """What a host answers of such a gateway."""
    container = {"Name": "/one-api", "State": {"Running": True}, "NetworkSettings": BRIDGE, **details}
    return {
        "old_container": json.dumps(container),
        "old_environment": environment,
        "old_ports": ports,
        "old_hosts": hosts,
        "database_size": "4096\n",
        "data": "one-api.db\n",
    }


def _bound(port: int, host_port: str, address: str = "") -> dict[str, Any]:
    return {f"{port}/tcp": [{"HostIp": address, "HostPort": host_port}]}


@pytest.mark.parametrize(
    ("values", "published"),
    [
        pytest.param(answers(), ("172.17.0.2", 3000), id="not published"),
        pytest.param(
            answers(NetworkSettings={**BRIDGE, "Ports": _bound(3000, "8080", "100.64.0.1")}),
            ("100.64.0.1", 8080),
            id="published",
        ),
        pytest.param(
            # As of `ports: ["3000"]`: Docker has chosen one.
            answers(
                NetworkSettings={**BRIDGE, "Ports": _bound(3000, "32768")},
                HostConfig={"PortBindings": _bound(3000, "")},
            ),
            ("127.0.0.1", 32768),
            id="any port",
        ),
        pytest.param(
            answers(State={"Running": False}, NetworkSettings={}, HostConfig={"PortBindings": _bound(3000, "")}),
            None,
            id="any port, and stopped",
        ),
        pytest.param(
            answers("PORT=3001\n", NetworkSettings={**BRIDGE, "Ports": _bound(3001, "3000")}),
            ("127.0.0.1", 3000),
            id="PORT",
        ),
        pytest.param(
            answers(Args=["--port", "3002"], NetworkSettings={**BRIDGE, "Ports": _bound(3002, "3000")}),
            ("127.0.0.1", 3000),
            id="--port",
        ),
        pytest.param(answers("PORT=3001\n", Args=["--port=3002"]), ("172.17.0.2", 3001), id="PORT before --port"),
        pytest.param(answers(Args=["-port", "3002"]), ("172.17.0.2", 3002), id="-port"),
        pytest.param(answers("PORT=3001\n", ports="4000\n"), ("172.17.0.2", 4000), id="what it listens on"),
        pytest.param(answers(ports="2999\n3000\n"), ("172.17.0.2", 3000), id="what it listens on besides"),
        pytest.param(
            answers("PORT=3001\n", NetworkSettings={}, HostConfig={"NetworkMode": "host"}),
            ("127.0.0.1", 3001),
            id="the host's network",
        ),
    ],
)
def test_where_it_is_reached(values: dict[str, str], published: tuple[str, int] | None) -> None:
    old = old_gateway.of(HostState.parse(answer(values)))
    assert old is not None
    assert old.published == published


def test_how_it_is_started_again() -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 3}
    old = old_gateway.of(HostState.parse(answer(answers(HostConfig={"RestartPolicy": policy}))))
    assert old is not None
    assert (old.name, old.restart, old.is_running) == ("one-api", "on-failure:3", True)
    kept = old_gateway.of(HostState.parse(answer(answers(Name=f"/{layout.REPLACED}"))))
    assert kept is not None
    assert kept.name == "openclaw-llm-gateway", "of a run of an earlier version that was cut off"
    assert old_gateway.of(HostState.parse(answer({}))) is None


def test_variables_that_the_settings_do_not_have_are_told_with_the_line_to_add() -> None:
    values = answers("TZ=UTC\nPORT=3000\nRELAY_TIMEOUT=300\nTHEME=berry\nHTTPS_PROXY\n")
    plain, hidden = found(values)
    assert plain.endswith(
        "(container one-api) has variables that would be lost: add them to gateway_environment, or with None what is"
        ' not wanted: {"RELAY_TIMEOUT": "300", "THEME": "berry"}'
    )
    assert "that may be secrets: HTTPS_PROXY (`docker inspect one-api --format" in hidden
    assert f"Keep them in {DIRECTORY}/data/.env, mode 600" in hidden
    chosen = {"RELAY_TIMEOUT": "60", "THEME": None}
    assert found({**values, "data_environment": "HTTPS_PROXY\n"}, gateway_environment=chosen) == []
    assert found(values, gateway_environment={**chosen, "HTTPS_PROXY": None}) == []


def test_hosts_that_the_settings_do_not_have_are_told_with_their_addresses() -> None:
    extra = ["host.docker.internal:host-gateway", "nas=192.168.1.9"]
    lines = "127.0.0.1\tlocalhost\n172.17.0.1\thost.docker.internal\n192.168.1.9\tnas\n"
    values = answers(hosts=lines, HostConfig={"ExtraHosts": extra})
    (told,) = found(values)
    assert told.endswith('{"host.docker.internal": "172.17.0.1", "nas": "192.168.1.9"}')
    chosen = {"host.docker.internal": "172.17.0.1", "nas": None}
    assert found(values, gateway_extra_hosts=chosen) == []


def test_once_it_was_taken_over_its_settings_are_told_no_more() -> None:
    made = make_node(answers("THEME=berry\n"))
    assert old_settings.of(made.state, made.directory) is not None
    stat = f"{DIRECTORY}/first-start-done 644 root:root 1.0\n"
    assert not [text for text in found({**answers("THEME=berry\n"), "tracked_stat": stat}) if "THEME" in text]


def test_a_project_of_our_name_is_refused_since_compose_would_remove_it() -> None:
    (told,) = found(answers(Config={"Labels": {"com.docker.compose.project": "openclaw-llm-gateway"}}))
    assert "is of a Compose project called openclaw-llm-gateway, as ours is" in told


COMPOSE = """
services:
  db: {image: "mysql:8", environment: {MYSQL_ROOT_PASSWORD: hush}}
  one-api:
    image: justsong/one-api:v0.6.10
    command: --log-dir /app/logs
    env_file: [more.env]
    environment:
      - TZ=Asia/Shanghai
      - RELAY_TIMEOUT=${TIMEOUT}
      - HTTPS_PROXY=http://wei:hush@192.168.1.9:7890
      - 'ODD=''quoted'' # "text": $$x'
    extra_hosts: ["host.docker.internal:host-gateway", "nas:192.168.1.9"]
    volumes: ["./data:/data"]
  other: {image: "nginx:1", environment: {LATER: "1"}}
"""


def _with_compose(place: Path) -> Path:
    """Commands of a host that has Docker Compose and no container."""
    docker = f'[ "$1" = compose ] && shift && exec {compose.binary()} "$@"'
    return state_reader.commands(place / "bin", docker=docker, ip='echo "4: docker0 inet 172.18.0.1/16 scope global"')


def test_the_settings_of_a_gateway_without_a_container_are_in_its_compose_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one-api.db").write_text("rows")
    (tmp_path / "data/.env").write_text("# mine\nexport MEMORY_CACHE_ENABLED=true\nSYNC_FREQUENCY: 60\n")
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / ".env").write_text("TIMEOUT=300\n")
    (tmp_path / "more.env").write_text("THEME=berry\nSOME_API_KEY=hush\n")
    state = state_reader.read(tmp_path, "gateway", path=_with_compose(tmp_path))
    given = old_settings.of(state, str(tmp_path))
    assert given is not None
    assert given.where == f"{tmp_path}/compose.yaml"
    assert given.environment == {
        "TZ": "Asia/Shanghai",
        "RELAY_TIMEOUT": "300",
        "THEME": "berry",
        "ODD": "'quoted' # \"text\": $x",
        "HTTPS_PROXY": None,
        "SOME_API_KEY": None,
    }
    assert given.hosts == {"host.docker.internal": "172.18.0.1", "nas": "192.168.1.9"}
    assert state.lines("data_environment") == ["MEMORY_CACHE_ENABLED", "SYNC_FREQUENCY"]
    assert "hush" not in json.dumps(dict(state.answers))


@pytest.mark.parametrize(("limit", "is_told"), [("100", False), ("500", True)])
def test_what_a_new_gateway_is_given_anyway_is_not_lost(limit: str, is_told: bool) -> None:
    """Where one of new-api that we have deployed moves to another host."""
    given = old_settings.Given("container x", {**NEW_API.environment, "CRITICAL_RATE_LIMIT": limit}, {}, "")
    settings = host_data.check({"gateway_image": "calciumion/new-api:v1.0.0-rc.15"})[0]
    told = [*old_settings.problems(given, settings, [], "/opt/x")]
    assert bool(told) == is_told
    assert all(text.endswith('is not wanted: {"CRITICAL_RATE_LIMIT": "500"}') for text in told)


def test_a_compose_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one-api.db").write_text("rows")
    (tmp_path / "docker-compose.yml").write_text("services: {one-api: {env_file: none.env}}\n")
    state = state_reader.read(tmp_path, "gateway", path=_with_compose(tmp_path))
    assert (state.text("old_compose_file"), state.lines("old_compose")) == ("docker-compose.yml", [])
    (told,) = found({"old_compose_file": "docker-compose.yml\n", "database_size": "9\n", "data": "one-api.db\n"})
    assert f"rename it (`mv {DIRECTORY}/docker-compose.yml {DIRECTORY}/docker-compose.yml.old`)" in told


def test_our_own_compose_file_is_none_of_an_old_gateway(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one-api.db").write_text("rows")
    (tmp_path / "docker-compose.yml").write_text(f"# Made by the deployment; a change\n{COMPOSE}")
    assert state_reader.read(tmp_path, "gateway").text("old_compose_file") == ""


def test_the_ports_of_a_process_are_those_that_it_listens_on() -> None:
    script = f"{old_gateway.SCRIPT.read_text()}\nlistening_ports $$"
    program = (
        "import os, socket, subprocess, sys\n"
        "four = socket.create_server(('', 0))\n"
        "six = socket.create_server(('::', 0), family=socket.AF_INET6)\n"
        "script = sys.argv[1].replace('$$', str(os.getpid()))\n"
        "done = subprocess.run(['sh', '-c', script], capture_output=True, text=True)\n"
        "print(four.getsockname()[1], six.getsockname()[1], '|', *done.stdout.split())\n"
    )
    done = subprocess.run(["python3", "-c", program, script], capture_output=True, text=True, check=True)
    held, _, seen = done.stdout.partition("|")
    assert {*held.split()} <= {*seen.split()}
