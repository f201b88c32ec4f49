"""What of a database another gateway software has no counterpart for, and how the rest is brought to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why rows of a table cannot be carried over.

    Args:
        table: that they are in, as One API calls it.
        where: the condition in SQL.
        why: as it is told of one, after its name.
        instead: what becomes of one where that is confirmed; "" where it cannot be.
        update: what does that, the columns of an UPDATE; "" where nothing has to be done.
        name: the column that a person knows it by.
    """

    table: str
    where: str
    why: str
    instead: str
    update: str = ""
    name: str = "name"


@dataclass(frozen=True)
class Arrival:
    """How a database of another software is made to mean the same to this one, which opens it.

    Args:
        reasons: what cannot be carried.
        statements: what a transaction has to do once the software has added its columns; by the texts of options that
            it needs.
        tokens: SQL for the tokens of the other's schema, those first that are limited or deleted: hex of the name, of
            the key, and of the networks with blanks between.
        told: what that does, for a person.
        loses: what a person has to know of this way besides; "" for nothing.
    """

    reasons: tuple[Reason, ...]
    statements: Callable[[Mapping[str, str]], str]
    tokens: str
    told: str
    loses: str = ""

    @property
    def finds(self) -> str:
        """SQL for what cannot be carried, a line each for `refusals`. For the other's schema; changes nothing."""
        return "".join(
            f"SELECT {number}, hex(coalesce({each.name}, '')) FROM {each.table} WHERE {each.where};\n"  # noqa: S608
            for number, each in enumerate(self.reasons)
        )

    def refusals(self, lines: Iterable[str], confirmed: Iterable[str] = ()) -> Iterator[str]:
        """What `finds` has found and nobody has confirmed, in words.

        Args:
            lines: of `finds`.
            confirmed: names of what may be lost.
        """
        names = {*confirmed}
        for reason, name in self._found(lines):
            if not reason.instead:
                yield _told(reason, name)
            elif name not in names:
                yield f"{_told(reason, name)}. Confirmed, it {reason.instead}"

    def losses(self, lines: Iterable[str], confirmed: Iterable[str]) -> Iterator[str]:
        """What becomes of what may be lost, in words; parameters as above."""
        names = {*confirmed}
        for reason, name in self._found(lines):
            if reason.instead and name in names:
                yield f"{_told(reason, name)}: it {reason.instead}"

    def unconfirmed(self, lines: Iterable[str], confirmed: Iterable[str]) -> list[str]:
        """The names that would have to be confirmed besides."""
        names = {*confirmed}
        found = (name for reason, name in self._found(lines) if reason.instead)
        return sorted({name for name in found if name not in names})

    def transaction(self, options: Mapping[str, str]) -> str:
        """All that a transaction has to do. What is newer than a confirmation is dealt with alike."""
        updates = (
            f"UPDATE {each.table} SET {each.update} WHERE {each.where};"  # noqa: S608
            for each in self.reasons
            if each.update
        )
        switched_off = (
            "UPDATE abilities SET enabled = 0 WHERE channel_id IN (SELECT id FROM channels WHERE status <> 1);"
        )
        return "\n".join((*updates, switched_off, self.statements(options), ""))

    def _found(self, lines: Iterable[str]) -> Iterator[tuple[Reason, str]]:
        for line in lines:
            number, _, name = line.partition("|")
            yield self.reasons[int(number)], bytes.fromhex(name).decode(errors="replace")


def _told(reason: Reason, name: str) -> str:
    return f"{reason.table.removesuffix('s')} {name!r}: {reason.why}"


def set_options(options: Mapping[str, str]) -> Iterator[str]:
    """Statements for options that nobody has set yet, by their names."""
    for name, text in options.items():
        yield f"INSERT INTO options (key, value) VALUES ('{name}', '{text}') ON CONFLICT DO NOTHING;"  # noqa: S608
