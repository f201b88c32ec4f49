"""The script that reads a host, run here for real (it only reads), and what is made of its answer."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from llm_gateway.contents import admin
from llm_gateway.flavours import known
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.hosts import host_state
from llm_gateway.hosts.answers import UnreadableError
from llm_gateway.hosts.host_state import Account, HostState, started_at
from llm_gateway.parts.docker import engine
from tests.unit import fake_hosts
from tests.unit.state_reader import commands, read
from tests.unit.topology import GENERATED, make_node


def test_this_machine_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "gateway"
    (directory / "data").mkdir(parents=True)
    secret = directory / "secrets.env"
    secret.write_text("A='two words'\n# \"quoted\" $HOME\n")
    secret.chmod(0o600)
    os.utime(secret, (1700000000, 1700000000.25))
    (directory / "data/one-api.db").write_bytes(b"12345")
    state = read(directory, "gateway")
    assert state.answers["secrets"] == secret.read_text()
    assert state.answers["os_release"] == Path("/etc/os-release").read_text()
    assert state.os["ID"] in Path("/etc/os-release").read_text()
    assert state.is_root == (os.getuid() == 0)
    assert state.architecture in ("amd64", "arm64")
    assert state.database_size == 5
    assert state.lines("data") == ["one-api.db"]
    free = shutil.disk_usage(directory).free >> 10
    least, where = state.least_free(str(directory))
    assert 0 < least <= free + 1_000_000
    assert where in (str(directory), *state.lines("disk_places"))
    found = state.file(str(secret))
    assert found is not None
    assert (found.mode, found.modified) == ("600", 1700000000.25)
    assert found.owner == f"{secret.owner()}:{secret.group()}"
    assert found.sha256 == hashlib.sha256(secret.read_bytes()).hexdigest()
    assert state.file(f"{directory}/none") is None
    assert state.openclaw_account is None, "the other role was not asked for"


def test_a_directory_that_is_not_there_yet_is_read(tmp_path: Path) -> None:
    state = read(tmp_path / "not/there yet/it's", "gateway")
    assert state.least_free("/any")[0] > 0
    assert state.lines("data") == []
    assert state.database_size is None
    assert "secrets" not in state.answers


def test_values_reach_the_script_as_they_are(tmp_path: Path) -> None:
    path = commands(
        tmp_path / "bin",
        ss='printf "%s\\n" "$*"',
        docker='printf "[%s]" "$@" "$0" >&2; printf "<%s>" "$@"',
        systemctl='printf "%s=%s\\n" LoadState "$*"',
    )
    image = "a b'c\"d$(touch x)\\"
    state = read(tmp_path / "with a 'blank'", "gateway", path=path, IMAGE=image, PORT="1 2")
    assert state.text("listeners") == "-ltnpH sport = :1 2"
    assert f"<inspect><{image}><--format>" in state.text("image")
    assert "<container><inspect><openclaw-llm-gateway>" in state.text("container")
    assert "show openclaw-llm-gateway.service --timestamp=us+utc" in state.text("gateway_unit")


def test_a_listener_whose_process_ss_does_not_know_yet_is_looked_at_again(tmp_path: Path) -> None:
    process = tmp_path / "process"
    path = commands(
        tmp_path / "bin",
        ss=f"""echo "LISTEN 0 4096 100.64.0.10:3000 0.0.0.0:* $(cat {process} 2>/dev/null)"
        echo 'users:(("docker-proxy",pid=7,fd=4))' > {process}""",
    )
    assert '("docker-proxy",pid=7' in read(tmp_path, "gateway", path=path).text("listeners")


class AdminAPI(BaseHTTPRequestHandler):
    """Records who asks what, and answers with that."""

    asked: ClassVar[list[tuple[str, str | None, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"], self.headers["New-Api-User"]))
        body = json.dumps({"success": True, "data": self.path, "中": "文"}, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def published(place: Path, port: int) -> Path:
    """A docker whose container is published on that port of loopback."""
    bindings = {"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    (place / "container.json").write_text(json.dumps([{"HostConfig": {"PortBindings": bindings}}], indent=4))
    return commands(place / "bin", docker=f'[ "$1 $2" != "container inspect" ] || cat {place}/container.json')


@pytest.mark.parametrize("flavour", [known.ONE_API, known.NEW_API], ids=lambda each: each.name)
def test_the_admin_api_is_asked_on_the_host(tmp_path: Path, flavour: Flavour) -> None:
    (tmp_path / "secrets.env").write_text(GENERATED.render())
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data/one-api.db", isolation_level=None)) as made:
        made.executescript(
            "CREATE TABLE tokens (id INTEGER, key TEXT, deleted_at TEXT);"
            "INSERT INTO tokens VALUES (1, 'KEY', NULL), (2, 'GONE', '2026-11-01');"
        )
    AdminAPI.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), AdminAPI) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = published(tmp_path, server.server_address[1])
        asked = host_state.asked_of(flavour.reads)
        state = read(tmp_path, "gateway", path=path, PORT="1", DIRECTORY=str(tmp_path), **asked)
        server.shutdown()
    names = admin.recorded_as(flavour.reads)
    user = "1" if flavour is known.NEW_API else None
    assert AdminAPI.asked == [(path, GENERATED.access_token, user) for path in names]
    assert state.api_token_keys == (["1|KEY"] if flavour is known.NEW_API else [])
    for path, name in names.items():
        answer = admin.parse_answer(state.answers[name])
        assert answer.json() == {"success": True, "data": path, "中": "文"}
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_an_admin_api_that_does_not_answer_is_an_empty_answer(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(GENERATED.render())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        state = read(tmp_path, "gateway", path=published(tmp_path, nobody.getsockname()[1]))
    assert [state.answers[name] for name in admin.recorded_as(known.ONE_API.reads).values()] == [""] * 3


@pytest.mark.parametrize("text", ["SSH-2.0-OpenSSH\r\n", "HTTP/1.0 200 OK\r\nContent-Type: a", "hello\r\n\r\nyou"])
def test_an_answer_of_another_program_is_refused(text: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        admin.parse_answer(text)


def test_an_openclaw_host_is_read(tmp_path: Path) -> None:
    (tmp_path / ".openclaw").mkdir()
    env = tmp_path / ".openclaw/.env"
    env.write_bytes(b"A=\xff\n\n")
    env.chmod(0o640)
    process = subprocess.Popen(["sleep", "60"], env={"OPENAI_BASE_URL": "hush", "PATH": os.environ["PATH"]})
    try:
        shown = f"LoadState=loaded\\nUser=claw\\nMainPID={process.pid}\\n"
        path = commands(
            tmp_path / "bin",
            systemctl=f'case "$*" in *openclaw-gateway*) printf "{shown}";; esac',
            getent=f'[ "$2" = claw ] && echo "claw:x:7:8::{tmp_path}:/bin/sh"',
            runuser=AS_CLAW,
        )
        # The process has its new environment only once it has been through exec.
        deadline = time.monotonic() + 10
        while b"hush" not in Path(f"/proc/{process.pid}/environ").read_bytes():
            assert time.monotonic() < deadline
        state = read(tmp_path, "openclaw", path=path)
    finally:
        process.kill()
        process.wait()
    assert state.openclaw_account == Account("claw", "7", "8", str(tmp_path))
    assert state.answers["openclaw_env"].encode("utf-8", "surrogateescape") == env.read_bytes()
    found = state.stat("openclaw_env_stat")
    assert found is not None
    assert found.mode == "640"
    assert sorted(state.lines("openclaw_process")) == ["OPENAI_BASE_URL", "PATH"]
    assert state.stat("openclaw_dropin_stat") is None
    assert "listeners" not in state.answers


# There is no claw on this machine; who else is asked for is refused.
AS_CLAW = '[ "$1 $2 $3" = "-u claw --" ] || exit; shift 3; exec "$@"'


@pytest.mark.parametrize(("user", "is_read"), [("root", True), ("nobody", False)])
def test_an_env_file_is_read_as_its_user(tmp_path: Path, user: str, is_read: bool) -> None:
    """Root would follow a link of theirs to any file."""
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as the deployment does", pytrace=False)
    (tmp_path / "secret").write_text("A=1\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw/.env").symlink_to(tmp_path / "secret")
    path = commands(tmp_path / "bin", getent=f'echo "{user}:x:7:8::{tmp_path}:/bin/sh"', systemctl="exit 1")
    state = read(tmp_path, "openclaw", path=path, OPENCLAW_USER=user)
    assert state.text("openclaw_env_exists") == "yes"
    assert state.openclaw_env == ("A=1\n" if is_read else None)


def test_an_env_file_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    path = commands(tmp_path / "bin", getent=f'echo "root:x:0:0::{tmp_path}:/bin/sh"', systemctl="exit 1")
    state = read(tmp_path, "openclaw", path=path)
    assert not {"openclaw_env", "openclaw_env_exists"} & set(state.answers)


def test_a_user_who_does_not_exist_is_an_empty_answer(tmp_path: Path) -> None:
    state = read(tmp_path, "openclaw", OPENCLAW_USER="nobody-of-that-name")
    assert state.openclaw_account is None
    assert state.openclaw_env is None


def test_a_user_unit_is_asked_of_the_users_manager(tmp_path: Path) -> None:
    path = commands(tmp_path / "bin", systemctl='printf "ASKED=%s %s\\n" "$*" "$XDG_RUNTIME_DIR"')
    state = read(tmp_path, "openclaw", path=path, OPENCLAW_SCOPE="user", OPENCLAW_USER="root")
    assert "ASKED=--user show openclaw-gateway.service" in state.text("openclaw_unit")
    assert state.text("openclaw_unit").endswith("/run/user/0")
    assert state.openclaw_account == Account("root", "0", "0", "/root")


@pytest.mark.parametrize("command", [["dash", "-n"], ["bash", "-n"]])
def test_the_script_is_a_posix_script(command: list[str]) -> None:
    script = Path(host_state.__file__).with_name("host_state.sh")
    done = subprocess.run([*command, script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_answer_that_was_cut_is_refused() -> None:
    lines = fake_hosts.answer(fake_hosts.FRESH)
    assert HostState.parse(lines).text("uid") == "0"
    for cut in (lines[:-1], [*lines[:-1], lines[-1][:-4]], []):
        with pytest.raises(UnreadableError, match="the host's answer broke off before its end"):
            HostState.parse(cut)


def test_lines_of_others_among_the_answers_are_ignored() -> None:
    banner = ["", "Welcome to gw1!", "欢迎 使用", "sudo: unable to resolve host gw1", "uid is shown below", "=" * 70]
    state = HostState.parse([*banner, *fake_hosts.answer(fake_hosts.FRESH)])
    assert state.text("uid") == "0"


def test_the_state_is_not_shown() -> None:
    state = HostState.parse(fake_hosts.answer({"secrets": "hush"}))
    assert "hush" not in repr(state)
    assert base64.b64encode(b"hush").decode() not in repr(state)


def test_what_is_not_there_is_empty() -> None:
    state = HostState.parse(fake_hosts.answer({}))
    assert engine.version(state) == engine.compose(state) == ""
    assert state.container is None
    assert state.image is None
    assert state.data_source is None
    assert state.tailscale_addresses == []
    assert state.properties("gateway_unit") == {}
    assert state.file("/etc/os-release") is None


def test_docker_is_read() -> None:
    container = '[{"Mounts":[{"Source":"/a","Destination":"/b"},{"Source":"/srv/data","Destination":"/data"}]}]\n'
    state = HostState.parse(fake_hosts.answer({"container": container, "image": 'sha256:1 arm64 ["a@sha256:2"]\n'}))
    assert state.data_source == "/srv/data"
    assert state.image == ("sha256:1", "arm64", ["a@sha256:2"])
    # What Docker says of a container that is not there, and of an image without digests.
    state = HostState.parse(fake_hosts.answer({"container": "[]\n", "image": "sha256:1 amd64 null\n"}))
    assert state.container is None
    assert state.image == ("sha256:1", "amd64", [])


def test_a_host_without_an_address_is_known_by_the_one_that_its_gateway_is_published_on() -> None:
    published = [{"HostConfig": {"PortBindings": {"3000/tcp": [{"HostIp": "100.64.0.9", "HostPort": "3000"}]}}}]
    assert make_node({"tailscale0": "", "container": json.dumps(published)}).base_url == "http://100.64.0.9:3000"


def test_the_interface_wins_over_what_tailscale_says() -> None:
    both = {"tailscale0": "100.64.0.1/32\n", "tailscale_ip": "100.64.0.2\n"}
    assert HostState.parse(fake_hosts.answer(both)).tailscale_addresses == ["100.64.0.1"]
    del both["tailscale0"]
    assert HostState.parse(fake_hosts.answer(both)).tailscale_addresses == ["100.64.0.2"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun 2026-11-22 11:06:01.123456 UTC", 1795345561.123456),
        ("Thu 1970-01-01 00:00:01.000000 UTC", 1.0),
        ("", None),
        ("n/a", None),
        ("Sun 2026-11-22 11:06:01 CST", None),
    ],
)
def test_a_start_time_is_read(text: str, seconds: float | None) -> None:
    assert started_at({"ExecMainStartTimestamp": text}) == seconds


def test_a_unit_that_never_ran_has_no_start_time() -> None:
    assert started_at({}) is None


@pytest.mark.parametrize(("module", "tools"), [("exit 0", ["python3"]), ("exit 1", [])])
def test_a_python_without_sqlite3_is_no_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, tools: list[str]
) -> None:
    """Debian's python3-minimal is one; asked where there is no sqlite3."""
    monkeypatch.setenv("PATH", str(_without(tmp_path / "others", "sqlite3")))
    programs = commands(tmp_path / "programs", python3=module)
    found = read(tmp_path, "gateway", path=programs)
    assert [tool for tool in found.lines("tools") if tool in ("python3", "sqlite3")] == tools


