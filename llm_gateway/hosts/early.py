"""What a run asks its hosts first, asked while Python still loads pyinfra.

A run keeps how it has read its hosts, by what it was called with. The next run that is called so asks the same at once,
by an `ssh` of its own, and takes the answer if what it would ask then is the same to a byte. That question changes
nothing on a host, takes no lock and holds no secret; pyinfra's own login goes on beside it. Whatever is not as it was
last time, and whatever goes wrong here, leads to the ordinary way without a word.

Nothing of pyinfra is imported here, and nothing that takes long to: `begin` comes before all else.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""How long an answer is awaited."""
MOST = 32
"""How many hosts are asked at once; the others are asked by pyinfra's connection."""
_CHUNK = 1 << 16
_LAST = b"\nend "
"""What the last line of an answer begins with."""
_OF_THE_TERMINAL = ("_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "WINDOWID")
"""Variables that differ between two calls that are the same; so do those that begin as these."""
_OF_THE_LOGIN = ("SSH_", "XDG_SESSION_", "TERM", "DBUS_", "INVOCATION_ID", "JOURNAL_STREAM")


class Asked:
    """A host that is being asked.

    Parameters: `words`, of ssh; `command`, what the host's shell is given; `way`, the address and port that the run is
    going to ask by the host, if it is.
    """

    def __init__(self, words: list[str], command: str, way: tuple[str, int] | None) -> None:
        self.words, self.command, self.way = words, command, way
        self._pipe, written = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*words, command], stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.DEVNULL
            )
        finally:
            os.close(written)
        atexit.register(self.end)

    def lines(self) -> list[str] | None:
        """The answer, once it is there; None where there is none."""
        read, until = bytearray(), time.monotonic() + SECONDS
        # Not by a read that waits: gevent runs what else there is only while select does.
        while select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            if not (data := os.read(self._pipe, _CHUNK)):
                break
            read += data
        self.end()
        return read.decode("utf-8", "surrogateescape").splitlines() if _LAST in read else None

    def end(self) -> None:
        """End it, if it still runs."""
        with contextlib.suppress(OSError):
            self._process.kill()


_asked: dict[str, Asked] = {}
"""The hosts that are being asked, by name."""
_questions: dict[str, dict[str, Any]] = {}
"""What this run asks its hosts first, by name."""


@dataclass(frozen=True)
class _Call:
    """How this process was called: the file of such calls, the salt of its digests, and the digest of the call."""

    path: Path
    salt: str
    digest: str


_call: list[_Call] = []
_inventory: list[str] = []
"""The path of this run's inventory, once it is known."""


def begin(words: Sequence[str]) -> None:
    """Ask each host what the last run that was called so has asked it first.

    Parameters: `words`, all that this process is called with, its own name too.
    """
    _asked.clear()
    _call.clear()
    _inventory.clear()
    try:
        # One file for all that differ in options alone.
        names = [str(Path.cwd()), *(word for word in words if not word.startswith("-"))]
        path = _directory() / hashlib.sha256("\0".join(names).encode()).hexdigest()
        kept = _load(path)
        salt = kept.get("salt") or os.urandom(16).hex()
        _call.append(_Call(path, salt, _digest(salt, [*words], _environment())))
        if kept.get("called") == _called(kept["inventory"]):
            for name, question in islice(kept["questions"].items(), MOST):
                _asked[name] = Asked(question["ssh"], question["command"], question["way"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # no home, nothing kept, a damaged file, no ssh


def of(inventory: str) -> None:
    """Say that this run is one of an inventory. Only such a run is remembered."""
    if _call:
        _inventory[:] = [str(Path(inventory).absolute())]


def find(name: str, ssh: Sequence[str] | None, command: str) -> Asked | None:
    """The host that is being asked just this command by just these words of ssh; None where it is not."""
    asked = _asked.pop(name, None)
    if asked is not None and (asked.words, asked.command) != (ssh, command):
        asked.end()
        return None
    return asked


def note(name: str, ssh: Sequence[str], command: str) -> None:
    """Have the next run that is called like this one ask a host this; once all are noted, `keep` them."""
    _questions[name] = {"ssh": [*ssh], "command": command, "way": None}


def note_way(name: str, address: str, port: int) -> None:
    """Have the next run know at once where a host that is noted is going to be asked for its answers."""
    if name in _questions:
        _questions[name]["way"] = [address, port]


def is_on() -> bool:
    """Whether this run is one that notes what it asks its hosts."""
    return bool(_inventory)


def keep() -> None:
    """Keep what was noted."""
    if not _inventory:
        return
    call, inventory = _call[0], _inventory[0]
    with contextlib.suppress(OSError, ValueError):
        kept = {"salt": call.salt, "called": _called(inventory), "inventory": inventory, "questions": _questions}
        if not _questions:
            call.path.unlink(missing_ok=True)
        elif kept != _load(call.path):
            call.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = call.path.with_name(f".{call.path.name}.{os.getpid()}")
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            written.replace(call.path)


def _directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-gateway" / "asked-first"


def _load(path: Path) -> dict[str, Any]:
    """What is kept; {} where nothing is, or nothing that is whole and of this user alone. Raises OSError."""
    if not path.exists():
        return {}
    stat = path.stat()
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _called(inventory: str) -> str:
    """The digest of all by which the hosts of this run are chosen: the call, and the file of its inventory."""
    file = Path(inventory)
    text = file.read_bytes() if file.is_file() else b""
    return _digest(_call[0].salt, _call[0].digest, inventory, hashlib.sha256(text).hexdigest())


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _environment() -> list[tuple[str, str]]:
    """The variables that an inventory may ask."""
    return sorted(
        (name, value)
        for name, value in os.environ.items()
        if name not in _OF_THE_TERMINAL and not name.startswith(_OF_THE_LOGIN)
    )
