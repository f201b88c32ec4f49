"""The `session` cookie: signed, not encrypted; id, name, role and status live in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate
from http.cookies import CookieError, SimpleCookie
from typing import Any

MAX_AGE_S = 30 * 24 * 3600


class Sessions:
    """Signs and reads session cookies under one secret; another secret ends them all."""

    def __init__(self, secret: str, attributes: str = "") -> None:
        self._key = secret.encode()
        self._attributes = attributes

    def cookie(self, values: dict[str, Any]) -> str:
        """A Set-Cookie value that holds these values (none of them: logged out)."""
        body = f"{int(time.time())}|{json.dumps(values)}".encode()
        text = base64.urlsafe_b64encode(body + self._signature(body)).decode()
        expires = formatdate(time.time() + MAX_AGE_S, usegmt=True)
        return f"session={text}; Path=/; Expires={expires}; Max-Age={MAX_AGE_S}{self._attributes}"

    def read(self, header: str) -> dict[str, Any]:
        """The values of a request's Cookie header; none where it is forged, too old or absent."""
        try:
            jar = SimpleCookie(header)
            raw = base64.urlsafe_b64decode(jar["session"].value)
        except (CookieError, KeyError, ValueError):
            return {}
        body, signature = raw[:-32], raw[-32:]
        if not hmac.compare_digest(signature, self._signature(body)):
            return {}
        stamp, _, values = body.partition(b"|")
        if time.time() - int(stamp) > MAX_AGE_S:
            return {}
        loaded: dict[str, Any] = json.loads(values)
        return loaded

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()
