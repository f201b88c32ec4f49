"""The page's server on a gateway's host: its configuration, whom the firewall lets in, and when it is put right."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.command import repeating
from llm_gateway.hosts.interruption import INTERRUPTED
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import host_data, settings
from llm_gateway.model.layout import PAGE_CONF, PAGE_UNIT, PAGE_USERS, UNITS
from llm_gateway.parts import page_server
from llm_gateway.parts.firewall_rules import Door, Reach
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import make_node

ADDRESS = "100.64.0.10"


def conf(**chosen: Any) -> str:
    """nginx's configuration."""
    found = {file.path: file.content for file in page_server.wanted_files(make_node(gateway_page_port=3080, **chosen))}
    return found[PAGE_CONF].decode()


def served(content: bytes | None = None, **changed: str) -> Node:
    """A host that serves the page as it should, or with another content of the configuration."""
    wanted = page_server.wanted_files(make_node(gateway_page_port=3080))
    unit = {"Id": PAGE_UNIT, "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no", **changed}
    files = [(file.path, content if content and file.path == PAGE_CONF else file.content) for file in wanted]
    stats = [f"{path} 644 root:root 1.0" for path, _ in files] + [f"{PAGE_USERS} 600 root:root 1.0"]
    sums = [f"{hashlib.sha256(text).hexdigest()}  {path}" for path, text in files]
    answers = {
        "timer_units": "\n".join(f"{name}={value}" for name, value in unit.items()),
        "tracked_stat": "\n".join(stats),
        "tracked_sum": "\n".join(sums),
        "tools": "sqlite3\nnft\nnginx\n",
    }
    return make_node({**FRESH, **answers}, gateway_page_port=3080)


def test_it_listens_on_loopback_and_the_tailnet_alone() -> None:
    assert set(re.findall(r"listen ([^ ;]+)", conf())) == {"127.0.0.1:3080", f"{ADDRESS}:3080"}


def test_without_peers_it_asks_for_the_token_and_with_them_it_lets_these_alone_in() -> None:
    with_token, with_peers = conf(), conf(gateway_page_peers=["100.64.0.7", "100.64.1.0/24"])
    assert "auth_basic_user_file /run/openclaw-llm-gateway-page/users;" in with_token
    assert "allow " not in with_token
    assert "auth_basic" not in with_peers
    rules = re.findall(r"(?:allow|deny) \S+;", with_peers.partition("location")[0])
    assert rules == [
        *("allow 100.64.0.7/32;", "allow 100.64.1.0/24;", "allow 127.0.0.1;"),
        *(f"allow {ADDRESS};", "deny all;"),
    ]


def test_the_firewall_has_a_door_for_it_with_peers_of_its_own() -> None:
    chosen = {"gateway_allowed_peers": ["100.64.0.8"], "gateway_page_peers": ["100.64.0.7"]}
    assert Reach.wanted(make_node(gateway_page_port=3080, **chosen)).doors == (
        Door(ADDRESS, 3000, ("100.64.0.8",)),
        Door(ADDRESS, 3080, ("100.64.0.7",)),
    )
    assert Reach.wanted(make_node()).doors == (Door(ADDRESS, 3000, ()),)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"gateway_page_port": 3000}, "gateway_page_port: 3000 is gateway_port; choose another one"),
        ({"gateway_page_port": 80}, "gateway_page_port: must be a whole number from 1024 to 65535"),
        ({"gateway_page_peers": ["100.64.0.7"]}, "gateway_page_peers: gateway_page_port is None"),
        ({"gateway_page_port": 3080, "gateway_page_peers": ["192.168.1.5"]}, "gateway_page_peers: "),
    ],
)
def test_what_makes_no_page_is_refused(chosen: dict[str, Any], told: str) -> None:
    _, problems = host_data.check({**settings.defaults(), **chosen})
    assert [problem.startswith(told) for problem in problems] == [True], problems


def test_a_host_that_serves_it_has_no_problem_and_one_that_does_otherwise_has() -> None:
    assert page_server.problem(served()) is None
    assert page_server.problem(make_node()) is None
    assert "the page's configuration of nginx" in str(page_server.problem(served(b"# by hand\n")))
    assert "does not run" in str(page_server.problem(served(ActiveState="failed")))
    left = make_node({**FRESH, "tracked_stat": f"{UNITS}/{PAGE_UNIT} 644 root:root 1.0"})
    assert page_server.problem(left) == "it is served, though gateway_page_port is None"