def _without(place: Path, name: str) -> Path:
    """A directory with all of this machine's commands but one."""
    place.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for command in Path(folder).glob("*"):
            if command.name != name and not (place / command.name).is_symlink():
                (place / command.name).symlink_to(command)
    return place


@pytest.mark.parametrize(
    ("started", "variables", "place", "config"),
    [
        ("openclaw gateway --port 18789", {}, "~/.openclaw", "~/.openclaw/openclaw.json"),
        ("openclaw gateway", {"OPENCLAW_PROFILE": "work"}, "~/.openclaw", "~/.openclaw/openclaw.json"),
        ("openclaw --profile work gateway", {}, "~/.openclaw-work", "~/.openclaw-work/openclaw.json"),
        ("openclaw gateway --profile=work", {}, "~/.openclaw-work", "~/.openclaw-work/openclaw.json"),
        ("openclaw --profile default gateway", {}, "~/.openclaw", "~/.openclaw/openclaw.json"),
        ("openclaw --dev gateway", {}, "~/.openclaw-dev", "~/.openclaw-dev/openclaw.json"),
        ("openclaw gateway", {"OPENCLAW_STATE_DIR": "/srv/claw"}, "/srv/claw", "/srv/claw/openclaw.json"),
        ("openclaw --profile work gateway", {"OPENCLAW_STATE_DIR": "/srv/c"}, "/srv/c", "/srv/c/openclaw.json"),
        ("openclaw gateway", {"OPENCLAW_STATE_DIR": "~/claw"}, "~/claw", "~/claw/openclaw.json"),
        ("openclaw gateway", {"OPENCLAW_CONFIG_PATH": "/etc/claw.json"}, "~/.openclaw", "/etc/claw.json"),
        ("openclaw gateway", {"OPENCLAW_CONFIG_PATH": "~/claw.json"}, "~/.openclaw", "~/claw.json"),
        ("openclaw gateway", {"OPENCLAW_HOME": "/srv"}, "/srv/.openclaw", "/srv/.openclaw/openclaw.json"),
        ("openclaw --profile work gateway", {"OPENCLAW_HOME": "/srv"}, "/srv/.openclaw-work", None),
        ("openclaw gateway", {"OPENCLAW_HOME": "/srv", "OPENCLAW_STATE_DIR": "~/st"}, "/srv/st", None),
        ("openclaw gateway", {"HOME": "/var/lib/claw"}, "/var/lib/claw/.openclaw", None),
    ],
)
def test_openclaw_is_looked_for_where_it_looks_itself(
    tmp_path: Path, started: str, variables: dict[str, str], place: str, config: str | None
) -> None:
    """As `openclaw config file` of 2026.9.6 said of each; of HOME, as Node does."""
    environment = " ".join(f"{name}={value}" for name, value in variables.items())
    exec_start = f"{{ path=/usr/bin/openclaw ; argv[]=/usr/bin/{started} ; ignore_errors=no ; start_time=[n/a] }}"
    path = commands(
        tmp_path / "bin",
        systemctl=f"""case "$*" in
            *"ExecStart --value"*) echo '{exec_start}' ;;
            *"Environment --value"*) echo '{environment}' ;;
            *openclaw-gateway*) printf 'LoadState=loaded\\nUser=claw\\nMainPID=0\\n' ;;
        esac""",
        getent=f'[ "$2" = claw ] && echo "claw:x:7:8::{tmp_path}:/bin/sh"',
        runuser=AS_CLAW,
    )
    state = read(tmp_path, "openclaw", path=path)
    assert state.text("openclaw_env_path") == f"{place}/.env".replace("~", str(tmp_path))
    wanted = (config or f"{place}/openclaw.json").replace("~", str(tmp_path))
    assert state.text("openclaw_config_path") == wanted
    asked = state.lines("openclaw_variables")
    assert asked[-2:] == [f"OPENCLAW_STATE_DIR={place.replace('~', str(tmp_path))}", f"OPENCLAW_CONFIG_PATH={wanted}"]


def test_an_openclaw_that_no_unit_of_that_name_runs_is_found_by_its_process(tmp_path: Path) -> None:
    """By the name that it gives itself, and as it is started."""
    script = tmp_path / "openclaw"
    script.write_text("#!/bin/sh\nsleep 60\n")
    processes = [
        subprocess.Popen(["bash", "-c", "exec -a openclaw-gateway sleep 60"]),
        subprocess.Popen(["bash", "-c", f"exec -a node sh {script} gateway --port 1"]),
        subprocess.Popen(["bash", "-c", f"exec -a node sh {script} config get"]),
    ]
    path = commands(tmp_path / "bin", systemctl="echo LoadState=not-found", getent="exit 2")
    try:
        deadline = time.monotonic() + 10
        while not Path(f"/proc/{processes[0].pid}/cmdline").read_bytes().startswith(b"openclaw-gateway"):
            assert time.monotonic() < deadline
        found = [line.split() for line in read(tmp_path, "openclaw", path=path).lines("openclaw_processes")]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    by_process = {int(process): (user, group) for process, user, group in found}
    assert processes[0].pid in by_process and processes[1].pid in by_process, found
    assert processes[2].pid not in by_process
    assert by_process[processes[0].pid][0] == Path(tmp_path).owner()
