"""What a run asks its hosts first, asked while Python still loads pyinfra.

A run keeps how it has read its hosts, by what it was called with. The next run that is called so asks the same at once,
by an `ssh` of its own, and takes the answer if what it would ask then is the same to a byte. That question changes
nothing on a host, takes no lock and holds no secret; pyinfra's own login goes on beside it. Whatever is not as it was
last time, and whatever goes wrong here, leads to the ordinary way without a word.

Nothing of pyinfra is imported here, and nothing that takes long to.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import secrets
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""How long an answer is awaited."""
_CHUNK = 1 << 16
_LAST = b"\nend "
"""What the last line of an answer begins with."""
_OF_THE_TERMINAL = ("_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "WINDOWID")
"""Variables that differ between two calls that are the same; so do those that begin as these."""
_OF_THE_LOGIN = ("SSH_", "XDG_SESSION_", "TERM", "DBUS_", "INVOCATION_ID", "JOURNAL_STREAM")


class Asked:
    """A host that is being asked.

    Parameters: `words`, of ssh; `command`, what the host's shell is given.
    """

    def __init__(self, words: list[str], command: str) -> None:
        self.words, self.command = words, command
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
_place: list[tuple[Path, str, str]] = []
"""Of this run: the file, and the salt and the digest of what it was called with."""


def begin(words: Sequence[str], inventory: str) -> None:
    """Ask each host what the last run of these words has asked it first.

    Parameters: `words`, all that the run is called with; `inventory`, the path of its inventory, or another name of it.
    """
    _asked.clear()
    _place.clear()
    try:
        path = _directory() / hashlib.sha256("\0".join([str(Path.cwd()), inventory, *words[-1:]]).encode()).hexdigest()
        kept = _load(path)
        salt = kept.get("salt") or secrets.token_hex(16)
        called = _digest(salt, words, inventory)
        _place.append((path, salt, called))
        if kept.get("called") == called:
            for name, question in kept["questions"].items():
                _asked[name] = Asked(question["ssh"], question["command"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # no home, a damaged file, no ssh


def find(name: str, ssh: Sequence[str] | None, command: str) -> Asked | None:
    """The host that is being asked just this command by just these words of ssh; None where it is not."""
    asked = _asked.pop(name, None)
    if asked is not None and (asked.words, asked.command) != (ssh, command):
        asked.end()
        return None
    return asked


def note(name: str, ssh: Sequence[str], command: str) -> None:
    """Have the next run that is called like this one ask a host this; once all are noted, `keep` them."""
    _questions[name] = {"ssh": [*ssh], "command": command}


def is_on() -> bool:
    """Whether this run is one that notes what it asks its hosts."""
    return bool(_place)


def keep() -> None:
    """Keep what was noted."""
    if not _place:
        return
    path, salt, called = _place[0]
    kept = {"salt": salt, "called": called, "questions": _questions}
    with contextlib.suppress(OSError, ValueError):
        if not _questions:
            path.unlink(missing_ok=True)
        elif kept != _load(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = path.with_name(f".{path.name}.{os.getpid()}")
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            written.replace(path)


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


def _digest(salt: str, words: Sequence[str], inventory: str) -> str:
    """Of all by which the hosts are chosen: the words, the inventory's file, and the environment that it may ask."""
    environment = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name not in _OF_THE_TERMINAL and not name.startswith(_OF_THE_LOGIN)
    )
    file = Path(inventory)
    text = file.read_bytes() if file.is_file() else b""
    called = [salt, [*words], inventory, environment, hashlib.sha256(text).hexdigest()]
    return hashlib.sha256(json.dumps(called).encode()).hexdigest()
