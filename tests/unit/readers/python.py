"""python-dotenv, with its default of expanding `${NAME}` and without."""

from __future__ import annotations

import io

import dotenv


def read(text: str) -> dict[str, str]:
    """What `load_dotenv()` sets; keys without a value are left out, as they set nothing."""
    return _read(text, interpolate=True)


def read_literally(text: str) -> dict[str, str]:
    """The same with `interpolate=False`."""
    return _read(text, interpolate=False)


def _read(text: str, *, interpolate: bool) -> dict[str, str]:
    values = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=interpolate)
    return {key: value for key, value in values.items() if value is not None}
