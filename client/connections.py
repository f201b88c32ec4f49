"""The connections to one gateway: how they are opened, and which of them wait for their next request."""

from __future__ import annotations

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

_Connection = TypeVar("_Connection", httpcore.ConnectionInterface, httpcore.AsyncConnectionInterface)


class Waiting(Generic[_Connection]):
    """The connections that have no request at the moment, the one used last on top.

    All of them lead to the same gateway, so that none has to be looked for: httpcore's own pool goes through all
    of its connections for every request, which at 64 calls at once costs more than the calls.

    They also have one owner, a process or an event loop: a forked child must not talk on its parent's connections,
    and those of a loop that has ended are dead.
    """

    def __init__(self) -> None:
        self._connections: deque[_Connection] = deque()
        self._owner: object = None
        self._is_closed = False

    def take(self, owner: object) -> _Connection | None:
        """Return the connection used last, or None; whether it still stands is for the caller to ask."""
        if self._owner != owner:
            self._connections.clear()
            self._owner = owner
        return self._pop()

    def _pop(self) -> _Connection | None:
        try:
            return self._connections.pop()  # in one step: several threads may be here
        except IndexError:
            return None

    def give_back(self, connection: _Connection, owner: object) -> list[_Connection]:
        """Keep `connection` if it can be used again, and return those that are to be closed now."""
        if self._is_closed or self._owner != owner:
            return [connection]
        if not connection.is_idle():
            return []  # it has closed itself, as its answer was not read to the end
        self._connections.append(connection)
        return self._superfluous()

    def close(self) -> list[_Connection]:
        """Keep nothing from now on, and return all that are to be closed."""
        self._is_closed = True
        left = []
        while (connection := self._pop()) is not None:
            left.append(connection)
        return left

    def _superfluous(self) -> list[_Connection]:
        """The one that waits longest, once it is too old or one too many; each return takes one at most."""
        try:
            oldest = self._connections.popleft()
        except IndexError:
            return []
        if len(self._connections) >= MOST_WAITING or oldest.has_expired():
            return [oldest]
        self._connections.appendleft(oldest)
        return []


def origin(gateway: Gateway) -> httpcore.Origin:
    """Return the scheme, host and port of `gateway`, as httpcore wants them."""
    url = gateway.url
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/").origin


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
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise LLMConfigError(
            f"the proxy for {host} (LLM_PROXY, or the environment's) is no http:// proxy: "
            "set one that is, or put the host into NO_PROXY"
        )
    auth = (url.username, url.password) if url.userinfo else None
    return httpcore.Proxy(str(url.copy_with(userinfo=b"")), auth=auth)


def trusted(gateway: Gateway) -> ssl.SSLContext:
    """Return the certificates to trust; an empty context for plain http, as loading the CA bundle takes 40 ms.

    Raises:
        LLMConfigError: the certificates that the environment names cannot be read.
    """
    if gateway.url.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except OSError as exc:  # SSL_CERT_FILE or SSL_CERT_DIR name nothing that can be read
        reason = str(exc)
    raise LLMConfigError(f"the trusted certificates cannot be read ({reason}): see SSL_CERT_FILE")
