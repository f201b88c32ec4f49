"""Bytes to and from a host, here pyinfra's @local: whole or not at all, with the reason, and never all in memory."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host

from llm_gateway.hosts import streams
from llm_gateway.hosts.remote import RemoteError
from llm_gateway.hosts.streams import StreamError

CONTENT = os.urandom(1_000_003)


@pytest.fixture
def host() -> Host:
    """This machine, as pyinfra sees it."""
    state = State(Inventory((["@local"], {})), Config())
    connect_all(state)
    found: Host = state.inventory.get_host("@local")
    return found


@contextmanager
def _full_disk() -> Iterator[None]:
    """As if the disk were full after 100,000 bytes; only for a moment, since pytest writes its own output, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_download_is_whole_and_its_owners_alone(host: Host, tmp_path: Path) -> None:
    (tmp_path / "there it's").write_bytes(CONTENT)
    here = tmp_path / "new" / "directory" / "file"
    assert streams.download(host, str(tmp_path / "there it's"), here) == hashlib.sha256(CONTENT).hexdigest()
    assert here.read_bytes() == CONTENT
    assert stat.S_IMODE(here.stat().st_mode) == 0o600
    assert _names(here.parent) == ["file"]


def test_a_download_of_nothing_leaves_what_was_there(host: Host, tmp_path: Path) -> None:
    here = tmp_path / "file"
    here.write_bytes(b"before")
    with pytest.raises(RemoteError, match="missing"):
        streams.download(host, str(tmp_path / "missing"), here)
    assert here.read_bytes() == b"before"
    assert _names(tmp_path) == ["file"]


def test_a_download_onto_a_full_disk_leaves_nothing_and_says_so(host: Host, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here" / "file"
    there.write_bytes(CONTENT)
    told = "cannot be written on this machine: File too large; nothing of it was kept"
    with _full_disk(), pytest.raises(StreamError, match=told):
        streams.download(host, str(there), here)
    assert _names(here.parent) == []


def test_a_download_uses_what_a_killed_one_left_and_not_what_a_living_one_writes(host: Host, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "file"
    there.write_bytes(b"new")
    left = tmp_path / ".file.partial"
    left.write_bytes(b"longer than what comes now")
    left.chmod(0o644)
    script = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(left)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdin
        other.stdout.readline()
        with pytest.raises(StreamError, match="another run is writing"):
            streams.download(host, str(there), here)
        assert left.read_bytes() == b"longer than what comes now"
        other.stdin.close()
    streams.download(host, str(there), here)
    assert here.read_bytes() == b"new"
    assert stat.S_IMODE(here.stat().st_mode) == 0o600


def test_an_upload_is_whole_and_roots_alone(host: Host, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there it's"
    here.write_bytes(CONTENT)
    assert streams.upload(host, here, str(there)) == hashlib.sha256(CONTENT).hexdigest()
    assert there.read_bytes() == CONTENT
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    assert _names(tmp_path) == ["here", "there it's"]


def test_an_upload_that_is_cut_off_leaves_nothing(host: Host, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_bytes(CONTENT)
    command = streams._receive(str(there), hashlib.sha256(CONTENT).hexdigest())
    # What the host sees when this run is killed: the end of the input, too early.
    with (
        pytest.raises(StreamError, match="the transfer broke off: run again"),
        streams.open_writer(host, command) as writer,
    ):
        writer.write(CONTENT[:-1])
    assert _names(tmp_path) == ["here"]


def test_an_upload_into_a_missing_directory_says_so(host: Host, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.write_bytes(CONTENT * 10)
    with pytest.raises(StreamError, match=r"missing.*(nonexistent|No such file)"):
        streams.upload(host, here, str(tmp_path / "missing" / "there"))


def test_a_reader_ends_with_the_commands_own_words_where_it_failed(host: Host) -> None:
    with (
        pytest.raises(StreamError, match=r"^out of luck$"),
        streams.open_reader(host, "echo half; echo out of luck >&2; exit 3") as reader,
    ):
        while reader.read():
            pass


def test_a_reader_may_stop_early(host: Host, tmp_path: Path) -> None:
    with streams.open_reader(host, f"echo $$ > {tmp_path}/pid; exec cat /dev/zero") as reader:
        assert reader.read(5) == bytes(5)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/fd/1").exists():  # it ends when it next writes
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_much_on_stderr_stops_nothing(host: Host) -> None:
    command = "head -c 9000000 /dev/zero | tr '\\0' x >&2; echo done"
    with streams.open_reader(host, command) as reader:
        assert reader.read() == b"done\n"
        assert reader.read() == b""


def test_a_writers_command_may_answer(host: Host) -> None:
    with streams.open_writer(host, "sha256sum") as writer:
        writer.write(CONTENT)
    assert writer.output.split()[0] == hashlib.sha256(CONTENT).hexdigest()


def test_a_writer_tells_why_its_command_ended_early(host: Host) -> None:
    with (
        pytest.raises(StreamError, match=r"^no room$"),
        streams.open_writer(host, "head -c 10 >/dev/null; echo no room >&2; exit 1") as writer,
    ):
        for _ in range(100):
            writer.write(CONTENT)


def test_a_block_that_fails_keeps_its_own_reason(host: Host) -> None:
    with pytest.raises(KeyError, match="mine"), streams.open_writer(host, "cat >/dev/null") as writer:
        writer.write(b"something")
        raise KeyError("mine")


@pytest.mark.parametrize("prelude", ["", "from gevent import monkey; monkey.patch_all()"])
def test_300_mb_pass_through_a_few(prelude: str) -> None:
    """In pyinfra's own process all sockets, threads and processes are gevent's."""
    script = f"""
{prelude}
import resource
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from llm_gateway.hosts import streams
state = State(Inventory((["@local"], {{}})), Config())
connect_all(state)
host = state.inventory.get_host("@local")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
moved = 0
with streams.open_reader(host, "head -c 300000000 /dev/zero") as reader:
    with streams.open_writer(host, "wc -c") as writer:
        while data := reader.read():
            writer.write(data)
            moved += len(data)
print(moved, writer.output, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    moved, counted, grown = map(int, done.stdout.split())
    assert moved == counted == 300_000_000
    assert grown < 32 * 1024, f"{grown} KiB"
