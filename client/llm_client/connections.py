"""The connections to one gateway: how they are opened, and which of them wait for their next request."""

from __future__ import annotations

import os
import ssl
from collections import deque
from typing import Generic, TypeVar

from .errors import LLMConfigError
from .http_library import httpcore, httpx
from .proxies import environment_proxy
from .settings import Gateway

KEEP_ALIVE_SECONDS = 30.0
MOST_WAITING = 256
"""Connections kept open for later; more than are ever in use at once by one process."""
WRITE_PIECE = 65536
"""Bytes of a request that are sent at once, before anybody looks whether an answer has come."""
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/cert.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSDs
)

_Connection = TypeVar("_Connection", httpcore.ConnectionInterface, httpcore.AsyncConnectionInterface)


class Waiting(Generic[_Connection]):
    """The connections that have no request at the moment, the one used last on top.

    All of them lead to the same gateway, so that none has to be looked for: httpcore's own pool goes through all
    of its connections for every request, which at 64 calls at once costs more than the calls.

    Each has an owner, a process or an event loop: a forked child must not talk on its parent's connections, and
    no loop can use or close those of another. What belongs to somebody else is let go; its owner's end closes it.
    """

    def __init__(self) -> None:
        self._connections: deque[tuple[object, _Connection]] = deque()
        self._is_closed = False

    def take(self, owner: object) -> _Connection | None:
        """Return the connection used last, or None; whether it still stands is for the caller to ask."""
        while self._connections:
            try:
                whose, connection = self._connections.pop()  # in one step: several threads may be here
            except IndexError:
                break
            if whose == owner:
                return connection
        return None

    def give_back(self, connection: _Connection, owner: object) -> list[_Connection]:
        """Keep `connection` if it can be used again, and return those that are to be closed now."""
        if not connection.is_idle():
            return []  # it has closed itself, as its answer was not read to the end
        if self._is_closed or _has_leftovers(connection):
            return [connection]
        self._connections.append((owner, connection))
        return self._superfluous(owner)

    def close(self, owner: object) -> list[_Connection]:
        """Keep nothing from now on, and return all that are to be closed."""
        self._is_closed = True
        return self.drop(owner)

    def drop(self, owner: object) -> list[_Connection]:
        """Return all that are to be closed, once one was dead: a gateway or router that restarts forgets all of them.

        It tells so to nobody but those who use one, so that the next would be dead, too.
        """
        left = []
        while (connection := self.take(owner)) is not None:
            left.append(connection)
        return left

    def _superfluous(self, owner: object) -> list[_Connection]:
        """The one that waits longest, once it is too old or one too many; each return takes one at most."""
        try:
            whose, oldest = self._connections.popleft()
        except IndexError:
            return []
        if whose != owner:
            return []
        if len(self._connections) >= MOST_WAITING or oldest.has_expired():
            return [oldest]
        self._connections.appendleft((whose, oldest))
        return []


def _has_leftovers(connection: object) -> bool:
    """Whether more came than one answer: the next call would take that for its own.

    A ``Content-Length`` that counts characters of Chinese text does it. httpcore tells it nowhere, so this looks
    inside, as far as that is what it was in httpcore 1.0 and httpcore2 2.16.
    """
    state = getattr(getattr(connection, "_connection", None), "_h11_state", None)
    rest, _ = getattr(state, "trailing_data", (b"", False))
    return bool(rest)


def origin(gateway: Gateway) -> httpcore.Origin:
    """Return the scheme, host and port of `gateway`, as httpcore wants them."""
    url = gateway.url
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/").origin


def core_request(request: httpx.Request) -> httpcore.Request:
    """Return `request` as httpcore wants it."""
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def core_proxy(gateway: Gateway) -> httpcore.Proxy | None:
    """Return the proxy that was asked for, else the environment's, which private hosts never use.

    Raises:
        LLMConfigError: it is none that this package speaks to.
    """
    host = gateway.url.host
    address = gateway.proxy or environment_proxy(gateway.url.scheme, host)
    if address is None:
        return None
    try:
        url = httpx.URL(address if "://" in address else f"http://{address}")
        is_usable = url.scheme == "http" and bool(url.host) and (url.port is None or 0 < url.port < 65536)
    except (httpx.InvalidURL, ValueError):
        is_usable = False
    if not is_usable:
        raise LLMConfigError(
            f"the proxy for {host} (LLM_PROXY, or the environment's) is not an http:// proxy: "
            "set one that is, or put the host into NO_PROXY"
        )
    auth = (url.username.encode(), url.password.encode()) if url.userinfo else None
    return httpcore.Proxy(str(url.copy_with(userinfo=b"")), auth=auth)


def trusted(gateway: Gateway) -> ssl.SSLContext:
    """Return the certificates to trust; an empty context for plain http, as loading CA bundles takes 40 ms each.

    What ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` name, else the system's store, where a company's own CA is, together
    with the bundle that httpx brings along.

    Raises:
        LLMConfigError: the certificates that the environment names cannot be read.
    """
    if gateway.url.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = httpx.create_ssl_context()
        if not any(map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))):
            _trust_system(context)
    except OSError as exc:  # what the environment or the system names cannot be read
        reason = str(exc)
    else:
        return context
    raise LLMConfigError(f"the trusted certificates cannot be read ({reason}): see SSL_CERT_FILE")


def _trust_system(context: ssl.SSLContext) -> None:
    """Trust the system's store, also where this Python was built elsewhere and looks in that system's places."""
    context.load_default_certs()
    if (bundle := next(filter(os.path.isfile, SYSTEM_BUNDLES), None)) is not None:
        context.load_verify_locations(bundle)
