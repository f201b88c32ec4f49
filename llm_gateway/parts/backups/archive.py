"""What a backup is, seen from the machine that runs pyinfra: its name, its manifest, and how the last one ended.

`make-backup` writes them on the host: gateway-YYYYmmddTHHMMSSZ.tar.gz, of which manifest.json is the first member.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_gateway.model import layout
from llm_gateway.model.layout import DATABASE, DUMP, Role

FORMAT = 1
NAME = re.compile(r"gateway-[0-9]{8}T[0-9]{6}Z\.tar\.gz")
MANIFEST = "manifest.json"
_MEMBERS = frozenset(posixpath.basename(file.path) for file in layout.FILES if Role.BACKED_UP in file.roles)
"""Those that are there where the gateway has them, beside the database."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ManifestError(ValueError):
    """This is no manifest that can be used; the text says why and what fixes it."""


@dataclass(frozen=True)
class Part:
    """A member of an archive: its bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is in an archive and where it comes from."""

    made_at: datetime
    host: str
    reason: str
    image_reference: str
    image_id: str
    tables: Mapping[str, int]
    """The rows of each table."""
    members: Mapping[str, Part]
    tiktoken: Mapping[str, str]
    """The SHA-256 of each file of the tiktoken cache, which is not in the archive."""
    versions: Mapping[str, str]

    @property
    def is_dump(self) -> bool:
        """Whether it is a backup of a PostgreSQL."""
        return DUMP in self.members

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Read manifest.json. Raises ManifestError."""
        try:
            found = json.loads(text)
            made_by_newer = found["format"] > FORMAT
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ManifestError(f"its {MANIFEST} cannot be read: it is damaged, or not a backup of ours") from None
        if made_by_newer:
            raise ManifestError(
                f"it was made by a newer version of this project (format {found['format']}, this one knows {FORMAT}):"
                " update this checkout (git pull) and run again"
            )
        try:
            return cls._of(found)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise ManifestError(f"its {MANIFEST} is damaged ({problem})") from None

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Manifest:
        members = {_known(name): _part(entry) for name, entry in found["members"].items()}
        if len({DATABASE, DUMP} & members.keys()) != 1:
            raise ValueError(f"it names no {DATABASE} and no {DUMP}, or both")
        return cls(
            made_at=_moment(found["made_at"]),
            host=str(found["host"]),
            reason=str(found["reason"]),
            image_reference=str(found["image"]["reference"]),
            image_id=str(found["image"]["id"]),
            tables={str(name): _count(rows) for name, rows in found["tables"].items()},
            members=members,
            tiktoken={str(name): str(digest) for name, digest in found["tiktoken"].items()},
            versions={str(name): str(version) for name, version in found["versions"].items()},
        )


@dataclass(frozen=True)
class Outcome:
    """How the last backup ended, as backups/last.json tells it."""

    at: datetime
    ok: bool
    reason: str
    file: str
    """Its name in backups/; "" where there is none. It may be there although `ok` is not: only the hook failed."""
    size: int
    seconds: float
    locked_seconds: float
    """How long the gateway could not write, at most: the time of the copy, with the wait for its turn."""
    error: str
    odd: str = ""
    """What is wrong with the database although every row of it can be read, with what fixes it; "" where nothing is."""

    @classmethod
    def parse(cls, text: str) -> Outcome | None:
        """Read last.json; None where there is none that can be read.

        Its first line counts: on a full disk a shorter text may be written over a longer one.
        """
        try:
            found = json.loads(text.strip().splitlines()[0])
            return cls(
                at=_moment(found["at"]),
                ok=bool(found["ok"]),
                reason=str(found["reason"]),
                file=str(found["file"]),
                size=_count(found["size"]),
                seconds=float(found["seconds"]),
                locked_seconds=float(found["locked_seconds"]),
                error=str(found["error"]),
                odd=str(found.get("odd", "")),  # earlier versions did not say
            )
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            return None


def newest(names: Iterable[str]) -> str | None:
    """The newest backup among the names of files; None where there is none. Each is later than those before it."""
    return max((name for name in names if NAME.fullmatch(name)), default=None)


def made_at(name: str) -> datetime:
    """When a backup was made, by its name. Raises ValueError for a name that is no backup's."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name} is not the name of a backup")
    return datetime.strptime(name, "gateway-%Y%m%dT%H%M%SZ.tar.gz").replace(tzinfo=UTC)


def _moment(text: Any) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _count(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is not a count")
    return number


def _known(name: str) -> str:
    if name not in (DATABASE, DUMP, *_MEMBERS):
        raise ValueError(f"it names an unknown member {name!r}")
    return name


def _part(entry: Mapping[str, Any]) -> Part:
    if not _DIGEST.fullmatch(entry["sha256"]):
        raise ValueError(f"{entry['sha256']!r} is not a SHA-256")
    return Part(_count(entry["size"]), entry["sha256"])
