"""Requests to the admin API: one connection, no proxy, no retry, bounded in time and size."""

from __future__ import annotations

import errno
import socket
import ssl
import time

import httpx

from llm_gateway.flavours.envelope import Reply
from llm_gateway.flavours.errors import AdminError, Invalid, NotAdminAPI, Unreachable

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes; a list of a thousand channels has about 1 MiB."""


def make_client(
    base_url: str, access_token: str | None, transport: httpx.BaseTransport | None, timeout: float
) -> httpx.Client:
    """Return the HTTP client for `base_url`; the environment's proxies are never used.

    Raises:
        Invalid: no http(s) URL, or a token that no header can carry.
    """
    try:
        url = httpx.URL(base_url.strip().rstrip("/"))
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise Invalid("the admin URL needs the form http://host:port")
    headers = {"Accept": "application/json"}
    if access_token is not None:
        if not access_token or not all("!" <= c <= "~" for c in access_token):
            raise Invalid("the access token must be printable ASCII without blanks")
        headers["Authorization"] = access_token
    # Building the usual context reads the CA bundle, 40 ms that plain http has no use for.
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.scheme == "http" else True
    return httpx.Client(
        base_url=url,
        headers=headers,
        transport=transport,
        timeout=timeout,
        trust_env=False,
        verify=plain,
        follow_redirects=False,
    )


def ask(client: httpx.Client, method: str, path: str, fields: object | None, seconds: float) -> Reply:
    """Send one request and read the whole answer.

    Args:
        client: from `make_client`.
        method: HTTP method.
        path: on the server.
        fields: the JSON body, if any.
        seconds: for the answer to be complete, once it has begun.

    Raises:
        Unreachable: no connection, or no complete answer in time.
        NotAdminAPI: an answer that is not HTTP, or too large.
    """
    call = f"{method} {path.split('?', 1)[0]}"
    error: AdminError
    try:
        with client.stream(method, path, json=fields) as response:
            return Reply(call, response.status_code, _read(response, call, seconds))
    except httpx.TimeoutException:
        error = Unreachable(f"{call}: no answer from {client.base_url} within {seconds:g} s")
    except httpx.HTTPError as exc:
        error = Unreachable(f"{call}: no answer from {client.base_url}: {_reason(exc)}")
    # Raised outside the handler: httpx's exception holds the request, with the token in it.
    raise error


def _read(response: httpx.Response, call: str, seconds: float) -> bytes:
    end = time.monotonic() + seconds
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if time.monotonic() > end:
            raise Unreachable(f"{call}: the answer was not complete within {seconds:g} s")
        if len(body) > ANSWER_LIMIT:
            raise NotAdminAPI(f"{call}: an answer of more than {ANSWER_LIMIT >> 20} MiB")
    return bytes(body)


def _reason(exc: BaseException) -> str:
    """Why, in the system's words where there are any; httpx's own may quote a header."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLError):
        return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason}"
    if isinstance(cause, socket.gaierror):
        return "the name cannot be resolved"
    if cause is not None and cause.errno:
        return f"{errno.errorcode.get(cause.errno, cause.errno)}: {cause.strerror}"
    if isinstance(exc, httpx.RemoteProtocolError):
        return "it closed the connection or does not speak HTTP"
    return type(exc).__name__
