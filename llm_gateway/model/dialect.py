"""What is said otherwise in the SQL of one store than in another's; what is not here, both take alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How a store says it. `{}` stands for an expression, unless another thing is named.

    Args:
        begin: the statement that begins a transaction which is to write.
        text: a text, whatever is in it; `{}` stands for its UTF-8 in hex digits.
        hex: the hex digits of an expression's UTF-8, in capitals.
        changed: statements that carry out `{}`, an UPDATE or DELETE, and answer how many rows that changed.
        decimals: a number with nine decimals.
        whole, real: types of columns.
        keyed: what ends the definition of a table that is read by its key.
        unordered: what follows the name of a table that is read in its own order.
    """

    begin: str
    text: str
    hex: str
    changed: str
    decimals: str
    whole: str
    real: str
    keyed: str
    unordered: str

    def of_text(self, value: str) -> str:
        """A text as an expression."""
        return self.text.format(value.encode().hex())


SQLITE = Dialect(
    begin="BEGIN IMMEDIATE;",
    text="CAST(x'{}' AS TEXT)",
    hex="hex({})",
    changed="{};\nSELECT changes();",
    decimals="printf('%.9f', {})",
    whole="INTEGER",
    real="REAL",
    keyed=" WITHOUT ROWID",
    unordered=" NOT INDEXED",
)
POSTGRESQL = Dialect(
    begin="BEGIN;",
    text="convert_from('\\x{}'::bytea, 'UTF8')",
    hex="upper(encode(convert_to({}::text, 'UTF8'), 'hex'))",
    changed="WITH changed AS ({} RETURNING 1) SELECT count(*) FROM changed;",
    decimals="round(({})::numeric, 9)::text",
    whole="BIGINT",
    real="DOUBLE PRECISION",
    keyed="",
    unordered="",
)
