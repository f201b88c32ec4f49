"""The distribution's packages on a host. A call of apt-get costs seconds, whatever it installs."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import pipes, progress, remote, streams
from llm_gateway.model import shell

_PROGRAM = Path(__file__).with_name("apt_install.sh")
_ALL = re.compile(rb"(\d+) upgraded, (\d+) newly installed")
_DOING = {b"Get:": "fetching package", b"Unpacking ": "unpacking package", b"Setting up ": "setting up package"}
"""How the lines of apt-get and dpkg begin, one for each package, and what they then do with it."""
_PATIENCE_SECONDS = 900.0
"""Of a slow mirror nothing is heard for minutes; a connection that is lost is noticed by TCP."""


def command(packages: Sequence[str], *options: str) -> str:
    """The shell command that installs these packages, quietly; `options` are further ones of `apt-get install`."""
    return f"{program(packages, options)} >/dev/null"


def program(packages: Sequence[str], options: Sequence[str]) -> str:
    """The same, printing what apt-get and dpkg say."""
    return shell.command({"PACKAGES": " ".join(packages), "OPTIONS": " ".join(options)}, _PROGRAM)


@operation()
def install(packages: Sequence[str], then: str = "") -> Generator[FunctionCommand, None, None]:
    """Install packages, telling how far it is; entered only where one is missing.

    Parameters: `then`, a shell command to run behind it.
    """
    yield remote.Callback(_carry_out, (packages, then), {})


def _carry_out(state: State, host: Host, packages: Sequence[str], then: str) -> bool:
    install_now(host, packages)
    if then:
        remote.run(host, then)
    return True


def install_now(host: Host, packages: Sequence[str], *options: str) -> None:
    """Install packages from within a step that runs Python, telling how far it is. Raises RemoteError."""
    if not pipes.can_start(host):
        remote.run(host, command(packages, *options))
        return
    told = Told(progress.Told(host))
    with streams.open_reader(host, program(packages, options), _PATIENCE_SECONDS) as reader:
        while data := reader.read():
            told.add(data)


class Told:
    """What apt-get and dpkg say while they install, as "unpacking package 3 of 27"."""

    def __init__(self, tell: progress.Told) -> None:
        self._tell = tell
        self._rest = b""
        self._all = 0
        self._counts = dict.fromkeys(_DOING, 0)

    def add(self, data: bytes) -> None:
        """Take the next bytes in."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if found := _ALL.match(line):
                self._all = int(found[1]) + int(found[2])
            for start, doing in _DOING.items():
                if self._all and line.startswith(start):
                    self._counts[start] += 1
                    self._tell(f"{doing} {self._counts[start]} of {self._all}")
