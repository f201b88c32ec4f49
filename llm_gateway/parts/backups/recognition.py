"""Whose a database is, by its tables, columns and accounts: One API's alone is restored, taken over or moved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from llm_gateway.flavours import known
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.hosts import tables
from llm_gateway.hosts.tables import Account, Schema, SQLiteStore
from llm_gateway.model.layout import DATABASE
from llm_gateway.parts.backups.archive_members import SourceError

NEEDED_TABLES = ("users", "channels", "tokens", "options", "abilities")
"""Without these it is not One API's. (Its logs may be kept in another database.)"""
_ALL_TABLES = (*NEEDED_TABLES, "logs", "redemptions")
NEW_API_COLUMNS = ("model_limits", "deleted_at")
"""Of the table `tokens`: new-api has them, and One API v0.5 to v0.6.11-preview do not."""
(_SET_UPS,) = known.NEW_API.own_tables
_TEXT_OF_NEW_API = f"CREATE TABLE .?{_SET_UPS}\\>|CREATE TABLE .?tokens\\>.? ?[(][^;]*({'|'.join(NEW_API_COLUMNS)})"
"""As it stands in the file, for grep -E."""
_OF_FORKS = ("telegram_menus", "user_groups")
"""Tables of one-hub and of done-hub (model/main.go, InitDB), which keep limits of tokens in a column of their own."""
Fix = Callable[[str], str]
"""Makes the command that runs a statement."""
_FIRST = 1
_ROOT, _ENABLED = 100, 1
"""One API's numbers for the role and the status; it makes such an account only in a database without any."""


@dataclass(frozen=True)
class Found:
    """What a database on a host is: why it cannot be used, or None; and what there is to say of it besides."""

    problem: str | None
    notes: tuple[str, ...] = ()


def require_tables(counts: Mapping[str, int], flavour: Flavour) -> None:
    """Check the tables. Raises SourceError.

    Parameters: `counts`, the rows of each; `flavour`, what is to serve it.
    """
    _require_own(counts, flavour)
    if missing := [name for name in NEEDED_TABLES if name not in counts]:
        raise SourceError(f"its database has no table {', '.join(missing)}: it is not {flavour.name}'s")
    if not counts["users"]:
        raise SourceError("its database has no user: it is empty")


def require_usable(schema: Schema, file: str | None = None) -> None:
    """Check that a gateway knows the limits of its tokens, and that somebody can administer it. Raises SourceError.

    Parameters: `file`, its path where it is fixed in place; else a copy of it is, which is then to be named.
    """
    if schema.encoding != "UTF-8":  # which our SQL, and One API's own, is written for
        raise SourceError(
            f"its texts are in {schema.encoding}, where a gateway has UTF-8; a copy of it in UTF-8 is made by"
            f" `{tables.command(file or 'COPY', '.dump')} | {tables.command(DATABASE, '.read /dev/stdin')}`"
        )
    if views := [name for name in schema.views if name in _ALL_TABLES]:
        raise SourceError(f"its {', '.join(views)} is a view, where a gateway makes a table, and does not start")
    found = [name for name in NEW_API_COLUMNS if name in schema.columns.get("tokens", ())]
    if found and _SET_UPS not in schema.columns:
        raise _new_api(f"its tokens have {', '.join(found)}")
    if _SET_UPS in schema.columns and schema.users and not schema.administrators:
        raise SourceError(
            "its new-api is half set up: somebody has registered, and nobody has made its root, who would not have the"
            " number 1 any more, as which this deployment asks: start without it"
        )
    if schema.users and not any(map(_is_root, schema.administrators)):
        there = "; ".join(map(_told, schema.administrators)) or "none of its users is an administrator"
        fix = partial(tables.command, file) if file else None
        raise SourceError(
            f"nobody can administer its database: it has no enabled account with role {_ROOT} ({there}), and a gateway"
            f" makes one only if there is no user; {_make_root(schema, fix)}"
        )


def require_number(schema: Schema, flavour: Flavour) -> None:
    """Check that root has the number as which it is asked; One API asks for none. Raises SourceError."""
    numbers = [each.identity for each in schema.administrators if _is_root(each)]
    if flavour.own_tables and numbers and _FIRST not in numbers:
        raise SourceError(
            f"its root has the number {numbers[0]}, and this deployment asks {flavour.name} as number {_FIRST}:"
            " somebody registered before it was set up; start without it, and declare its channels and tokens"
        )


def without_root(schema: Schema, fix: Fix | None = None) -> str | None:
    """Why nobody can log in as root, by whatever password; None where somebody may.

    Parameters: `fix`, what makes the command of a statement, where that is run in place; else a copy is to be fixed.
    """
    if not schema.users or any(each.name == "root" and _is_root(each) for each in schema.administrators):
        return None
    there = "; ".join(map(_told, schema.administrators))
    return f"its database has no enabled account root ({there}); {_make_root(schema, fix)}"


