"""The kept-alive connections to one gateway, as httpx transports."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LLMConfigError
from .http_library import httpcore, httpx
from .network import DeadlineBackend
from .proxies import environment_proxy
from .settings import Gateway

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

    def __init__(self, gateway: Gateway) -> None:
        """Raises LLMConfigError when the proxy or the trusted certificates cannot be used."""
        self._pool = _pool(gateway)

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


def async_transport(gateway: Gateway) -> httpx.AsyncHTTPTransport:
    """Return httpx's own transport for event loops, where a cancel scope keeps the deadline.

    Raises:
        LLMConfigError: the proxy or the trusted certificates cannot be used.
    """
    return httpx.AsyncHTTPTransport(
        verify=_trust(gateway),
        trust_env=False,
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=_KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        ),
        proxy=_proxy(gateway),
    )


def _pool(gateway: Gateway) -> httpcore.ConnectionPool:
    proxy = _proxy(gateway)
    if proxy is None:
        return httpcore.ConnectionPool(
            ssl_context=_trust(gateway),
            max_connections=None,
            max_keepalive_connections=_KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=DeadlineBackend(),
        )
    return httpcore.HTTPProxy(
        proxy_url=str(proxy.url),
        proxy_auth=proxy.raw_auth,
        ssl_context=_trust(gateway),
        max_connections=None,
        max_keepalive_connections=_KEEP_ALIVE_CONNECTIONS,
        keepalive_expiry=_KEEP_ALIVE_SECONDS,
        network_backend=DeadlineBackend(),
    )


def _proxy(gateway: Gateway) -> httpx.Proxy | None:
    """The proxy that was asked for, else the environment's, which private hosts never use."""
    host = gateway.url.host
    address = gateway.proxy or environment_proxy(gateway.url.scheme, host)
    if address is None:
        return None
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise LLMConfigError(
            f"the proxy for {host} (LLM_PROXY, or the environment's) is no http:// proxy: "
            "set one that is, or put the host into NO_PROXY"
        )
    return httpx.Proxy(url)


def _trust(gateway: Gateway) -> ssl.SSLContext:
    """The certificates to trust; an empty context for plain http, as loading the CA bundle takes 40 ms."""
    if gateway.url.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except OSError as exc:  # SSL_CERT_FILE or SSL_CERT_DIR name nothing that can be read
        reason = str(exc)
    raise LLMConfigError(f"the trusted certificates cannot be read ({reason}): see SSL_CERT_FILE")
