"""What a file of this machine is, by its first bytes: how it is read, or what it is that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HEADER = b"SQLite format 3\0"
"""How every SQLite database begins."""
ZIP = b"PK\x03\x04"
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
    OSError,
    EOFError,
    ValueError,
)
"""What the libraries raise for a file that is damaged or cut off."""
_SEEN = 512
_WIDEST_WINDOW = {zstd.DecompressionParameter.window_log_max: 31}
"""As `zstd --long=31` packs, which needs as much memory."""


class Compressed(NamedTuple):
    """A compression that is read here: its name, the suffix of its files, and what opens one."""

    name: str
    suffix: str
    open: Callable[[Path], Any]


_ZSTD = Compressed("zstd", ".zst", partial(zstd.ZstdFile, mode="r", options=_WIDEST_WINDOW))
_COMPRESSED = {
    b"\x1f\x8b": Compressed("gzip", ".gz", gzip.open),
    b"BZh": Compressed("bzip2", ".bz2", bz2.open),
    b"\xfd7zXZ\0": Compressed("xz", ".xz", lzma.open),
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"\x50\x2a\x4d\x18": _ZSTD,  # by pzstd
}

_DUMP = "an SQL dump, not a database: sqlite3 one-api.db < it makes one, which can be named"
_NAMED: dict[bytes, str] = {
    b"age-encryption.org/": "encrypted with age: age -d -i KEY -o one-api.tar.gz it, and name what comes out",
    b"-----BEGIN AGE ENCRYPTED": "encrypted with age: age -d -i KEY -o one-api.tar.gz it, and name what comes out",
    b"-----BEGIN PGP MESSAGE": "encrypted with gpg: gpg -d -o one-api.tar.gz it, and name what comes out",
    b"Salted__": "encrypted with openssl enc: decrypt it (openssl enc -d), and name what comes out",
    b"LUKS\xba\xbe": "an encrypted disk (LUKS): mount it, and name the directory",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it (7z x), and name the directory",
    b"Rar!\x1a\x07": "a rar archive: unpack it (unrar x), and name the directory",
    b"\x04\x22\x4d\x18": "compressed with lz4: unpack it (lz4 -d), and name what comes out",
    b"\x89LZO\0": "compressed with lzop: unpack it (lzop -d), and name what comes out",
    b"LZIP": "compressed with lzip: unpack it (lzip -d), and name what comes out",
    b"\x1f\x9d": "compressed with compress: unpack it (uncompress), and name what comes out",
    b"PK\x05\x06": "an empty zip archive",
    b"PK\x07\x08": "a zip archive in parts: unpack it, and name the directory",
    b"PGDMP": "a dump of PostgreSQL, which is no SQLite database",
    b"-- PostgreSQL": "a dump of PostgreSQL, which is no SQLite database",
    b"-- MySQL": "a dump of MySQL, which is no SQLite database",
    b"-- MariaDB": "a dump of MariaDB, which is no SQLite database",
    b"PRAGMA foreign_keys": _DUMP,
    b"BEGIN TRANSACTION": _DUMP,
    b"version https://git-lfs": "a pointer of Git LFS, and not the file itself: git lfs pull",
    b"\x37\x7f\x06\x82": "a write-ahead log (-wal) alone: name the database beside it",
    b"\x37\x7f\x06\x83": "a write-ahead log (-wal) alone: name the database beside it",
    b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7": "a rollback journal (-journal) alone: name the database beside it",
    b"<!DOCTYPE": "a page of HTML: was it downloaded where a log-in was asked for?",
    b"<html": "a page of HTML: was it downloaded where a log-in was asked for?",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"\x7fELF": "a program (ELF)",
    b"MZ": "a program of Windows",
    b"\xd0\xcf\x11\xe0": "a file of Microsoft Office",
    b"!<arch>": "a package (.deb) or a library",
    b"\xed\xab\xee\xdb": "a package (.rpm)",
    b"07070": "a cpio archive: unpack it (cpio -id < it), and name the directory",
    b"hsqs": "a squashfs image: mount it, and name the directory",
    b"QFI\xfb": "a disk image (qcow2): mount it, and name the directory",
    b"KDMV": "a disk image (VMDK): mount it, and name the directory",
    b"conectix": "a disk image (VHD): mount it, and name the directory",
    b"** This file contains an SQLite 2": "a database of SQLite 2, which SQLite 3 does not read",
    b"REDIS": "a dump of Redis: it holds sessions, and no channel or token",
    b"#!": "a script",
    b"<?xml": "a text (XML)",
}
"""What is read by nobody here: by its first bytes, what it is and what to do."""


def compression(start: bytes) -> Compressed | None:
    """How what begins so is compressed; None where it is not, or by what is not read here."""
    return next((found for magic, found in _COMPRESSED.items() if start.startswith(magic)), None)


def name(start: bytes) -> str | None:
    """What a file is that cannot be read here, with what to do; None where that is not known."""
    if found := next((words for magic, words in _NAMED.items() if start.startswith(magic)), None):
        return found
    # A packet of OpenPGP: encrypted with a key (tag 1), or with a password (tag 3).
    if start[:1] in (b"\x84", b"\x85", b"\x8c", b"\xc1", b"\xc3") and len(start) > 3 and start[1] < 0xF0:
        return "encrypted, by gpg as it seems: gpg -d -o one-api.tar.gz it, and name what comes out"
    if start and not start.strip(b"\0"):
        return "nothing but zeros: an empty archive, or what a disk has lost"
    return None


def told(start: bytes) -> str:
    """What a file is that is neither a database nor an archive, whatever it is: in words that go on "it is"."""
    if not start:
        return "empty (0 bytes)"
    if words := name(start):
        return words
    if start[257:262] == b"ustar":
        return "a tar archive whose beginning is damaged"
    if _is_text(start):
        return "a text, neither a database nor an archive"
    return "neither a database of SQLite nor an archive; encrypted, if it should be one: decrypt it, and name that"


def _is_text(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as problem:
        return problem.start > len(start) - 4 and b"\0" not in start  # cut off within a character
    return b"\0" not in start


def head(file: IO[bytes]) -> bytes:
    """The first bytes of a file, by which the functions of this module know it."""
    return file.read(_SEEN)
