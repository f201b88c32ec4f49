"""A database and what belongs to it, brought to a host and checked there, before anything of the gateway is touched."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyinfra.api.host import Host

from gateway import remote, tables
from gateway.backups.archive import DATABASE, Manifest
from gateway.contents.record import FILE as RECORD
from gateway.contents.record import Record
from gateway.restore.archive_members import SourceError, require_sums
from gateway.restore.swap import Staged
from gateway.runs.progress import step
from gateway.secrets import Generated, SecretsError
from gateway.streams import StreamError

if TYPE_CHECKING:
    from gateway.fleet import Member

NEEDED_TABLES = ("users", "channels", "tokens", "options", "abilities")
"""Without these it is not One API's. (Its logs may be kept in another database.)"""
_ROOM = 64 << 20
_SCRIPT = Path(__file__).with_name("staging.sh")


class Source(Protocol):
    """What can be staged."""

    @property
    def title(self) -> str:
        """What it is called."""

    @property
    def size(self) -> int:
        """The bytes that it takes on the host."""

    @property
    def manifest(self) -> Manifest | None:
        """What must be in it, where that is known."""

    def bring(self, host: Host, directory: str) -> None:
        """Put its parts into an empty directory of the host."""


def stage(host: Host, member: Member, source: Source, what: str) -> Staged:
    """Bring a source to the host and check it there. Nothing else on the host is changed, also where that fails.

    Parameters: `what`, words for people under which each step is told ("restore").
    Raises SourceError.
    """
    try:
        step(host, f"{what}: bringing {source.title} into {member.directory}")
        remote.run(host, _script(member, "begin", bytes=str(source.size + source.size // 10 + _ROOM)))
        source.bring(host, f"{member.directory}/incoming.partial")
        step(host, f"{what}: checking what was brought")
        return check(host, member, source.manifest, source.title, what)
    except (SourceError, remote.RemoteError, tables.TablesError, StreamError, OSError) as problem:
        with suppress(remote.RemoteError):  # the next run clears it, too
            remote.run(host, _script(member, "clear"))
        raise SourceError(f"{source.title}: {problem}") from None


def check(host: Host, member: Member, manifest: Manifest | None, title: str, what: str) -> Staged:
    """Look at all that lies in `incoming.partial`, and call it `incoming` where it is whole.

    Parameters: `manifest`, what it has to be, where that is known; `title`, where it comes from.
    Raises SourceError, RemoteError or TablesError.
    """
    database = f"{member.directory}/incoming.partial/{DATABASE}"
    if manifest is not None:
        lines = (line.split(maxsplit=1) for line in remote.run(host, _script(member, "sums")))
        require_sums({name: digest for digest, name in lines}, manifest)
    belongings = dict(line.split(" ", 1) for line in remote.run(host, _script(member, "belongings")))
    if damage := tables.damage(host, database):
        raise SourceError(f"its database is damaged ({damage})")
    counts = tables.counts(host, database)
    _require_gateway(counts, manifest)
    secrets = _decoded(belongings, "secrets.env")
    found = Staged(
        what=what,
        source=title,
        counts=counts,
        generated=_generated(secrets),
        record=Record.parse(_decoded(belongings, RECORD) or ""),
        is_secured="first-start-done" in belongings,
    )
    remote.run(host, _script(member, "finish"))
    return found


def _require_gateway(counts: Mapping[str, int], manifest: Manifest | None) -> None:
    if missing := [name for name in NEEDED_TABLES if name not in counts]:
        raise SourceError(f"its database has no table {', '.join(missing)}: it is not One API's")
    if not counts["users"]:
        raise SourceError("its database has no user: it is empty")
    if manifest is not None and dict(counts) != dict(manifest.tables):
        raise SourceError("its database does not hold the rows that its manifest tells of: it is damaged")


def _generated(text: str | None) -> Generated | None:
    try:
        return None if text is None else Generated.read(text)
    except SecretsError as problem:
        raise SourceError(
            f"its secrets.env is damaged ({problem}): restore its one-api.db alone (--data backup=…/one-api.db)"
        ) from None


def _decoded(belongings: Mapping[str, str], name: str) -> str | None:
    return base64.b64decode(belongings[name]).decode("utf-8", "replace") if name in belongings else None


def _script(member: Member, function: str, **values: str) -> str:
    known = {"directory": member.directory, **values}
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in known.items())
    return f"{assignments}{_SCRIPT.read_text(encoding='utf-8')}\n{function}\n"