def notes(schema: Schema) -> Iterator[str]:
    """What there is to say of a database that can be used."""
    if schema.triggers:
        named = [f"{_plain(name)} on {_plain(table)}" for name, table in schema.triggers]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        first = schema.triggers[0][0]
        dropped = f'; `DROP TRIGGER "{first}"` removes one' if _plain(first) == first else ""
        yield (
            f"it has triggers, which no gateway makes, and which change or delete rows while it serves:"
            f" {', '.join(named[:3])}{more}{dropped}"
        )


def _require_own(tables_: Iterable[str], flavour: Flavour, is_carried: bool = False) -> None:
    """That the database is of this software, whose limits another does not know. Raises SourceError."""
    there = {*tables_}
    if problem := of_a_fork(there):
        raise SourceError(problem)
    if _SET_UPS in there and not flavour.own_tables:
        raise _new_api(f"it has the table {_SET_UPS}")
    if (missing := sorted(flavour.own_tables - there)) and not is_carried:
        raise SourceError(
            f"its database has no table {', '.join(missing)}: it is not {flavour.name}'s. One API's is moved to it by"
            " gateway_image on a host that serves it, or by deploys/migrate.py, which carry the limits of its tokens"
        )


def of_a_fork(tables_: Iterable[str]) -> str | None:
    """Why a database with these tables is of a gateway that is neither One API nor new-api; None where it may be."""
    found = sorted({*_OF_FORKS}.intersection(tables_))
    if not found:
        return None
    return (
        f"its database is of one-hub, done-hub or a gateway like them (it has the table {found[0]}), the limits of"
        " whose tokens neither One API nor new-api knows: start without it, and declare its channels and tokens"
    )


def look(store: SQLiteStore, flavour: Flavour, *, is_carried: bool = False) -> Found:
    """Look at a database that is to be taken over; one that is empty, or that nobody has begun to use, is
    left to the gateway. Nothing is changed.

    Parameters: `is_carried`, whether one of One API is brought to this software, and not taken as it is.
    """
    try:
        schema = store.schema()
        if schema.columns and not {*NEEDED_TABLES} & {*schema.columns}:
            raise SourceError(f"it is not {flavour.name}'s: it has the tables {', '.join(list(schema.columns)[:5])}")
        if schema.columns:
            _require_own(schema.columns, flavour, is_carried)
        require_usable(schema, store.file)
        require_number(schema, flavour)
    except (tables.TablesError, SourceError) as problem:
        return Found(str(problem) if isinstance(problem, tables.TablesError) else f"{store.file}: {problem}")
    return Found(None, tuple(f"{store.file}: {note}" for note in notes(schema)))


def glimpse(store: SQLiteStore, flavour: Flavour, *, is_carried: bool = False) -> Found:
    """The same where a host has no program yet that reads a database: by the texts of its tables alone, which may also
    be left over from others. Raises RemoteError.
    """
    count = f"LC_ALL=C grep -acE {shlex.quote(_TEXT_OF_NEW_API)} {shlex.quote(store.file)} || [ $? = 1 ]"
    is_found = bool(store.run(count)[-1].strip("0"))
    if is_found == bool(flavour.own_tables) or (is_carried and not is_found):
        note = f"{store.file} is looked at once sqlite3 is installed, before the gateway that serves it is stopped"
        return Found(None, (note,))
    if flavour.own_tables:
        return Found(
            f"{store.file} seems to be no database of {flavour.name}; where it is one, install sqlite3 on the host"
            " (apt-get install sqlite3) and run again, which looks closer"
        )
    return Found(
        f"{store.file} seems to be new-api's, or of a gateway like it, whose limits One API does not know; where it is"
        " not, install sqlite3 on the host (apt-get install sqlite3) and run again, which looks closer"
    )


def _is_root(account: Account) -> bool:
    return account.role == _ROOT and account.status == _ENABLED


def _told(account: Account) -> str:
    state = "" if account.status == _ENABLED else f", status {account.status}"
    return f"{_plain(account.name)} has role {account.role}{state}"


def _make_root(schema: Schema, fix: Fix | None) -> str:
    """The command that makes root of its first administrator."""
    chosen = next(iter(sorted(schema.administrators, key=lambda each: each.name != "root")), None)
    where = f"id = {chosen.identity}" if chosen else "id = (SELECT min(id) FROM users)"
    statement = f"UPDATE users SET username = 'root', role = {_ROOT}, status = {_ENABLED} WHERE {where}"  # noqa: S608
    command = f"`{fix(statement) if fix else tables.command('COPY', statement)}`"
    return f"{command} gives it one" if fix else f"on a copy of it, {command} gives it one: name that"


def _plain(name: str) -> str:
    """A name as it may stand among words: whoever has broken into the gateway may have made it."""
    return name if name.isprintable() and '"' not in name and len(name) <= 60 else repr(name[:60])


def _new_api(sign: str) -> SourceError:
    return SourceError(
        f"its database is new-api's, or of a gateway like it ({sign}), whose limits One API does not know: tokens"
        " that were limited or deleted there would be unlimited, and answer again, here;"
        " use a copy of the database from before that"
    )
