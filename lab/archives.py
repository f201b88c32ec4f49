"""Files for a container, as a tar archive in memory: with owners and modes, and on no disk."""

import io
import tarfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One file (or a folder, if ``content`` is None) of a container's file system."""

    path: str
    content: bytes | None
    mode: int
    owner: int = 0
    group: int = 0


def pack(entries: list[Entry]) -> bytes:
    """Return the entries as an uncompressed tar archive, paths relative to ``/``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            item = tarfile.TarInfo(entry.path.lstrip("/"))
            item.mode, item.uid, item.gid = entry.mode, entry.owner, entry.group
            item.mtime = int(time.time())
            if entry.content is None:
                item.type = tarfile.DIRTYPE
                archive.addfile(item)
            else:
                item.size = len(entry.content)
                archive.addfile(item, io.BytesIO(entry.content))
    return buffer.getvalue()
