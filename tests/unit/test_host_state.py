"""The script that reads a host, run here for real (it only reads), and what is made of its answer."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from gateway import host_state
from gateway.contents import admin
from gateway.host_state import HostState, UnreadableError, started_at
from tests.unit import fake_hosts
from tests.unit.members import GENERATED
from tests.unit.state_reader import commands, read


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
    assert state.text("uid") == str(os.getuid())
    assert state.architecture in ("amd64", "arm64")
    assert state.text("database_size") == "5"
    assert state.lines("data") == ["one-api.db"]
    free = shutil.disk_usage(directory).free >> 10
    assert 0 < state.free_kib <= free + 1_000_000
    found = state.file(str(secret))
    assert found is not None
    assert (found.mode, found.modified) == ("600", 1700000000.25)
    assert found.owner == f"{secret.owner()}:{secret.group()}"
    assert found.sha256 == hashlib.sha256(secret.read_bytes()).hexdigest()
    assert state.file(f"{directory}/none") is None
    assert not state.text("openclaw_passwd"), "the other role was not asked for"


def test_a_directory_that_is_not_there_yet_is_read(tmp_path: Path) -> None:
    state = read(tmp_path / "not/there yet/it's", "gateway")
    assert state.free_kib > 0
    assert state.lines("data") == []
    assert state.text("database_size") == ""
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

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
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


def test_the_admin_api_is_asked_on_the_host(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(GENERATED.render())
    with ThreadingHTTPServer(("127.0.0.1", 0), AdminAPI) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state = read(tmp_path, "gateway", path=published(tmp_path, server.server_address[1]), PORT="1")
        server.shutdown()
    assert AdminAPI.asked == [(path, GENERATED.access_token) for path in admin.READS]
    for path, name in admin.READS.items():
        answer = admin.parse_answer(state.answers[name])
        assert answer.json() == {"success": True, "data": path, "中": "文"}
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_an_admin_api_that_does_not_answer_is_an_empty_answer(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(GENERATED.render())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        state = read(tmp_path, "gateway", path=published(tmp_path, nobody.getsockname()[1]))
    assert [state.answers[name] for name in admin.READS.values()] == [""] * 3


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
    assert state.text("openclaw_passwd").startswith("claw:x:7:8:")
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
    assert state.answers.get("openclaw_env") == ("A=1\n" if is_read else None)


def test_an_env_file_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    path = commands(tmp_path / "bin", getent=f'echo "root:x:0:0::{tmp_path}:/bin/sh"', systemctl="exit 1")
    state = read(tmp_path, "openclaw", path=path)
    assert not {"openclaw_env", "openclaw_env_exists"} & set(state.answers)


def test_a_user_who_does_not_exist_is_an_empty_answer(tmp_path: Path) -> None:
    state = read(tmp_path, "openclaw", OPENCLAW_USER="nobody-of-that-name")
    assert state.answers["openclaw_passwd"] == ""
    assert "openclaw_env" not in state.answers


def test_a_user_unit_is_asked_of_the_users_manager(tmp_path: Path) -> None:
    path = commands(tmp_path / "bin", systemctl='printf "ASKED=%s %s\\n" "$*" "$XDG_RUNTIME_DIR"')
    state = read(tmp_path, "openclaw", path=path, OPENCLAW_SCOPE="user", OPENCLAW_USER="root")
    assert "ASKED=--user show openclaw-gateway.service" in state.text("openclaw_unit")
    assert state.text("openclaw_unit").endswith("/run/user/0")
    assert state.text("openclaw_passwd").startswith("root:x:0:0:")


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
    assert state.text("docker") == ""
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
