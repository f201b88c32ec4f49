"""A database and what belongs to it, brought to a host and checked there, before anything of the gateway is touched."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pyinfra.api.host import Host

from llm_gateway.hosts import remote, tables
from llm_gateway.hosts.postgresql import PostgreSQLStore, counts_of_dump
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.streams import StreamError
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated, SecretsError
from llm_gateway.model import layout
from llm_gateway.model.layout import APPLIED_KEYS, DATABASE
from llm_gateway.model.shell import program
from llm_gateway.parts import database, first_start
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.backups.archive import Manifest
from llm_gateway.parts.backups.archive_members import SourceError, require_sums
from llm_gateway.tasks.swap import Staged

_FAILURES = (SourceError, database.DatabaseError, remote.RemoteError, tables.TablesError, StreamError, OSError)
_ROOM = 64 << 20
_SCRIPT = Path(__file__).with_name("staging.sh")
_CONVERT = Path(__file__).with_name("convert.sh")


class Source(Protocol):
    """What can be staged."""

    @property
    def title(self) -> str:
        """What it is called."""

    @property
    def place(self) -> str:
        """Where it lies, in words that follow its title."""

    @property
    def size(self) -> int:
        """The bytes that it takes on the host."""

    @property
    def manifest(self) -> Manifest | None:
        """What must be in it, where it is a backup of ours."""

    @property
    def made_at(self) -> datetime:
        """When it was made, or last changed."""

    @property
    def tables(self) -> Mapping[str, int]:
        """The rows of each table, as they were shown."""

    @property
    def is_dump(self) -> bool:
        """Whether it is of a PostgreSQL."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of it."""

    def bring(self, host: Host, directory: str) -> None:
        """Put its parts into an empty directory of the host."""


