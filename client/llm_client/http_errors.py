"""httpcore's exceptions, as httpx has them."""

from __future__ import annotations

from types import TracebackType

from .http_library import httpcore, httpx

_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.ProtocolError)
"""What a connection raises that its other side has left; the try that follows must not meet another such one."""


class _HttpxErrors:
    """Turns httpcore's exceptions into those of httpx, of the same names; a generator would cost 1 % of a call."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _CORE_ERRORS):
            its: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
            raise its(str(error)) from error


httpx_errors = _HttpxErrors()
