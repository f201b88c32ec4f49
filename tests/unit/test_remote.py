"""How a file gets onto a host: run by a real shell, as root is on a host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from unittest import mock

import paramiko
import pytest
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.model.checkout import ROOT

EVERY_BYTE = bytes(range(256)) * 64 + b"\n\n no newline at the end"


def owner() -> str:
    """Whom this process may give files to."""
    return f"{os.getuid()}:{os.getgid()}"


def put(path: Path, content: bytes, mode: str = "600", parent: str = "755") -> None:
    """Write a file by the script, under a umask that must not matter."""
    script = f"umask 000; {remote.write_script(str(path), mode, owner(), parent)}"
    # pyinfra ends what it sends with a line break.
    done = subprocess.run(["sh", "-c", script], input=remote.encoded(content) + "\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def start(path: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A script that has begun and waits for its content."""
    return subprocess.Popen(
        # As sshd starts it, also where whoever runs the tests ignores SIGHUP (nohup): a shell cannot undo that itself.
        ["env", "--default-signal", "sh", "-c", remote.write_script(str(path), "600", owner())],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def await_temporary(path: Path) -> Path:
    """The file that the script writes to, once it is there."""
    deadline = time.monotonic() + 10
    while not (found := [other for other in path.parent.iterdir() if other.name.startswith(path.name + ".")]):
        assert time.monotonic() < deadline, "the script did not begin"
        time.sleep(0.005)
    return found[0]


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:o}"


@pytest.mark.parametrize("content", [b"", b"\0", b"line\n", EVERY_BYTE], ids=["empty", "zero", "line", "every byte"])
def test_the_content_arrives_as_it_is(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("wanted", ["600", "644", "755"])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, wanted: str) -> None:
    put(tmp_path / "file", b"x", wanted)
    assert mode(tmp_path / "file") == wanted


