"""What the network did, told in the terms of the system that saw it."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from .deadline import Deadline
from .errors import BEFORE, DURING, LLMConnectionError, LLMError, LLMProtocolError, LLMTimeoutError
from .http_library import httpx

TRANSPORT_ERRORS = (httpx.TransportError, httpx.InvalidURL, OSError)
"""What a transport may raise for a request that this package built."""

_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
"""What ends a request of which nothing was sent."""
_GONE = ("disconnected", "closed connection", "incomplete chunked read")
"""How h11 and httpcore word that the peer hung up, as against talking nonsense."""
_TRANSIENT = frozenset({"ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH"})


def timed_out(deadline: Deadline) -> LLMTimeoutError:
    """The error of a call whose deadline passed."""
    return LLMTimeoutError(f"timeout ({round(deadline.seconds * 1000)}ms)")


def explained(
    exc: Exception, request: httpx.Request, deadline: Deadline, *, answered: bool, connecting: Deadline | None = None
) -> LLMError:
    """The error for one of `TRANSPORT_ERRORS`.

    Raise it outside the handler: httpx's exception holds the request, and so the key.

    Args:
        exc: what the transport raised.
        request: what was sent, or was to be.
        deadline: once it has passed, whatever broke is a time-out.
        answered: whether the head of an answer had come; such a call is never retryable.
        connecting: the time that the connection had, where another gateway was to have the rest.
    """
    is_late = isinstance(exc, httpx.ConnectTimeout) and connecting is not None and connecting is not deadline
    if deadline.passed() or (isinstance(exc, httpx.TimeoutException) and not is_late):
        return timed_out(deadline)
    failed = None if answered else BEFORE if isinstance(exc, _CONNECTING) else DURING
    is_connecting = isinstance(exc, (httpx.ConnectError, httpx.ConnectTimeout))
    url = request.extensions.get("proxy_url", request.url) if is_connecting else request.url
    place = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
    if url is not request.url:
        place = f"the proxy {place}"
    if connecting is not None and is_late:
        summary = f"ETIMEDOUT: {place}: no connection in {connecting.seconds:.1f} s"
        return LLMConnectionError(summary, code="ETIMEDOUT", gateway_failed=failed)
    cause = system_error(exc)
    if isinstance(exc, httpx.ProxyError):
        return LLMConnectionError(f"EPROXY: the proxy refused: {exc}", code="EPROXY", gateway_failed=failed)
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", "") or cause.reason or str(cause)
        summary = f"ETLS: no trusted connection to {place}: {reason}"
        return LLMConnectionError(summary, code="ETLS", gateway_failed=failed)
    if isinstance(cause, socket.gaierror):
        again = cause.errno == socket.EAI_AGAIN
        code = "EAI_AGAIN" if again else "ENOTFOUND"
        summary = f"{code}: the name {url.host} cannot be resolved"
        return LLMConnectionError(summary, code=code, retryable=again, gateway_failed=failed)
    if _is_gone(exc, cause):
        summary = f"ECONNRESET: {place} closed the connection before its answer ended"
        return LLMConnectionError(summary, code="ECONNRESET", retryable=not answered, gateway_failed=failed)
    if cause is not None and cause.errno:
        code = errno.errorcode.get(cause.errno, str(cause.errno))
        retryable = code in _TRANSIENT and not answered
        summary = f"{code}: {place}: {os.strerror(cause.errno)}"
        return LLMConnectionError(summary, code=code, retryable=retryable, gateway_failed=failed)
    if isinstance(exc, httpx.RemoteProtocolError):
        return LLMProtocolError(f"{place} does not speak HTTP: {exc}")
    return LLMProtocolError(f"the request to {place} failed: {exc or type(exc).__name__}")


def _is_gone(exc: Exception, cause: OSError | None) -> bool:
    """Whether the peer went away, politely or not, on a connection that stood."""
    if cause is not None and cause.errno in (errno.ECONNRESET, errno.EPIPE):
        return True
    if isinstance(exc, httpx.RemoteProtocolError):
        return any(word in str(exc) for word in _GONE)
    return isinstance(exc, httpx.NetworkError) and (cause is None or not cause.errno)


def system_error(exc: BaseException | None) -> OSError | None:
    """The system's own error under the layers of httpx, httpcore and anyio."""
    seen: set[int] = set()
    found: OSError | None = None
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        if isinstance(exc, OSError):
            found = exc
            if exc.errno:
                return exc
        # anyio tries a name's addresses side by side, and groups their failures.
        exc = exc.exceptions[0] if isinstance(exc, BaseExceptionGroup) else exc.__cause__ or exc.__context__
    return found
