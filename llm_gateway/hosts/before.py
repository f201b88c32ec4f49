"""What stood where the deployment writes among the things of others, noted before its first write there.

`deploys/remove.py` gives it back. A copy of a content is kept where the content matters; here are mode, owner, and
which of the directories above were there. Only root reads it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_gateway.model import layout, shell

_SCRIPT = Path(__file__).with_name("before.sh")
CONTENT = ".content"
OURS = ".ours"


@dataclass(frozen=True)
class Before:
    """A path as it was: `mode` in octal digits and `owner` as "uid:gid", or both None where nothing was there.

    `nearest` is the lowest directory above it that was there.
    """

    mode: str | None
    owner: str | None
    nearest: str


def note(path: str) -> str:
    """A command for root that notes, once, how a path is. It reads no standard input."""
    return shell.command({}, _SCRIPT, call=shlex.join(["note_before", path, place_of(path)]))


def keep(path: str) -> str:
    """As `note`, with a copy of the content; the copy first, so that a note without one says that nothing was there."""
    return shell.command({}, _SCRIPT, call=shlex.join(["keep_before", path, place_of(path), content_of(path)]))


def answers() -> str:
    """A command that prints all notes: three lines each."""
    return f"find {layout.BEFORE} -type f ! -name '*.*' -exec cat {{}} + 2>/dev/null"


def content_of(path: str) -> str:
    """The path of the copy that `keep` made."""
    return place_of(path) + CONTENT


def ours_of(path: str) -> str:
    """The path of a record of what the deployment put into it, for a file that others write, too."""
    return place_of(path) + OURS


def read(lines: Iterable[str]) -> Mapping[str, Before]:
    """What `answers` printed, by path."""
    found = [line for line in lines if line]
    notes = zip(found[::3], found[1::3], found[2::3], strict=False)
    return {path: _before(stat, nearest) for stat, nearest, path in notes}


def _before(stat: str, nearest: str) -> Before:
    mode, _, owner = stat.partition(" ")
    return Before(None, None, nearest) if stat == "none" else Before(mode, owner, nearest)


def place_of(path: str) -> str:
    """Named after the path's digest, since a path may hold any character."""
    return f"{layout.BEFORE}/{hashlib.sha256(path.encode()).hexdigest()[:16]}"
