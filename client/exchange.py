"""One request and its answer over HTTP, bounded in time and in size."""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from collections.abc import Iterator

from .answers import Reply
from .deadline import Deadline, TimeLeft
from .errors import LLMConnectionError, LLMError, LLMProtocolError, LLMTimeoutError
from .http_library import httpx

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer, unpacked; 10 embeddings of 2048 dimensions have about 0.5 MiB."""
ERROR_LIMIT = 64 * 1024
_UNPACK_STEP = 64 * 1024
_GONE = ("disconnected", "closed connection", "incomplete chunked read")
"""How h11 and httpcore word that the peer hung up, as against talking nonsense."""


def exchange(transport: httpx.BaseTransport, request: httpx.Request, deadline: Deadline) -> Reply:
    """Send `request` and read the answer.

    Raises:
        LLMTimeoutError: the deadline passed first.
        LLMConnectionError: no connection, or it broke.
        LLMProtocolError: the answer is no HTTP, or too large.
    """
    left = TimeLeft(deadline)
    request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)
    error: LLMError
    try:
        return _exchange(transport, request, deadline)
    except httpx.TimeoutException:
        error = timed_out(deadline)
    except (httpx.TransportError, httpx.InvalidURL, OSError) as exc:
        error = _explained(exc, request.url) if not deadline.passed() else timed_out(deadline)
    # Raised here, outside the handler: httpx's exception holds the request and so the key.
    raise error


def timed_out(deadline: Deadline) -> LLMTimeoutError:
    """The error of a call whose deadline passed."""
    return LLMTimeoutError(f"timeout ({round(deadline.seconds * 1000)}ms)")


def _exchange(transport: httpx.BaseTransport, request: httpx.Request, deadline: Deadline) -> Reply:
    response = transport.handle_request(request)
    try:
        body = _body(response, deadline)
    finally:
        response.close()
    return Reply(
        status=response.status_code,
        body=body,
        location=response.headers.get("location"),
        request_id=response.headers.get("x-oneapi-request-id"),
    )


def _body(response: httpx.Response, deadline: Deadline) -> bytes:
    """The body; that of an error is cut, that of an answer may not be too large."""
    limit = ANSWER_LIMIT if response.is_success else ERROR_LIMIT
    body = bytearray()
    for piece in _unpacked(response):
        if deadline.passed():
            raise timed_out(deadline)
        body += piece
        if len(body) > limit:
            if not response.is_success:
                break
            raise LLMProtocolError(
                f"HTTP {response.status_code} with an answer of more than {limit >> 20} MiB",
                status=response.status_code,
            )
    return bytes(body[:limit])


def _unpacked(response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes, unpacked in small steps: a gzip bomb stops at the limit.

    We ask for no compression, but a proxy in front of the gateway may do it all the same.
    """
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 (for the type checker)
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        yield from stream
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise LLMProtocolError(
            f"HTTP {response.status_code} with a body packed as {coding}, which was not asked for",
            status=response.status_code,
        )
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    for packed in stream:
        while packed:
            try:
                piece = unpacker.decompress(packed, _UNPACK_STEP)
            except zlib.error:
                piece = None
            if piece is None:
                raise LLMProtocolError(
                    f"HTTP {response.status_code} with a body that cannot be unpacked",
                    status=response.status_code,
                )
            yield piece
            packed = unpacker.unconsumed_tail


def _explained(exc: Exception, url: httpx.URL) -> LLMError:
    """The error for what the network did, in the terms of the system that saw it."""
    place = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
    cause = _system_error(exc)
    if isinstance(exc, httpx.ProxyError):
        return LLMConnectionError(f"EPROXY: the proxy refused: {exc}", code="EPROXY")
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", "") or cause.reason or str(cause)
        return LLMConnectionError(f"ETLS: no trusted connection to {place}: {reason}", code="ETLS")
    if isinstance(cause, socket.gaierror):
        again = cause.errno == socket.EAI_AGAIN
        code = "EAI_AGAIN" if again else "ENOTFOUND"
        return LLMConnectionError(f"{code}: the name {url.host} cannot be resolved", code=code, retryable=again)
    if cause is not None and cause.errno:
        code = errno.errorcode.get(cause.errno, str(cause.errno))
        return LLMConnectionError(f"{code}: {place}: {cause.strerror}", code=code, retryable=_never_sent(exc))
    if isinstance(exc, httpx.RemoteProtocolError) and not any(word in str(exc) for word in _GONE):
        return LLMProtocolError(f"{place} does not speak HTTP: {exc}")
    if isinstance(exc, httpx.NetworkError | httpx.RemoteProtocolError):
        return LLMConnectionError(f"ECONNRESET: {place} closed the connection before its answer ended")
    return LLMProtocolError(f"the request to {place} failed: {exc or type(exc).__name__}")


def _never_sent(exc: Exception) -> bool:
    return isinstance(exc, httpx.ConnectError)


def _system_error(exc: BaseException | None) -> OSError | None:
    """The system's own error under the layers of httpx and httpcore."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, OSError):
            return exc
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return None
