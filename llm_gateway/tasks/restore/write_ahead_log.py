"""What a database's -wal holds: SQLite takes its frames up to the first that is wrong, and says nothing of the rest.

The format: https://sqlite.org/fileformat2.html#walformat. Each frame repeats the salts of the header; a log that was
begun anew has frames of older salts behind its own, and a transaction that was undone leaves frames of its own salts
that say no commit. Neither is a loss.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llm_gateway.parts.backups.archive_members import SourceError

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
"""In which order its checksums read words, by how it begins."""
_CHUNK = 1 << 20
_LOCK_BYTE = 0x40000000
"""The page that has it is never written."""
_ALL_THE_SAME = (
    "take another copy of both; to restore what is left all the same, have SQLite take in the frames before on a copy"
    " (sqlite3 COPY 'PRAGMA wal_checkpoint(TRUNCATE)'), or remove the -wal, and name that"
)


@dataclass(frozen=True)
class Log:
    """A -wal as it was found.

    Args:
        page_size: of the pages in it, in bytes.
        frames: of its own salts, in their order: the number of the page, and the database's pages where it ends a
            transaction (0 where not).
        cut_at: the number of the frame in which the file ends, where it does.
    """

    page_size: int
    frames: tuple[tuple[int, int], ...]
    cut_at: int | None

    def require_taken(self, taken: int, database_size: int) -> str:
        """What to tell of it. Raises SourceError where rows are lost, or it is another database's.

        Parameters: `taken`, the frames that SQLite found whole; `database_size`, of the file before it took them in.
        """
        committed = max((number for number, (_, pages) in enumerate(self.frames, 1) if pages), default=0)
        if committed > taken:
            raise SourceError(
                f"its -wal is damaged: a checksum is wrong behind frame {taken} of {len(self.frames)}, and what the"
                f" {len(self.frames) - taken} frames from there on held is lost: {_ALL_THE_SAME}"
            )
        if self.cut_at is not None:
            raise SourceError(
                f"its -wal is cut off in frame {self.cut_at}, and what the frames behind frame {taken} held is"
                f" lost: {_ALL_THE_SAME}"
            )
        if taken:
            written = {page for page, _ in self.frames[:taken]} | {_LOCK_BYTE // self.page_size + 1}
            beyond = range(database_size // self.page_size + 1, self.frames[taken - 1][1] + 1)
            if missing := [page for page in beyond if page not in written]:
                raise SourceError(
                    f"its -wal is of another database or of another copy of it: {len(missing)} pages from {missing[0]}"
                    " on are in neither: take a copy of both of one moment, or remove the -wal to restore without it"
                )
        undone = len(self.frames) - taken
        left = f"; {undone} behind them were never committed" if undone else ""
        return f"of its -wal all {taken} committed frames are taken in{left}"


def read(path: Path) -> Log | None:
    """What is in a -wal; None where that is nothing, or nothing but zeros. Raises SourceError."""
    with path.open("rb") as file:
        start, size = file.read(_HEADER.size), path.stat().st_size
        if not start.strip(b"\0") and not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(_CHUNK), b"")):
            return None
        words = _HEADER.unpack(start) if len(start) == _HEADER.size else (0,) * 8
        order = _ORDERS.get(words[0])
        if order is None or _checksum(order, start[:24]) != words[6:]:
            raise SourceError(f"its -wal is damaged at its beginning, and all {size} bytes are lost: {_ALL_THE_SAME}")
        step = _FRAME.size + words[2]
        whole, rest = divmod(size - _HEADER.size, step)
        # Between its own, one of no salts of its own is a damaged one; behind them all are older.
        found = [_own(file, number * step, words[4:6]) for number in range(whole)]
        while found and found[-1] is None:
            found.pop()
        # Of a server that was killed between the two writes there is the beginning of a frame alone.
        is_cut = rest > _FRAME.size and len(found) == whole and _own(file, whole * step, words[4:6]) is not None
    return Log(words[2], tuple(frame or (0, 0) for frame in found), whole + 1 if is_cut else None)


def _own(file: IO[bytes], at: int, salts: tuple[int, ...]) -> tuple[int, int] | None:
    """A frame of these salts: begun anew, a log has both of them anew, so that one alone is a damaged one's."""
    file.seek(_HEADER.size + at)
    page, pages, *others = _FRAME.unpack(file.read(_FRAME.size))
    return (page, pages) if others[0] == salts[0] or others[1] == salts[1] else None


def _checksum(order: str, data: bytes) -> tuple[int, int]:
    one = other = 0
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other
