"""The fingerprints of the keys in an OpenPGP file: hosts have no gpg, and apt trusts whatever a keyring holds."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

_PUBLIC_KEY = 6
"""The packet of a primary key (RFC 9580, 5.5.1.1)."""


class KeyFileError(ValueError):
    """It is no file of OpenPGP keys, or one that is not understood; the text says which."""


def fingerprints(content: bytes) -> list[str]:
    """The fingerprints of the primary keys, as 40 hexadecimal capitals each. Raises KeyFileError.

    Parameters: `content`, armoured or binary, with any number of keys.
    """
    found = [_fingerprint(body) for tag, body in _packets(_dearmoured(content)) if tag == _PUBLIC_KEY]
    if not found:
        raise KeyFileError("it holds no public key")
    return found


def _dearmoured(content: bytes) -> bytes:
    if b"-----BEGIN PGP" not in content:
        return content
    packets = b""
    blocks = content.decode("ascii", "replace").replace("\r", "").split("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    for block in blocks[1:]:
        _, _, body = block.partition("-----END PGP")[0].partition("\n\n")  # behind the armour's headers
        lines = [line.strip() for line in body.splitlines() if not line.startswith("=")]  # the checksum
        try:
            packets += base64.b64decode("".join(lines), validate=True)
        except binascii.Error:
            raise KeyFileError("its armour is damaged") from None
    return packets


def _packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and body of each packet (RFC 9580, 4.2)."""
    at = 0
    while at < len(content):
        head = content[at]
        if not head & 0x80:
            raise KeyFileError("it is not an OpenPGP file")
        try:
            if head & 0x40:
                tag, (length, size) = head & 0x3F, _new_length(content, at + 1)
            else:
                tag, kind = (head >> 2) & 0x0F, head & 0x03
                if kind == 3:
                    raise KeyFileError("a packet of it has no length")
                size = 1 << kind
                length = int.from_bytes(content[at + 1 : at + 1 + size], "big")
        except IndexError:
            raise KeyFileError("it is cut off") from None
        at += 1 + size
        if at + length > len(content):
            raise KeyFileError("it is cut off")
        yield tag, content[at : at + length]
        at += length


def _new_length(content: bytes, at: int) -> tuple[int, int]:
    """The length of a packet's body, and how many bytes say so (RFC 9580, 4.2.1)."""
    first = content[at]
    if first < 192:
        return first, 1
    if first < 224:
        return ((first - 192) << 8) + content[at + 1] + 192, 2
    if first == 255:
        return int.from_bytes(content[at + 1 : at + 5], "big"), 5
    raise KeyFileError("a packet of it is in pieces")


def _fingerprint(body: bytes) -> str:
    """Of a key of version 4, which apt's keys are (RFC 9580, 5.5.4.2)."""
    if body[:1] != b"\x04":
        raise KeyFileError(f"its key is of version {body[0] if body else 'none'}, not 4")
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
