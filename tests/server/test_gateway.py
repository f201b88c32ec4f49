"""A gateway host, seen from outside: what listens, what runs, what is readable, and what is refused."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from llm_gateway.flavours import known
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts.log_pruning import PRUNING
from tests.server.conftest import Server

UNIT = f"{PROJECT}.service"


def _container(gateway: Server) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gateway.sh(f"docker container inspect {PROJECT}"))[0]
    return found


def _ask_inside(gateway: Server, path: str, body: str) -> dict[str, Any]:
    """POST to One API from within its own container, where no firewall and no address is in between."""
    answer = gateway.sh(
        f"docker exec {PROJECT} wget -q -O - --header 'Content-Type: application/json'"
        f" --post-data '{body}' http://127.0.0.1:3000{path}"
    )
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def _database(gateway: Server, place: Path) -> sqlite3.Connection:
    """A copy of the database that no writer has disturbed: taken again until the file stood still meanwhile."""
    file = f"{gateway.settings.gateway_directory}/data/one-api.db"
    still = f"stat -c '%y %s' {file}; ls {file}-journal 2>/dev/null; true"
    deadline = time.monotonic() + 60
    while True:
        before = gateway.sh(still)
        content = base64.b64decode(gateway.sh(f"base64 -w0 {file}"))
        if before == gateway.sh(still) and "journal" not in before:
            break
        assert time.monotonic() < deadline, "the database was written to without a pause for 60 s"
    copy = place / "one-api.db"
    copy.write_bytes(content)
    return sqlite3.connect(copy)


def test_the_port_is_open_on_the_tailscale_address_and_nowhere_else(gateway: Server) -> None:
    # Not socket(…).is_listening: it is True for any address as soon as something listens on [::].
    port = f":{gateway.settings.gateway_port}"
    sockets = {
        name
        for name in gateway.host.socket.get_listening_sockets()
        if name.startswith("tcp://") and name.endswith(port)
    }
    assert sockets == {f"tcp://{gateway.address}{port}"}


def test_the_container_runs_the_pinned_image(gateway: Server) -> None:
    container = _container(gateway)
    image = json.loads(gateway.sh(f"docker image inspect {gateway.settings.gateway_image}"))[0]
    assert container["State"]["Running"]
    assert container["Image"] == image["Id"]
    assert container["Config"]["Image"].split("@")[0] == gateway.settings.gateway_image


def test_the_container_becomes_healthy(gateway: Server) -> None:
    deadline = time.monotonic() + 120
    while (health := _container(gateway)["State"]["Health"]["Status"]) == "starting":
        assert time.monotonic() < deadline, "still starting after 120 s"
        time.sleep(1)
    assert health == "healthy"


def test_the_container_has_its_data_and_one_published_port(gateway: Server) -> None:
    container = _container(gateway)
    mounts = {mount["Destination"]: (mount["Source"], mount["RW"]) for mount in container["Mounts"]}
    directory = gateway.settings.gateway_directory
    of_one_api = {"/tiktoken": (f"{directory}/tiktoken", False)}
    assert mounts == {
        "/data": (f"{directory}/data", True),
        "/data/.env": (f"/run/{PROJECT}/one-api.env", False),
        **(of_one_api if known.of_image(gateway.settings.gateway_image).needs_tiktoken else {}),
    }
    wanted = [{"HostIp": gateway.address, "HostPort": str(gateway.settings.gateway_port)}]
    assert container["HostConfig"]["PortBindings"] == {"3000/tcp": wanted}
    assert not container["HostConfig"]["Privileged"]


def test_no_default_password_or_token_was_left_in_the_container(gateway: Server) -> None:
    environment = _container(gateway)["Config"]["Env"]
    assert not [entry for entry in environment if entry.startswith("INITIAL_ROOT_")]


def test_secrets_and_data_are_readable_by_root_alone(gateway: Server) -> None:
    directory = gateway.settings.gateway_directory
    assert gateway.host.file(f"{directory}/data").mode == 0o700
    for name, mode in {".env": 0o600, "secrets.env": 0o600, "applied-keys.json": 0o600}.items():
        file = gateway.host.file(f"{directory}/{name}")
        assert (file.mode, file.user, file.group) == (mode, "root", "root"), name


def test_the_database_is_whole(gateway: Server, tmp_path: Path) -> None:
    with _database(gateway, tmp_path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM users WHERE role = 100").fetchone()[0] == 1


def test_registration_is_closed(gateway: Server, tmp_path: Path) -> None:
    with _database(gateway, tmp_path) as database:
        options = dict(database.execute("SELECT key, value FROM options"))
    assert options["RegisterEnabled"] == "false"


def test_the_default_password_is_refused(gateway: Server) -> None:
    answer = _ask_inside(gateway, "/api/user/login", '{"username":"root","password":"123456"}')
    assert answer["success"] is False


def test_the_unit_is_enabled_active_and_valid(gateway: Server) -> None:
    service = gateway.host.service(UNIT)
    assert service.is_enabled
    assert service.is_running
    assert service.is_valid
    assert gateway.sh(f"systemctl show -p NeedDaemonReload --value {UNIT}") == "no"


def test_what_prunes_the_logs_is_roots_and_waits(gateway: Server) -> None:
    if gateway.settings.gateway_log_days is None:
        return  # all is to be kept
    timer = gateway.host.service(PRUNING.timer)
    assert timer.is_enabled
    assert timer.is_running
    assert gateway.sh(f"systemctl show -p Result --value {PRUNING.service}") == "success"
    for name, mode in (("prune-logs", 0o755), ("prune-logs.conf", 0o600)):
        file = gateway.host.file(f"{gateway.settings.gateway_directory}/{name}")
        assert (file.mode, file.user, file.group) == (mode, "root", "root"), name


def test_the_unit_waits_for_tailscale_and_owns_the_container(gateway: Server) -> None:
    properties = gateway.host.service(UNIT).systemd_properties
    assert "docker.service" in properties["Requires"].split()
    assert "tailscaled.service" in properties["After"].split()
    assert properties["Restart"] == "always"
    assert _container(gateway)["HostConfig"]["RestartPolicy"]["Name"] in ("no", "")
