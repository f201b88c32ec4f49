"""The body of an answer, piece by piece: unpacked in small steps, and never more than is of use."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from .answers import Reply
from .errors import LLMProtocolError
from .http_library import httpx

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer, unpacked; 10 embeddings of 2048 dimensions have about 0.5 MiB."""
ERROR_LIMIT = 64 * 1024
_UNPACK_STEP = 64 * 1024
_GZIP = b"\x1f"
"""The first byte of each member of a gzip body."""


def is_stream(response: httpx.Response) -> bool:
    """Whether the answer is one that comes in events, to be read as they come."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.is_success and kind not in ("application/json", "text/html")


class Unpacker:
    """Unpacks a body as it comes, so that a gzip bomb stops at the limit.

    We ask for no compression, but a proxy in front of the gateway may do it all the same.
    """

    def __init__(self, response: httpx.Response) -> None:
        """Raises LLMProtocolError when the body is packed in a way that nobody asked for."""
        self._response = response
        self._coding = response.headers.get("content-encoding", "identity").strip().lower()
        self._unpacker: Any = None
        if self._coding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise self._wrong(f"a body packed as {self._coding}, which was not asked for")

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        """Yield what is in `packed`, at most 64 KiB at once."""
        if self._coding in ("identity", ""):
            yield packed
            return
        is_full = False
        while packed or is_full:
            if self._unpacker is None or self._unpacker.eof:
                packed = packed if self._unpacker is None else _next_member(packed)
                if not packed:
                    return
                self._unpacker = _unpacker(packed)
            try:
                piece = self._unpacker.decompress(packed, _UNPACK_STEP)
            except zlib.error:
                piece = None
            if piece is None:
                raise self._wrong("a body that cannot be unpacked")
            yield piece
            packed = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            is_full = len(piece) == _UNPACK_STEP  # then zlib may hold back a little, with no input left over

    def _wrong(self, what: str) -> LLMProtocolError:
        return _wrong(self._response, what)


def _next_member(rest: bytes) -> bytes:
    """What follows the end of a packed body as far as it is another gzip member; zeros and the like are padding."""
    rest = rest.lstrip(b"\0")
    return rest if rest[:1] == _GZIP else b""


def _unpacker(beginning: bytes) -> Any:
    """What unpacks a body that begins so; many servers send deflate without zlib's head (RFC 9110, 8.4.1.2)."""
    has_head = beginning[:1] == _GZIP or beginning[0] & 0x0F == zlib.DEFLATED
    return zlib.decompressobj(zlib.MAX_WBITS | 32 if has_head else -zlib.MAX_WBITS)


class Body:
    """A body being collected; that of an error is cut, that of an answer may not be too large."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces = bytearray()
        self._limit = ANSWER_LIMIT if response.is_success else ERROR_LIMIT

    def add(self, piece: bytes) -> None:
        """Take `piece`; LLMProtocolError when an answer gets too large."""
        self._pieces += piece
        if len(self._pieces) > self._limit and self._response.is_success:
            raise _wrong(self._response, f"an answer of more than {self._limit >> 20} MiB")

    def is_enough(self) -> bool:
        """Whether the rest is of no use."""
        return len(self._pieces) > self._limit

    def reply(self) -> Reply:
        """The answer as far as it was collected."""
        headers = self._response.headers
        return Reply(
            status=self._response.status_code,
            body=bytes(self._pieces[: self._limit]),
            location=headers.get("location"),
            request_id=headers.get("x-oneapi-request-id"),
            retry_after=headers.get("retry-after"),
        )


def _wrong(response: httpx.Response, what: str) -> LLMProtocolError:
    status, request_id = response.status_code, response.headers.get("x-oneapi-request-id")
    return LLMProtocolError(f"HTTP {status} with {what}", status=status, request_id=request_id)
