"""Failures in the words of Go's libraries, which One API passes on to its callers as they are."""

from __future__ import annotations

import json
import socket
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

BROKEN_OFF = "unexpected EOF"


def read_json(text: str | bytes, broken_off: str = "unexpected end of JSON input") -> Any:
    """The value of a JSON text.

    `broken_off` is what Go says of one that ends too early (its stream decoder: "unexpected EOF").
    Raises ValueError in Go's words; of text after the first character they are only near.
    """
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    try:
        return json.loads(shown)
    except json.JSONDecodeError as error:
        if not shown[error.pos :].strip() or (error.pos and shown[error.pos - 1 :].strip() == "{"):
            raise ValueError(broken_off) from None
        sign = shown[error.pos]
        if error.msg.startswith("Expecting property name"):
            raise ValueError(f"invalid character {_quoted(sign)} looking for beginning of object key string") from None
        raise ValueError(f"invalid character {_quoted(sign)} looking for beginning of value") from None


def _quoted(sign: str) -> str:
    return "'\\''" if sign == "'" else f"'{sign}'"


def network_problem(error: Exception, host: str, port: int) -> str:
    """Why a request got no answer."""
    dialled = f"dial tcp {host}:{port}: "
    if isinstance(error, ConnectionRefusedError):
        return f"{dialled}connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"{dialled}i/o timeout"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, RemoteDisconnected):
        return "EOF"
    if isinstance(error, IncompleteRead):
        return BROKEN_OFF
    return str(error) or repr(error)


def reading_problem(error: Exception) -> str:
    """Why an answer broke off while it was read."""
    return BROKEN_OFF if isinstance(error, IncompleteRead) else str(error) or repr(error)
