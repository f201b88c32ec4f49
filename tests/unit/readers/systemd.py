"""systemd's own parser of EnvironmentFile=, called in its private library.

`load_env_file` is the function that `EnvironmentFile=` ends in; the library exports it under a versioned
name, so it is looked for by pattern (Debian 12: 252, Debian 13: 257).
"""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
from pathlib import Path

from tests.unit.readers.missing import missing

_PLACES = ("/usr/lib/*/systemd", "/usr/lib/systemd", "/lib/*/systemd", "/lib/systemd")


def read(text: str) -> dict[str, str]:
    """What a unit with this EnvironmentFile= gets. Raises ValueError when systemd refuses the file."""
    library = _library()
    result = ctypes.POINTER(ctypes.c_char_p)()
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(text.encode())
        status = library.load_env_file(None, os.fsencode(file.name), ctypes.byref(result))
    if status < 0:
        raise ValueError(f"systemd: {os.strerror(-status)}")
    values = {}
    # The list is NULL when the file sets nothing, and ends in NULL otherwise.
    for index in range(2**20) if result else ():
        entry = result[index]
        if entry is None:
            break
        key, _, value = entry.decode().partition("=")
        values[key] = value
    library.strv_free(result)
    return values


@functools.cache
def _library() -> ctypes.CDLL:
    found = [path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/libsystemd-shared-*.so")]
    if not found:
        raise missing("systemd's library libsystemd-shared")
    library = ctypes.CDLL(str(found[0]))
    library.load_env_file.restype = ctypes.c_int
    library.strv_free.restype = ctypes.c_void_p
    library.strv_free.argtypes = [ctypes.POINTER(ctypes.c_char_p)]
    return library
