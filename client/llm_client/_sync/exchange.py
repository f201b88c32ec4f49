# Generated from _async/exchange.py by `make generated`: change that one.
"""One request and its answer over HTTP, in time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ..answers import Reply
from ..deadline import Deadline
from ..errors import LLMConnectionError, LLMError
from ..failures import TRANSPORT_ERRORS, explained, timed_out
from ..http_library import httpx
from ..reading import Body, Unpacker
from .primitives import in_time, timeouts


def exchange(transport: httpx.BaseTransport, request: httpx.Request, deadline: Deadline, connecting: Deadline) -> Reply:
    """Send `request` and read the answer; `connecting` is the deadline for the connection alone.

    Raises:
        LLMTimeoutError: the deadline passed first.
        LLMConnectionError: no connection, or it broke.
        LLMProtocolError: the answer is no HTTP, or too large.
    """
    return read_reply(begin(transport, request, deadline, connecting), deadline)


def begin(
    transport: httpx.BaseTransport, request: httpx.Request, deadline: Deadline, connecting: Deadline
) -> httpx.Response:
    """Send `request` and return when the head of the answer is here; the caller closes it. Raises as `exchange`."""
    request.extensions["timeout"] = timeouts(deadline, connecting)
    error: LLMError
    try:
        response = in_time(transport.handle_request(request), deadline)
    except TRANSPORT_ERRORS as exc:
        error = explained(exc, request, deadline, answered=False, connecting=connecting)
    else:
        response.request = request
        return response
    raise error


def read_reply(response: httpx.Response, deadline: Deadline) -> Reply:
    """Read the body to its end, or as far as is of use, and close. Raises as `exchange`."""
    body = Body(response)
    try:
        with closing(pieces(response, deadline)) as arriving:
            for piece in arriving:
                body.add(piece)
                if body.is_enough():
                    break
    except LLMConnectionError:
        if response.is_success:  # an error is one, however much of its text came
            raise
    finally:
        response.close()
    return body.reply()


def pieces(response: httpx.Response, deadline: Deadline) -> Generator[bytes, None]:
    """Yield the body as it comes, unpacked. Raises as `exchange`."""
    unpacker = Unpacker(response)
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 (for the type checker)
    arriving = iter(stream)
    error: LLMError | None = None
    try:
        while (packed := in_time(next(arriving, None), deadline)) is not None:
            for piece in unpacker.pieces(packed):
                if deadline.passed():
                    raise timed_out(deadline)
                yield piece
    except TRANSPORT_ERRORS as exc:
        error = explained(exc, response.request, deadline, answered=True)
    if error is not None:
        raise error
