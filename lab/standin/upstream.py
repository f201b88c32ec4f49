"""HTTP to a channel's upstream: one connection a request, through a proxy only where told to."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from .config import Config
from .go_words import network_problem

GO_HEADERS = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}


class UpstreamError(Exception):
    """The upstream did not answer: DNS, TCP, TLS, a broken or a late answer, an unusable URL."""


@dataclass
class Upstream:
    """Sends requests as the environment says: RELAY_PROXY, else Go's HTTP(S)_PROXY and NO_PROXY."""

    config: Config

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, is_passed_on: bool = False
    ) -> HTTPResponse:
        """Send one request and return the answer, its body unread.

        Parameters: `is_passed_on`, the body is the client's own, of which Go's client does not know the length: it
        goes in chunks, and an upstream that wants a length refuses it.
        Raises UpstreamError in the words of Go's client, without headers (they hold the key).
        """
        parts = urlsplit(url)
        try:
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise OSError(f'unsupported protocol scheme "{parts.scheme}"')
            connection, target = self._connect(parts)
            sent = {**GO_HEADERS, **headers, **({"Transfer-Encoding": "chunked"} if is_passed_on else {})}
            pieces = iter((body,)) if is_passed_on else body
            connection.request(method, target, body=pieces, headers=sent, encode_chunked=is_passed_on)
            return connection.getresponse()
        except (OSError, HTTPException, ValueError) as error:
            problem = network_problem(error, parts.hostname or "", _port(parts))
            message = f'do request failed: {method.capitalize()} "{url}": {problem}'
            raise UpstreamError(message) from None

    def _connect(self, parts: SplitResult) -> tuple[HTTPConnection, str]:
        """A connection, direct or through a proxy, and the target to name in the request line."""
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        timeout = self.config.relay_timeout_s or None
        proxy = self.proxy_for(parts)
        host, port = (parts.hostname or ""), parts.port
        if not proxy:
            if parts.scheme == "http":
                return HTTPConnection(host, port, timeout=timeout), path
            return HTTPSConnection(host, port, timeout=timeout, context=_tls()), path
        via = urlsplit(proxy)
        if parts.scheme == "http":
            return HTTPConnection(via.hostname or "", via.port, timeout=timeout), parts.geturl()
        tunnel = HTTPSConnection(via.hostname or "", via.port, timeout=timeout, context=_tls())
        tunnel.set_tunnel(host, port or 443)
        return tunnel, path

    def proxy_for(self, parts: SplitResult) -> str:
        """The proxy of a URL, or none; Go never sends loopback through the environment's proxy."""
        if self.config.relay_proxy:
            return self.config.relay_proxy
        env = self.config.environ
        name = f"{parts.scheme}_proxy"
        proxy = env.get(name.upper()) or env.get(name) or ""
        proxies = {"no": env.get("NO_PROXY") or env.get("no_proxy") or ""}
        host = parts.hostname or ""
        if _is_loopback(host) or proxy_bypass_environment(host, proxies):
            return ""
        return proxy


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
