"""What is put in place on a gateway's host: nothing where all is right, and no way in for others than root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import installation
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import DIRECTORY, make_node

FIX = "Make the directories, writable by root alone"
KEEP = "Keep the files of the gateway that was there before"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The operations that were asked for, by name: a command, or the path of a file."""
    asked: dict[str, str] = {}

    def write_file(name: str, path: str, **_: Any) -> None:
        asked[name] = path

    monkeypatch.setattr(remote, "shell", lambda name, command: asked.update({name: command}))
    monkeypatch.setattr(remote, "write_file", write_file)
    return asked


def done(was: str = "", now: str = "", **changed: str) -> Node:
    """A deployed gateway, but for a piece of its files' states and for these answers."""
    values = deployed("gw1", "agent1").gateway
    assert was in values["tracked_stat"]
    return make_node({**values, "tracked_stat": values["tracked_stat"].replace(was, now), **changed})


def run(command: str) -> None:
    """Run a command as the host does."""
    subprocess.run(["sh", "-c", command], check=True, timeout=30)


def mode(path: Path) -> str:
    """As `stat -c %a` shows it."""
    return f"{path.stat().st_mode & 0o7777:o}"


def test_where_all_is_right_nothing_is_planned(planned: dict[str, str]) -> None:
    installation.install_files(done())
    assert planned == {}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param(f"{DIRECTORY} 755 root:root", f"{DIRECTORY} 775 root:root", id="group may write"),
        pytest.param(f"{DIRECTORY} 755 root:root", f"{DIRECTORY} 777 root:root", id="all may write"),
        pytest.param(f"{DIRECTORY} 755 root:root", f"{DIRECTORY} 1777 root:root", id="all may write, sticky"),
        pytest.param(f"{DIRECTORY} 755 root:root", f"{DIRECTORY} 755 me:me", id="somebody's"),
        pytest.param(f"{DIRECTORY} 755 root:root", "/other 755 root:root", id="none yet"),
        pytest.param("/data 700", "/data 750", id="data can be read"),
        pytest.param("/tiktoken 755", "/tiktoken 757", id="tiktoken can be written"),
        pytest.param("/applied-keys.json 600", "/applied-keys.json 640", id="fingerprints can be read"),
        pytest.param("/applied-keys.json 600", "/applied-keys.json 602", id="fingerprints can be written"),
    ],
)
def test_what_others_have_access_to_is_fixed(planned: dict[str, str], was: str, now: str) -> None:
    installation.install_files(done(was, now))
    assert list(planned) == [FIX]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param(f"{DIRECTORY}/applied-keys.json", "/other", id="no fingerprints yet"),
        pytest.param(f"{DIRECTORY} 755", f"{DIRECTORY} 700", id="closed more than needed"),
    ],
)
def test_what_is_safe_otherwise_is_left_so(planned: dict[str, str], was: str, now: str) -> None:
    installation.install_files(done(was, now))
    assert planned == {}


def test_whom_the_data_belong_to_is_left_to_each_start(planned: dict[str, str]) -> None:
    installation.install_files(done("/data 700 root:root", "/data 700 UNKNOWN:UNKNOWN"))
    assert planned == {}


def test_the_fix_leaves_nothing_to_others_and_the_content_as_it_was(planned: dict[str, str], tmp_path: Path) -> None:
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as the deployment does", pytrace=False)
    place = tmp_path / "gateway"
    installation.install_files(make_node(gateway_directory=str(place)))
    run(planned[FIX])
    assert [mode(path) for path in (place, place / "data", place / "tiktoken")] == ["755", "700", "755"]
    assert not (place / "applied-keys.json").exists()

    (place / "data/one-api.db").write_text("kept")
    keys = place / "applied-keys.json"
    keys.write_text("{}")
    for path in (place, place / "data", place / "tiktoken", keys):
        path.chmod(0o777)
        os.chown(path, 65534, 65534)
    run(planned[FIX])
    assert [mode(path) for path in (place, place / "data", place / "tiktoken", keys)] == ["755", "700", "755", "600"]
    assert [path.stat().st_uid for path in (place, place / "data", place / "tiktoken", keys)] == [0, 65534, 0, 0]
    assert ((place / "data/one-api.db").read_text(), keys.read_text()) == ("kept", "{}")


def test_the_files_of_an_older_gateway_are_kept_once(planned: dict[str, str], tmp_path: Path) -> None:
    compose, kept = tmp_path / "docker-compose.yml", tmp_path / "backups/taken-over-files"
    values = {**FRESH, "tracked_stat": f"{compose} 644 root:root 1.0\n"}
    installation.install_files(make_node(values, gateway_directory=str(tmp_path)))
    names = list(planned)
    assert names.index(KEEP) < names.index("Write the compose file"), "before it is written over"
    compose.write_text("a person's")
    (tmp_path / ".env").write_text("SESSION_SECRET=a person's")
    run(planned[KEEP])
    for path in (compose, tmp_path / ".env"):
        path.write_text("# Made by the deployment; and then the run is cut off")
    run(planned[KEEP])
    assert (kept / "docker-compose.yml").read_text() == "a person's"
    assert (kept / ".env").read_text() == "SESSION_SECRET=a person's"
    assert [mode(path) for path in (kept.parent, kept, kept / ".env")] == ["700", "700", "600"]


def test_an_older_gateway_without_an_env_file_is_kept_too(planned: dict[str, str], tmp_path: Path) -> None:
    compose = tmp_path / "docker-compose.yml"
    values = {**FRESH, "tracked_stat": f"{compose} 644 root:root 1.0\n"}
    installation.install_files(make_node(values, gateway_directory=str(tmp_path)))
    compose.write_text("a person's")
    run(planned[KEEP])
    assert [path.name for path in (tmp_path / "backups/taken-over-files").iterdir()] == ["docker-compose.yml"]


def test_our_own_files_are_not_kept_as_an_older_gateways(planned: dict[str, str]) -> None:
    installation.install_files(done("/docker-compose.yml 644", "/docker-compose.yml 666"))
    assert list(planned) == ["Write the compose file"]
    planned.clear()
    installation.install_files(make_node())
    assert KEEP not in planned, "there was none"
