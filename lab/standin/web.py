"""Requests, responses and routes: as much of a web framework as the stand-in needs."""

from __future__ import annotations

import gzip
import html
import ipaddress
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    """One request; `target` is path and query as sent, `user_id` and below are set by the auth step."""

    method: str
    target: str
    headers: HTTPMessage
    body: bytes
    client_ip: str
    request_id: str
    params: dict[str, str] = field(default_factory=dict)
    user_id: int = 0
    username: str = ""
    role: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True).get(name)
        return values[0] if values else default

    def query_number(self, name: str) -> int:
        """A query parameter as a number; 0 where it is none."""
        try:
            return int(self.query(name))
        except ValueError:
            return 0

    def header(self, name: str) -> str:
        return self.headers.get(name) or ""


@dataclass
class Response:
    """An answer: either `body`, or `stream`, whose pieces are sent as they come."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None


Handler = Callable[[Any, Request], Response]
"""Of a flavour's own app and a request."""


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON, as gin writes it."""
    content_type = {"Content-Type": "application/json; charset=utf-8"}
    return Response(status, go_json(value), {**content_type, **(headers or {})})


def go_json(value: Any) -> bytes:
    """Compact JSON with `<`, `>` and `&` escaped, as Go writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode()


def compressed(request: Request, response: Response) -> Response:
    """The answer gzipped where the client takes that: One API does so everywhere but on the relay."""
    if "gzip" in request.header("Accept-Encoding"):
        response.headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        response.body = gzip.compress(response.body)
    return response


class Router:
    """Paths with `:name` segments; a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._routes: dict[str, list[tuple[list[str], Handler]]] = {}

    def add(self, methods: str, pattern: str, handler: Handler) -> None:
        for method in methods.split():
            self._routes.setdefault(method, []).append((pattern.split("/"), handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The handler of a path and the values of its parameters."""
        wanted = path.split("/")
        fits = [(segments, handler) for segments, handler in self._routes.get(method, []) if _fits(segments, wanted)]
        if not fits:
            return None
        segments, handler = min(fits, key=lambda fit: [part.startswith(":") for part in fit[0]])
        params = {part[1:]: value for part, value in zip(segments, wanted, strict=True) if part.startswith(":")}
        return handler, params

    def redirect(self, method: str, target: str) -> Response | None:
        """The redirect to the same path with (or without) its last slash, if that is a route."""
        parts = urlsplit(target)
        other = parts.path[:-1] if parts.path.endswith("/") else parts.path + "/"
        if parts.path == "/" or not self.find(method, other):
            return None
        location = parts._replace(path=other).geturl()
        if method != "GET":
            return Response(307, b"", {"Location": location})
        page = f'<a href="{html.escape(location)}">Moved Permanently</a>.\n\n'
        return Response(301, page.encode(), {"Location": location, "Content-Type": "text/html; charset=utf-8"})


def _fits(segments: list[str], wanted: list[str]) -> bool:
    return len(segments) == len(wanted) and all(
        part == value or (part.startswith(":") and value) for part, value in zip(segments, wanted, strict=True)
    )


def client_ip(peer: str, headers: HTTPMessage) -> str:
    """The caller's address as gin's defaults see it: X-Forwarded-For is believed from anyone."""
    for name in ("X-Forwarded-For", "X-Real-IP"):
        first = (headers.get(name) or "").split(",")[0].strip()
        try:
            return str(ipaddress.ip_address(first))
        except ValueError:
            continue
    return peer.removeprefix("::ffff:")