def test_a_host_that_serves_it_is_left_alone_and_others_are_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr("llm_gateway.hosts.remote.shell", lambda name, command: steps.append(name))
    monkeypatch.setattr("llm_gateway.hosts.remote.write_file", lambda name, **_: steps.append(name))
    page_server.install(served())
    page_server.install(make_node())
    assert steps == []
    page_server.install(served(b"# by hand\n"))
    assert steps == ["Write the page's configuration of nginx", "Start the page's server"]
    steps.clear()
    page_server.install(make_node(gateway_page_port=3080))
    assert steps == [
        *("Install nginx, and let it serve nothing of its own", "Write the page's configuration of nginx"),
        *("Write the unit of the page", "Make the page's token", "Start the page's server"),
    ]
    steps.clear()
    page_server.install(make_node({**FRESH, "tracked_stat": f"{UNITS}/{PAGE_UNIT} 644 root:root 1.0"}))
    assert steps == ["Take off the page's server"]


def test_the_token_is_made_on_the_host_and_for_root_alone(tmp_path: Path) -> None:
    users = tmp_path / "page/users"
    script = page_server._SCRIPT.read_text()
    subprocess.run(["sh", "-euc", f"users={users}\n{script}\nmake_token"], check=True)
    first = users.read_text()
    assert re.fullmatch(r"page:\{PLAIN\}[A-Za-z0-9_-]{32}\n", first)
    assert (users.stat().st_mode & 0o777, users.parent.stat().st_mode & 0o777) == (0o600, 0o755)
    subprocess.run(["sh", "-euc", f"users={users}\n{script}\nmake_token"], check=True)
    assert users.read_text() != first
    assert [file.name for file in users.parent.iterdir()] == ["users"]


@pytest.mark.parametrize(("ends", "code"), [("true", 0), ("false", 1)])
def test_what_debians_nginx_serves_by_itself_does_not_start_and_will_not(tmp_path: Path, ends: str, code: int) -> None:
    wants = tmp_path / "multi-user.target.wants"
    wants.mkdir()
    values = f"units={tmp_path}\ninstall='echo install; ln -s x {wants}/nginx.service; {ends}'\n"
    systemctl = 'systemctl() { echo "$*"; }\n'
    script = f"{values}{systemctl}{page_server._SCRIPT.read_text()}\ninstall_nginx"
    done = subprocess.run(["sh", "-uc", script], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == [
        *("mask --runtime --quiet nginx.service", "install", "unmask --runtime --quiet nginx.service")
    ]
    assert list(wants.iterdir()) == []


def test_its_unit_is_closed() -> None:
    unit = (page_server.ROOT / "files" / PAGE_UNIT).read_text()
    for line in ("DynamicUser=yes", "CapabilityBoundingSet=", "RuntimeDirectory=openclaw-llm-gateway-page"):
        assert line in unit.splitlines()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["llm-gateway", "page", "--every", "5min", "hosts.py"], ["llm-gateway", "page", "hosts.py"]),
        (["python", "-m", "llm_gateway", "page", "--every=5min"], ["python", "-m", "llm_gateway", "page"]),
        (["page", "--language", "zh"], ["page", "--language", "zh"]),
    ],
)
def test_a_process_that_does_it_once_is_called_without_the_interval(words: list[str], kept: list[str]) -> None:
    assert repeating.without(words, "--every") == kept


@pytest.mark.parametrize(
    ("codes", "end"),
    [((1,), 1), ((2,), 2), ((0, 1, 0, INTERRUPTED), INTERRUPTED), ((0, 0, 2), 2), ((0, None), INTERRUPTED)],
)
def test_it_goes_on_after_a_failure_unless_that_is_the_first(codes: tuple[int | None, ...], end: int) -> None:
    left = [*codes]
    waited: list[float] = []

    def run(words: object) -> int:
        code = left.pop(0)
        if code is None:
            raise KeyboardInterrupt
        return code

    assert repeating.repeat(["page"], 300.0, run, waited.append) == end
    assert left == []
    assert len(waited) == len(codes) - 1
    assert all(299.0 < seconds <= 300.0 for seconds in waited)
