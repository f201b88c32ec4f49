"""Bytes to and from a host by SSH and sudo, as any user who may become root: whole or not at all, and never stuck."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.host import Host

from llm_gateway.hosts import streams
from llm_gateway.hosts.streams import StreamError
from tests.lab.conftest import Lab

CONTENT = os.urandom(5_000_003)


@pytest.fixture
def host(lab: Lab) -> Iterator[Host]:
    """gw1 as pyinfra has it: reached as a user who is not root, with sudo."""
    found = lab.state["hosts"]["gw1"]
    data = {
        "ssh_hostname": found["lan_address"],
        "ssh_port": found["ssh_port"],
        "ssh_user": found["ssh_user"],
        "ssh_key": found["ssh_key"],
        "ssh_known_hosts_file": found["known_hosts"],
        "_sudo": True,
    }
    assert data["ssh_user"] != "root"
    state = State(Inventory(([("gw1", data)], {})), Config())
    connect_all(state)
    yield state.inventory.get_host("gw1")
    disconnect_all(state)


def test_there_and_back_for_root_alone(lab: Lab, host: Host, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert streams.upload(host, tmp_path / "here", "/root/it is there") == digest
    assert lab.ssh("gw1", "stat -c '%a %U' '/root/it is there'; ls /root | grep partial || true") == "600 root"
    assert streams.download(host, "/root/it is there", tmp_path / "back") == digest
    assert (tmp_path / "back").read_bytes() == CONTENT
    lab.ssh("gw1", "rm '/root/it is there'")


def test_a_full_disk_there_is_told_and_leaves_nothing(lab: Lab, host: Host, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(CONTENT)
    lab.ssh("gw1", "mkdir /root/small && mount -t tmpfs -o size=1m none /root/small")
    with pytest.raises(StreamError, match="No space left on device"):
        streams.upload(host, tmp_path / "here", "/root/small/file")
    assert lab.ssh("gw1", "ls -A /root/small; umount /root/small; rmdir /root/small") == ""


def test_a_command_that_fails_after_much_says_why(host: Host) -> None:
    with (
        pytest.raises(StreamError, match=r"^out of luck$"),
        streams.open_reader(host, "head -c 9000000 /dev/zero; echo out of luck >&2; exit 3") as reader,
    ):
        while reader.read():
            pass


def test_a_connection_that_breaks_is_no_end_of_the_file(lab: Lab, host: Host, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="lost"), streams.open_reader(host, "echo $PPID; cat /dev/zero") as reader:
        assert reader.read()
        user = lab.state["hosts"]["gw1"]["ssh_user"]
        killed = lab.command("ssh", "gw1", "--", "sudo", "pkill", "-KILL", "-u", user, "sshd")
        assert killed.code == 255, "its own connection goes too"
        while reader.read():
            pass


def test_a_connection_that_carries_nothing_any_more_is_given_up(host: Host) -> None:
    began = time.monotonic()
    with (
        pytest.raises(StreamError, match="carries nothing any more"),
        streams.open_reader(host, "exec tail -f /dev/null", patience=2) as reader,
    ):
        reader.read()
    assert time.monotonic() - began < 15
