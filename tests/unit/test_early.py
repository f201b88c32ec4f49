"""What a host is asked before pyinfra is loaded: the same question as last time by the same login, or nothing."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.host import Host

from llm_gateway.hosts import early, ssh_words

END = f"end {base64.b64encode(b'complete').decode()}"
SSH = ["ssh", "-l", "admin", "--", "gw1"]
WORDS = ["llm-gateway", "deploy", "-y", "inventory.py"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with an inventory, and an `ssh` that writes down what it is called with and answers."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(early, "_asked", {})
    monkeypatch.setattr(early, "_questions", {})
    monkeypatch.setattr(early, "_call", [])
    monkeypatch.setattr(early, "_inventory", [])
    (tmp_path / "inventory.py").write_text("gateways = ['gw1']\n")
    _answer(tmp_path, f"uid MA==\n{END}\n")
    yield tmp_path
    for asked in early._asked.values():
        asked.end()


def _answer(place: Path, text: str, first: str = "") -> None:
    ssh = place / "bin/ssh"
    ssh.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {place}/called\n{first}\nprintf '%s' '{text}'\n")
    ssh.chmod(0o755)


def _begin(place: Path, *more: str) -> None:
    early.begin([*WORDS, *more])
    early.of(str(place / "inventory.py"))


def _keep(place: Path, command: str = "read") -> None:
    """As a run does that finds nothing kept."""
    _begin(place)
    assert early.find("gw1", SSH, command) is None
    early.note("gw1", SSH, command)
    early.keep()


def test_the_next_run_of_the_same_words_gets_its_answer_at_once(place: Path) -> None:
    _keep(place)
    assert not (place / "called").exists(), "nobody is asked by a run that finds nothing kept"
    _begin(place)
    asked = early.find("gw1", SSH, "read")
    assert asked is not None
    assert asked.lines() == ["uid MA==", END]
    assert (place / "called").read_text() == "-l admin -- gw1 read\n"
    assert early.find("gw1", SSH, "read") is None, "an answer is taken once"


def test_the_next_run_knows_where_it_is_going_to_ask(place: Path) -> None:
    _begin(place)
    early.note("gw1", SSH, "read")
    early.note_way("gw1", "100.64.0.10", 3000)
    early.note_way("gw2", "100.64.0.11", 3000)
    early.keep()
    _begin(place)
    asked = early.find("gw1", SSH, "read")
    assert asked is not None
    assert (asked.way and (*asked.way,)) == ("100.64.0.10", 3000)
    assert early.find("gw2", SSH, "read") is None, "a host that is not noted is not asked"


def test_a_run_that_has_named_no_inventory_is_not_remembered(place: Path) -> None:
    early.begin(WORDS)
    assert not early.is_on()
    early.note("gw1", SSH, "read")
    early.keep()
    assert not (place / "cache").exists()


def test_calls_that_differ_in_options_alone_share_one_file(place: Path) -> None:
    _keep(place)
    _begin(place, "--dry")
    assert early.find("gw1", SSH, "read") is None
    early.note("gw1", SSH, "read")
    early.keep()
    assert len(list((place / "cache/llm-gateway/asked-first").iterdir())) == 1


def test_what_is_kept_is_for_its_owner_alone(place: Path) -> None:
    _keep(place)
    (kept,) = (place / "cache/llm-gateway/asked-first").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.chmod(0o640)
    _begin(place)
    assert early.find("gw1", SSH, "read") is None
    assert not (place / "called").exists()


def test_nobody_is_asked_by_a_run_that_is_called_otherwise(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _keep(place)
    _begin(place, "--limit", "gw2")
    monkeypatch.setenv("FLEET", "the other one")
    _begin(place)
    monkeypatch.delenv("FLEET")
    (place / "inventory.py").write_text("gateways = ['gw2']\n")
    _begin(place)
    assert early.find("gw1", SSH, "read") is None
    assert not (place / "called").exists()


@pytest.mark.parametrize(("ssh", "command"), [(SSH, "read more"), (["ssh", "-l", "root", "--", "gw1"], "read")])
def test_another_question_or_login_than_the_runs_own_is_thrown_away(place: Path, ssh: list[str], command: str) -> None:
    _keep(place)
    _begin(place)
    assert early.find("gw1", ssh, command) is None


def test_a_host_that_is_now_reached_in_an_unusual_way_gets_no_answer_taken(place: Path) -> None:
    _keep(place)
    _begin(place)
    assert early.find("gw1", None, "read") is None


def test_an_answer_that_is_not_whole_counts_as_none(place: Path) -> None:
    _keep(place)
    _answer(place, "uid MA==\nend")
    _begin(place)
    asked = early.find("gw1", SSH, "read")
    assert asked is not None and asked.lines() is None


def test_a_host_that_does_not_answer_is_not_waited_for_longer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "SECONDS", 0.3)
    _keep(place)
    _answer(place, "", "exec tail -f /dev/null")
    _begin(place)
    asked, began = early.find("gw1", SSH, "read"), time.monotonic()
    assert asked is not None and asked.lines() is None
    assert time.monotonic() - began < 30


def test_nothing_is_kept_of_hosts_that_are_not_reached_so(place: Path) -> None:
    _keep(place)
    _begin(place)
    early._questions.clear()
    early.keep()
    assert not list((place / "cache/llm-gateway/asked-first").iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"salt": 1, "called": 2}', '{"questions": null}'])
def test_a_damaged_file_is_written_anew(place: Path, text: str) -> None:
    _keep(place)
    (kept,) = (place / "cache/llm-gateway/asked-first").iterdir()
    kept.write_text(text)
    _keep(place)
    _begin(place)
    assert early.find("gw1", SSH, "read") is not None


def test_a_machine_without_ssh_goes_the_ordinary_way(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _keep(place)
    monkeypatch.setenv("PATH", str(place / "nothing"))
    _begin(place)
    assert early.find("gw1", SSH, "read") is None


# -- the words of ssh ---------------------------------------------------------------------------------------


def _host(place: Path, **data: object) -> Host:
    (place / "key").touch()
    usual = {
        "ssh_user": "admin",
        "ssh_key": str(place / "key"),
        "ssh_config_file": str(place / "config"),
        "_sudo": True,
    }
    chosen = {name: value for name, value in {**usual, **data}.items() if value is not None}
    inventory = Inventory(([("gw1", chosen)], {}))
    State(inventory, Config(CONNECT_TIMEOUT=7)).init(inventory, Config(CONNECT_TIMEOUT=7))
    host: Host = inventory.get_host("gw1")
    return host


def test_ssh_is_given_what_pyinfra_uses(place: Path) -> None:
    words = ssh_words.ssh_words(_host(place, ssh_hostname="10.0.0.1", ssh_port=2222, ssh_known_hosts_file="~/known"))
    assert words is not None
    assert words[-6:] == ["-p", "2222", "-l", "admin", "--", "10.0.0.1"]
    options = {words[at + 1] for at, word in enumerate(words) if word == "-o"}
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=7"} <= options
    assert {f'IdentityFile="{place / "key"}"', f'UserKnownHostsFile="{Path.home() / "known"}"'} <= options


def test_an_ssh_config_of_the_usual_kind_has_its_say(place: Path) -> None:
    (place / "config").write_text("Host gw1\n  HostName 10.0.0.2\n  User wei\n  Port 23\n  IdentityFile ~/mine\n")
    words = ssh_words.ssh_words(_host(place, ssh_user=None, ssh_key=None))
    assert words is not None
    assert words[-6:] == ["-p", "23", "-l", "wei", "--", "10.0.0.2"]
    assert f'IdentityFile="{Path.home() / "mine"}"' in words


@pytest.mark.parametrize(
    "data",
    [
        {"ssh_password": "x"},
        {"ssh_key_password": "x"},
        {"ssh_forward_agent": True},
        {"ssh_paramiko_connect_kwargs": {"compress": True}},
        {"ssh_key": "/no/such/key"},
        {"ssh_key": None, "ssh_allow_agent": False},
        {"_sudo_password": "x"},
    ],
)
def test_an_unusual_login_is_left_to_pyinfra(place: Path, data: dict[str, object]) -> None:
    assert ssh_words.ssh_words(_host(place, **data)) is None


@pytest.mark.parametrize("line", ["ProxyJump bastion", "ProxyCommand nc %h %p", "StrictHostKeyChecking no"])
def test_an_unusual_ssh_config_is_left_to_pyinfra(place: Path, line: str) -> None:
    (place / "config").write_text(f"Host gw1\n  {line}\n")
    assert ssh_words.ssh_words(_host(place)) is None


def test_a_large_fleet_is_not_asked_all_at_once(place: Path) -> None:
    _begin(place)
    for number in range(early.MOST + 8):
        early.note(f"gw{number}", SSH, "read")
    early.keep()
    _begin(place)
    assert len(early._asked) == early.MOST
