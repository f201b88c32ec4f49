"""The kept-alive connections to one gateway, as an httpx transport."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LLMConfigError
from .http_library import httpcore, httpx
from .network import DeadlineBackend
from .proxies import environment_proxy

_KEEP_ALIVE_SECONDS = 30.0
_KEEP_ALIVE_CONNECTIONS = 32
_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class DeadlineTransport(httpx.BaseTransport):
    """httpx's own transport with one difference: a request ends when its deadline does.

    httpx bounds every single read, so that a gateway that sends one byte now and then is never
    too late. It also loads the CA bundle (40 ms) for a gateway on plain http; this does not.
    """

    def __init__(self, url: httpx.URL) -> None:
        """Args: url: the gateway; only its scheme and host are looked at."""
        self._pool = _pool(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return when the headers of the answer are here."""
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 (for the type checker)
        core_request = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _httpx_errors():
            core_response = self._pool.handle_request(core_request)
        return httpx.Response(
            core_response.status,
            headers=core_response.headers,
            stream=_Body(core_response),
            extensions=core_response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Turn httpcore's exceptions into those of httpx, which have the same names."""
    try:
        yield
    except _CORE_ERRORS as exc:
        kind: type[httpx.TransportError] = getattr(httpx, type(exc).__name__, httpx.TransportError)
        raise kind(str(exc)) from exc


def _pool(url: httpx.URL) -> httpcore.ConnectionPool:
    tls = _trust() if url.scheme == "https" else None
    proxy = environment_proxy(url.scheme, url.host)
    if proxy is None:
        return httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=_KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=DeadlineBackend(),
        )
    proxy_url = httpx.URL(proxy)
    if proxy_url.scheme not in ("http", "https") or not proxy_url.host:
        raise LLMConfigError(
            f"the environment's proxy for {url.host} is no http:// proxy: "
            "set one that is, or put the host into NO_PROXY"
        )
    return httpcore.HTTPProxy(
        proxy_url=str(proxy_url.copy_with(userinfo=b"")),
        proxy_auth=(proxy_url.username, proxy_url.password) if proxy_url.userinfo else None,
        ssl_context=tls,
        max_connections=None,
        max_keepalive_connections=_KEEP_ALIVE_CONNECTIONS,
        keepalive_expiry=_KEEP_ALIVE_SECONDS,
        network_backend=DeadlineBackend(),
    )


def _trust() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as exc:  # SSL_CERT_FILE or SSL_CERT_DIR name nothing that can be read
        reason = str(exc)
    raise LLMConfigError(f"the trusted certificates cannot be read ({reason}): see SSL_CERT_FILE")