def test_a_name_may_hold_blanks_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a b" / "it's $HOME"
    put(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_missing_directory_is_made_with_its_mode(tmp_path: Path) -> None:
    put(tmp_path / "public/file", b"x")
    put(tmp_path / "private/file", b"x", parent="700")
    assert mode(tmp_path / "public") == "755"
    assert mode(tmp_path / "private") == "700"
    (tmp_path / "private").chmod(0o750)
    put(tmp_path / "private/file", b"y", parent="700")
    assert mode(tmp_path / "private") == "750", "a directory that is there is left alone"


def test_the_owner_is_set(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "chown").write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    (tmp_path / "chown").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", remote.write_script(str(tmp_path / "file"), "600", "claw:1000")],
        input=remote.encoded(b"x"),
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0
    assert seen.read_text() == "claw:1000\n"


def test_a_reader_sees_the_old_content_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    writer = start(path)
    new = await_temporary(path)
    assert writer.stdin is not None
    text = remote.encoded(EVERY_BYTE).encode()
    writer.stdin.write(text[: len(text) // 2])
    writer.stdin.flush()
    assert path.read_bytes() == b"old"
    assert mode(new) == "600", "no moment in which others can read"
    writer.stdin.write(text[len(text) // 2 :])
    writer.stdin.close()
    assert writer.wait(10) == 0
    assert path.read_bytes() == EVERY_BYTE
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0, 1, 4, 7, 4000, -5, -4, -1])
def test_a_connection_that_breaks_off_leaves_the_old_content(tmp_path: Path, kept: int) -> None:
    """The host then sees the end of its input: cut where it may be, that must not pass for the content."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    writer = start(path)
    writer.communicate(remote.encoded(EVERY_BYTE).encode()[:kept], timeout=10)
    assert writer.returncode != 0
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("signal", ["HUP", "INT", "TERM"])
def test_an_interrupted_script_leaves_the_old_content_and_nothing_else(tmp_path: Path, signal: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    writer = start(path)
    new = await_temporary(path)
    assert writer.stdin is not None
    writer.stdin.write(remote.encoded(EVERY_BYTE * 20).encode()[:200_000])
    deadline = time.monotonic() + 10
    while not new.stat().st_size:
        assert time.monotonic() < deadline, "nothing is written"
    # To the group, as the terminal or sshd sends it: to the shell and to what it runs.
    subprocess.run(["kill", f"-{signal}", "--", f"-{writer.pid}"], check=True)
    assert writer.wait(10) != 0
    assert path.read_bytes() == b"old"
    deadline = time.monotonic() + 10
    while list(tmp_path.iterdir()) != [path]:  # the shell that tidies up may end after the one that has started it
        assert time.monotonic() < deadline, "something is left"


@pytest.mark.parametrize("failing", ["mktemp", "chown", "chmod", "base64", "mv"])
def test_a_step_that_fails_leaves_the_old_content_and_fails(tmp_path: Path, failing: str) -> None:
    commands, place = tmp_path / "bin", tmp_path / "place"
    commands.mkdir()
    place.mkdir()
    (commands / failing).write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    (commands / failing).chmod(0o755)
    path = place / "file"
    path.write_bytes(b"old")
    writer = start(path, PATH=f"{commands}:{os.environ['PATH']}")
    _, told = writer.communicate(remote.encoded(b"new").encode(), timeout=10)
    assert writer.returncode != 0
    assert b"no space left" in told
    assert path.read_bytes() == b"old"
    assert list(place.iterdir()) == [path]


def test_a_directory_in_the_way_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    writer = start(tmp_path / "file")
    writer.communicate(remote.encoded(b"new").encode(), timeout=10)
    assert writer.returncode != 0
    assert list((tmp_path / "file").iterdir()) == []


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "file").symlink_to(tmp_path / "theirs")
    put(tmp_path / "file", b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert not (tmp_path / "file").is_symlink()


def test_the_content_is_not_in_the_command() -> None:
    script = remote.write_script("/etc/x", "600")
    assert "hush" not in script
    assert shutil.which("base64")
    assert "hush" not in remote.encoded(b"hush")


class _LostHost:
    """A host whose connection ends in the middle of a command; `told` is what the person at the terminal reads."""

    def __init__(self, ending: Exception | None) -> None:
        self.connector = self
        self.told: list[str] = []
        self.client = _client(is_active=False)
        self._ending = ending

    def run_shell_command(self, *arguments: object, **keywords: object) -> tuple[bool, str]:
        if self._ending:
            raise self._ending
        return False, ""  # as for a command that was killed

    def log_styled(self, text: str, **keywords: object) -> None:
        self.told.append(text)


def _client(is_active: bool) -> paramiko.SSHClient:
    transport = mock.Mock(spec=paramiko.Transport, sock=None)
    transport.is_active.return_value = is_active
    transport.close.side_effect = lambda: transport.is_active.configure_mock(return_value=False)
    client = paramiko.SSHClient()
    client._transport = transport
    return client


LOST = [EOFError(), paramiko.SSHException("SSH session not active"), ConnectionResetError()]


@pytest.mark.parametrize("ending", LOST, ids=[type(ending).__name__ for ending in LOST])
def test_a_lost_connection_fails_this_host_alone_and_is_told_once(ending: Exception) -> None:
    host = _LostHost(ending)
    # paramiko's EOFError may come before it takes the connection for lost.
    host.client = _client(is_active=isinstance(ending, EOFError))
    remote.mind_connection(host)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises((OSError, paramiko.SSHException)):  # which is what pyinfra catches
            host.run_shell_command("true")
    assert host.told == ["the connection is lost: once the host can be reached, run the same command again"]


@pytest.mark.parametrize("is_active", [True, False])
def test_a_command_that_fails_is_told_from_a_connection_that_does(is_active: bool) -> None:
    host = _LostHost(None)
    host.client = _client(is_active)
    remote.mind_connection(host)  # type: ignore[arg-type]
    assert host.run_shell_command("false") == (False, "")
    assert bool(host.told) != is_active


@pytest.mark.parametrize("ending", [None, *LOST], ids=["killed", *(type(ending).__name__ for ending in LOST)])
def test_a_connection_that_is_lost_is_no_judgement(ending: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "connector_arguments", lambda host: {})
    with pytest.raises(remote.ConnectionLostError, match="the connection to the host is lost"):
        remote.refusal(_LostHost(ending), "sh -n")  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [paramiko.SSHException("Timeout opening channel."), BrokenPipeError("Broken pipe")])
def test_a_host_that_does_not_take_a_command_is_not_lost(ending: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "connector_arguments", lambda host: {})
    host = _LostHost(ending)
    host.client = _client(is_active=True)
    with pytest.raises(remote.RemoteError, match="the host rejected the command") as caught:
        remote.run(host, "true")  # type: ignore[arg-type]
    assert not isinstance(caught.value, remote.ConnectionLostError)


@pytest.mark.parametrize(("succeeds", "said"), [(True, None), (False, "no such day")])
def test_what_a_command_says_before_it_fails_is_one(
    succeeds: bool, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "connector_arguments", lambda host: {})
    output = mock.Mock(stderr_lines=["no such day"], stdout_lines=[])
    host = mock.Mock(connector=mock.Mock(client=None))
    host.run_shell_command.return_value = (succeeds, output)
    assert remote.refusal(host, "systemd-analyze calendar …") == said


def test_a_callback_that_loses_the_connection_fails_the_host_in_words() -> None:
    """Of any exception but its own, pyinfra prints a traceback."""
    host = _LostHost(None)

    def ask(state: State, host: Host) -> bool:
        raise remote.RemoteError("the connection to the host is lost")

    with pytest.raises(remote.RemoteError):
        FunctionCommand(ask, (), {}).execute(mock.Mock(), host, {})  # type: ignore[arg-type]
    assert remote.Callback(ask, (), {}).execute(mock.Mock(), host, {}) is False  # type: ignore[arg-type]
    assert host.told == ["the connection to the host is lost"]


def test_every_callback_of_an_operation_is_one_of_these() -> None:
    modules = [path for path in (ROOT / "llm_gateway").rglob("*.py") if path.name != "remote.py"]
    assert any("remote.Callback(" in path.read_text() for path in modules)
    assert [path for path in modules if re.search(r"\bFunctionCommand\(", path.read_text())] == []


@pytest.mark.parametrize(
    "said",
    [
        ["{: Command not found.", "Unmatched '\"'.", "PROJECT: Undefined variable.", "fi: Command not found."],
        ["Illegal variable name.", "Unmatched '''."],
        ["Unmatched '."],  # older ones
    ],
)
def test_a_login_shell_that_reads_no_command_of_several_lines_is_named(said: list[str]) -> None:
    """What tcsh 6.24.13 of Debian 13 said of the script that reads a host."""
    output = mock.Mock(stderr_lines=said, stdout_lines=[])
    host = mock.Mock(connector=mock.Mock(client=None))
    host.run_shell_command.return_value = (False, output)
    with mock.patch.object(remote, "connector_arguments", return_value={}), pytest.raises(remote.RemoteError) as told:
        remote.run(host, "true")
    assert "is csh or tcsh" in str(told.value)
    assert "chsh -s /bin/bash" in str(told.value)
