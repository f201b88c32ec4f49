"""The logs of gateways: whole lines, without keys, and a command that ends with its reader."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from llm_gateway.model.redaction import redacted
from llm_gateway.tasks import logs
from tests.unit.topology import GENERATED, make_node

FOLLOW = Path(logs.__file__).with_name("follow.sh").read_text(encoding="utf-8")


def test_lines_are_whole_whatever_pieces_they_come_in() -> None:
    assert list(logs._lines([b"one\ntw", b"o\n", "三".encode()[:1], "三".encode()[1:] + b"\nlast"])) == [
        *("one", "two", "三", "last"),
    ]


def test_a_key_in_two_pieces_is_hidden() -> None:
    hidden = logs._secrets(make_node())
    password = GENERATED.root_password
    (line,) = logs._lines([f"root's is {password[:5]}".encode(), f"{password[5:]} and sk-abcdefgh\n".encode()])
    assert redacted(line, hidden, 4000) == "root's is [hidden] and [hidden]"


def test_the_commands_take_the_lines_that_were_asked_for() -> None:
    followed = dict(logs._commands("20", is_followed=True))
    assert followed["unit"].endswith("--lines=20 --follow --unit=openclaw-llm-gateway.service")
    assert followed["container"].endswith("docker logs --tail=20 --follow openclaw-llm-gateway")
    assert not [command for _, command in logs._commands("20", is_followed=False) if "--follow" in command]


def follow(*command: str) -> subprocess.Popen[str]:
    """`follow.sh` with that command."""
    pipe = subprocess.PIPE
    return subprocess.Popen(["sh", "-c", FOLLOW, "sh", *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_what_is_followed_ends_when_its_reader_has_gone() -> None:
    with follow("sh", "-c", "echo begun; exec sleep 600") as run:
        assert run.stdin and run.stdout
        assert run.stdout.readline() == "begun\n"
        began = time.monotonic()
        run.stdin.close()
        assert run.wait(timeout=10) != 0
        assert run.stdout.read() == ""
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("code", [0, 3])
def test_what_ends_by_itself_ends_all(code: int) -> None:
    with follow("sh", "-c", f"echo out; echo err >&2; exit {code}") as run:
        assert run.stdout
        assert sorted(run.stdout.read().split()) == ["err", "out"]
        assert run.wait(timeout=10) == code
