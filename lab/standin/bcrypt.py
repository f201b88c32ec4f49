"""bcrypt ($2a$, $2b$, $2y$) in pure Python, for machines whose libcrypt cannot be used.

The tables of Blowfish are the hexadecimal digits of pi, computed here instead of written down.
Cost 10 takes 5 s and more: `passwords` prefers the C library.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable, Sequence
from functools import cache

STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BCRYPT = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
TO_BCRYPT = bytes.maketrans(STANDARD, BCRYPT)
FROM_BCRYPT = bytes.maketrans(BCRYPT, STANDARD)

WORDS = 18 + 4 * 256
MASK = 0xFFFFFFFF
Encipher = Callable[..., tuple[int, int]]


def checkpw(password: bytes, hashed: str) -> bool:
    """Whether `password` has this hash; False for anything that is not a bcrypt hash."""
    try:
        return hmac.compare_digest(hashpw(password, hashed), hashed)
    except ValueError:
        return False


def gensalt(cost: int) -> str:
    """A fresh `$2a$` salt (One API's library writes that prefix) with 2**cost rounds."""
    return f"$2a${cost:02d}${_encode(os.urandom(16))}"


def hashpw(password: bytes, salt: str) -> str:
    """The hash of `password` under the prefix, cost and salt at the start of `salt`.

    Raises ValueError where `salt` does not start as a bcrypt hash does.
    """
    parts = salt.split("$")
    if len(parts) != 4 or parts[1] not in ("2a", "2b", "2y") or len(parts[3]) < 22:
        raise ValueError("not a bcrypt hash")
    cost = int(parts[2])
    if not 4 <= cost <= 31:
        raise ValueError("bcrypt cost out of range")
    digest = _raw((password + b"\0")[:72], _decode(parts[3][:22]), cost)
    return f"${parts[1]}${parts[2]}${parts[3][:22]}{_encode(digest)}"


def _encode(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").translate(TO_BCRYPT).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode().translate(FROM_BCRYPT) + b"==")


def _raw(password: bytes, salt: bytes, cost: int) -> bytes:
    encipher = _compiled_encipher()
    table = list(_pi_words())
    state = table[:18], [table[18 + 256 * i : 274 + 256 * i] for i in range(4)]
    key_words, salt_words = _cyclic_words(password, 18), _cyclic_words(salt, 18)
    _expand(encipher, *state, key_words, salt_words[:4])
    for _ in range(1 << cost):
        _expand(encipher, *state, key_words, (0, 0, 0, 0))
        _expand(encipher, *state, salt_words, (0, 0, 0, 0))
    text = _cyclic_words(b"OrpheanBeholderScryDoubt", 6)
    for i in (0, 2, 4):
        left, right = text[i], text[i + 1]
        for _ in range(64):
            left, right = encipher(left, right, state[0], *state[1])
        text[i], text[i + 1] = left, right
    return b"".join(word.to_bytes(4, "big") for word in text)[:23]


def _cyclic_words(data: bytes, count: int) -> list[int]:
    repeated = data * (count * 4 // len(data) + 1)
    return [int.from_bytes(repeated[4 * i : 4 * i + 4], "big") for i in range(count)]


def _expand(encipher: Encipher, p: list[int], s: list[list[int]], key: Sequence[int], salt: Sequence[int]) -> None:
    """Mix key and salt into the state: P first, then each S-box, two words at a time."""
    for i in range(18):
        p[i] ^= key[i]
    left = right = 0
    a, b, c, d = salt
    for box in (p, *s):
        for i in range(0, len(box), 2):
            left, right = encipher(left ^ a, right ^ b, p, *s)
            box[i], box[i + 1] = left, right
            a, b, c, d = c, d, a, b


@cache
def _compiled_encipher() -> Encipher:
    """Blowfish's sixteen rounds, unrolled: a loop would cost twice the time."""

    def half(target: str, source: str, number: int) -> str:
        return (
            f"  {target} ^= p{number} ^ (((s0[{source} >> 24] + s1[{source} >> 16 & 255])"
            f" ^ s2[{source} >> 8 & 255]) + s3[{source} & 255] & {MASK})"
        )

    lines = ["def encipher(l, r, p, s0, s1, s2, s3):"]
    lines.append(f"  {', '.join(f'p{i}' for i in range(18))} = p")
    lines.append("  l ^= p0")
    for number in range(1, 17, 2):
        lines += [half("r", "l", number), half("l", "r", number + 1)]
    lines.append("  return r ^ p17, l")
    scope: dict[str, Encipher] = {}
    exec("\n".join(lines), scope)  # noqa: S102 (the text is the constant above)
    return scope["encipher"]


@cache
def _pi_words() -> tuple[int, ...]:
    """The first 1042 words of pi's fraction, by Machin's formula in fixed point."""
    guard = 64
    bits = WORDS * 32 + guard
    pi = 4 * (4 * _arctan_inverse(5, bits) - _arctan_inverse(239, bits))
    fraction = (pi - (3 << bits)) >> guard
    data = fraction.to_bytes(WORDS * 4, "big")
    return tuple(int.from_bytes(data[4 * i : 4 * i + 4], "big") for i in range(WORDS))


def _arctan_inverse(x: int, bits: int) -> int:
    power = (1 << bits) // x
    total, divisor, sign = power, 1, 1
    while power:
        power //= x * x
        divisor, sign = divisor + 2, -sign
        total += sign * (power // divisor)
    return total
