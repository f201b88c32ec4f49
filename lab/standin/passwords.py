"""Hashing and checking passwords: bcrypt by the system's libcrypt, else in pure Python."""

from __future__ import annotations

import ctypes
import hmac
from collections.abc import Callable
from functools import cache

from . import bcrypt

# One API writes cost 10. In pure Python that is seconds for every login, so less there.
NATIVE_COST = 10
PURE_COST = 6
# struct crypt_data of libxcrypt and of glibc before it; the larger of the two, with room to spare.
CRYPT_DATA_BYTES = 256 * 1024

Crypt = Callable[[bytes, str], str]


def hash_password(password: str) -> str:
    """A `$2a$` bcrypt hash."""
    crypt = _native()
    if crypt:
        return crypt(password.encode(), bcrypt.gensalt(NATIVE_COST))
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(PURE_COST))


def check_password(password: str, hashed: str) -> bool:
    """Whether this is the password; a stored text that is no bcrypt hash fits none."""
    if not hashed.startswith("$2"):
        return False
    crypt = _native()
    if not crypt:
        return bcrypt.checkpw(password.encode(), hashed)
    return hmac.compare_digest(crypt(password.encode(), hashed).encode(), hashed.encode())


@cache
def _native() -> Crypt | None:
    """crypt_r of libcrypt.so.1 where it is there and knows bcrypt (Python dropped its own module)."""
    try:
        function = ctypes.CDLL("libcrypt.so.1").crypt_r
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_char_p
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]

    def crypt(password: bytes, setting: str) -> str:
        result = function(password, setting.encode(), ctypes.create_string_buffer(CRYPT_DATA_BYTES))
        return (result or b"").decode()

    probe = "$2a$04$" + "." * 22
    known = bcrypt.hashpw(b"probe", probe)
    return crypt if crypt(b"probe", probe) == known else None