def stage(host: Host, node: Node, source: Source, what: str) -> Staged:
    """Bring a source to the host and check it there. Nothing else on the host is changed, also where that fails.

    Parameters: `what`, words for people under which each step is told ("restore").
    Raises SourceError.
    """
    try:
        step(host, f"{what}: bringing {source.title} into {node.directory}")
        remote.run(host, _script(node, "begin", bytes=str(source.size + source.size // 10 + _ROOM)))
        source.bring(host, f"{node.directory}/incoming.partial")
        step(host, f"{what}: checking what was brought")
        belongings = _belongings(host, node, source)
        is_dump, is_postgresql = source.is_dump, isinstance(node.gateway.store, PostgreSQLStore)
        if is_dump and is_postgresql:
            return _check_dump(host, node, source, belongings)
        if is_dump:
            step(host, f"{what}: making a SQLite file of it")
            remote.run(host, _conversion(node, "to_file"))
        return check(host, node, source, belongings, what)
    except _FAILURES as problem:
        with suppress(remote.RemoteError):  # the next run clears it, too
            remote.run(host, _script(node, "clear"))
        raise SourceError(f"{source.title}: {problem}") from None


def check(host: Host, node: Node, source: Source, belongings: Mapping[str, str], what: str) -> Staged:
    """Look at a file that lies in `incoming.partial`, and call that `incoming` where it is whole and can be served.

    For a gateway on a PostgreSQL it is made a dump. Raises SourceError, DatabaseError, RemoteError or TablesError.
    """
    store = SQLiteStore(host, f"{node.directory}/incoming.partial/{DATABASE}")
    verdict = store.examine()
    if verdict.damage:
        raise SourceError(f"its database is damaged ({verdict.damage}): take another backup")
    for odd, fix in verdict.odd:
        remote.tell(
            host,
            f"its database is inconsistent: {odd}. Fix, once it serves: {tables.fix_command(node.directory, fix)}",
        )
    counts = store.counts()
    recognition.require_tables(counts, node.flavour)
    schema = store.schema()
    recognition.require_usable(schema)
    recognition.require_number(schema, node.flavour)
    _require_told(counts, source.tables)
    for note in recognition.notes(schema):
        if note not in source.notes:  # which were told already
            remote.tell(host, note)
    found = _staged(counts, belongings)
    _require_access(node, found)
    if isinstance(node.gateway.store, PostgreSQLStore):
        step(host, f"{what}: making a dump for {node.gateway.store.name} of it")
        remote.run(host, _conversion(node, "to_dump"))
        made = counts_of_dump(host, f"{node.directory}/incoming.partial/{layout.DUMP}")
        if lost := tables.lost({name: count for name, count in counts.items() if count}, made):
            raise SourceError(f"not all of its rows are in the dump that was made of it: {'; '.join(lost)}")
        found = replace(found, counts=made)
    remote.run(host, _script(node, "finish"))
    return found


def _conversion(node: Node, function: str) -> str:
    store = node.gateway.store
    service = store.service if isinstance(store, PostgreSQLStore) else ""
    return program(
        {"directory": node.directory, "service": service, "claim": layout.CLAIM_TABLE}, _CONVERT, call=function
    )


def _belongings(host: Host, node: Node, source: Source) -> dict[str, str]:
    """What was brought beside the database, once all has the sums that it should have."""
    if source.manifest is not None:
        lines = (line.split(maxsplit=1) for line in remote.run(host, _script(node, "sums")))
        require_sums({name: digest for digest, name in lines}, source.manifest)
    return dict(line.split(" ", 1) for line in remote.run(host, _script(node, "belongings")))


def _staged(counts: Mapping[str, int], belongings: Mapping[str, str]) -> Staged:
    return Staged(
        counts=counts,
        generated=_generated(_decoded(belongings, layout.SECRETS)),
        record=Record.parse(_decoded(belongings, APPLIED_KEYS) or ""),
        is_secured=layout.FIRST_START_DONE in belongings,
    )


def _check_dump(host: Host, node: Node, source: Source, belongings: Mapping[str, str]) -> Staged:
    """As `check`, of a dump: it is read to its end, and loaded once the gateway stands still."""
    dump = f"{node.directory}/incoming.partial/{layout.DUMP}"
    counts = counts_of_dump(host, dump)
    recognition.require_tables(counts, node.flavour)
    _require_told(counts, source.tables)
    generated = _generated(_decoded(belongings, layout.SECRETS)) or node.gateway.generated
    if not remote.run(host, _script(node, "tell_whether_dumped"), f"{generated.access_token}\n"):
        raise SourceError(
            "its database knows another access token than its secrets.env: take another backup, or load it by hand, as"
            " docs/postgresql.md says"
        )
    (schema,) = node.gateway.store.ask("SELECT current_schema();\n")
    if strangers := [name for name in remote.run(host, _script(node, "schemas")) if name != schema]:
        raise SourceError(
            f"its tables are in the schema {strangers[0]}, and those of {node.gateway.store.name} in {schema}: name a"
            " database whose role makes its tables there"
        )
    remote.run(host, _script(node, "finish"))
    return _staged(counts, belongings)


def _require_told(counts: Mapping[str, int], told: Mapping[str, int]) -> None:
    if differing := [name for name, count in told.items() if counts.get(name) != count]:
        name = differing[0]
        raise SourceError(
            f"its database does not hold the rows that were told ({name!r}: {counts.get(name)}, not {told[name]}):"
            " run again; if it is a backup and happens again, take another one"
        )


def _require_access(node: Node, found: Staged) -> None:
    """Before a gateway is stopped for it: one that nobody could administer would be put back out again."""
    generated = found.generated or node.gateway.generated
    passwords = [] if found.is_secured else first_start.root_passwords(node, generated)
    store = SQLiteStore(node.host, f"{node.directory}/incoming.partial/{DATABASE}")
    if database.root_access(node.gateway, store.file, generated.access_token, passwords) != "neither":
        return
    if found.is_secured:
        raise SourceError(
            "its database knows another access token than its secrets.env: restore its one-api.db alone (--data"
            f" backup=…/one-api.db), with root's password in `export {ROOT_PASSWORD}=…`"
        )
    if problem := recognition.without_root(store.schema()):
        raise SourceError(problem)
    raise SourceError(
        f"its database knows another root password; export {ROOT_PASSWORD}=… in the shell that runs pyinfra, and run"
        " again"
    )


def _generated(text: str | None) -> Generated | None:
    try:
        return None if text is None else Generated.read(text)
    except SecretsError as problem:
        raise SourceError(
            f"its secrets.env is damaged ({problem}): restore its one-api.db alone (--data backup=…/one-api.db)"
        ) from None


def _decoded(belongings: Mapping[str, str], name: str) -> str | None:
    return base64.b64decode(belongings[name]).decode("utf-8", "replace") if name in belongings else None


def _script(node: Node, function: str, **values: str) -> str:
    return program({"directory": node.directory, **values}, _SCRIPT, call=function)
