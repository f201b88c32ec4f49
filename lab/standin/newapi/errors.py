"""The relay's error shapes: those of its own with the request id in their text, an upstream's as it said them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..errors import other_message
from ..web import Response, json_response

OWN = "new_api_error"
BAD_STATUS = "bad_response_status_code"
NO_WORDS = "openai_error"
"""The message where an upstream gave none that can be read."""
_URL = re.compile(r"https?://[^\s/$.?#].[^\s]*", re.IGNORECASE)
_DOMAIN = re.compile(r"\b(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+([a-zA-Z]{2,})\b")
_ADDRESS = re.compile(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b")


class RefusedError(Exception):
    """A request refused before any channel was tried, in an object of three fields."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self, request_id: str) -> Response:
        error = {"code": self.code, "message": f"{self} (request id: {request_id})", "type": OWN}
        return json_response({"error": error}, self.status)


@dataclass
class RelayError(Exception):
    """A request that failed behind the choice of a channel; `is_final`: no other channel is tried."""

    status: int
    message: str
    code: Any
    type: str = OWN
    param: str = ""
    is_final: bool = False

    def response(self, request_id: str) -> Response:
        """The error as an OpenAI client reads it."""
        shown = masked(self.message) + (f" (request id: {request_id})" if self.type == OWN else "")
        error = {"message": shown, "type": self.type, "param": self.param, "code": self.code}
        return json_response({"error": error}, self.status)

    def as_claude(self, request_id: str) -> Response:
        """The error as an Anthropic client reads it: of what an upstream said, the type is the code here."""
        code = "<nil>" if self.code is None else str(self.code)
        shown = f"bad response status code {self.status}" if self.message == NO_WORDS else masked(self.message)
        error = {"type": OWN if self.type == OWN else code, "message": f"{shown} (request id: {request_id})"}
        return json_response({"error": error, "type": "error"}, self.status)


def masked(text: str) -> str:
    """A text without the addresses in it: of a URL the scheme and the last part of the host stay.

    What looks like a name of a host is taken for one: `dto.Message` becomes `***.Message`.
    """
    text = _URL.sub(lambda found: _masked_url(found[0]), text)
    return _ADDRESS.sub("***.***.***.***", _DOMAIN.sub(r"***.\1", text))


def _masked_url(url: str) -> str:
    parts = urlsplit(url)
    host = "***." + parts.netloc.rpartition(".")[2]
    path = "/".join("***" if part else "" for part in parts.path.strip("/").split("/"))
    query = "&".join(f"{name}=***" for name in parse_qs(parts.query))
    return f"{parts.scheme}://{host}{f'/{path}' if parts.path else ''}{f'?{query}' if query else ''}"


def from_upstream(status: int, body: bytes) -> RelayError:
    """What an upstream's failure becomes: its own words where it is an OpenAI-shaped error or has a message."""
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return RelayError(status, NO_WORDS, BAD_STATUS, BAD_STATUS)
    if isinstance(error := given.get("error"), dict):
        return openai_error(status, error)
    message = error if isinstance(error, str) and error else other_message(given)
    return RelayError(status, message, BAD_STATUS, BAD_STATUS)


def openai_error(status: int, error: dict[str, Any]) -> RelayError:
    """An OpenAI-shaped error object, its code kept as it is (text, number or null)."""
    return RelayError(
        status,
        str(error.get("message") or ""),
        error.get("code"),
        str(error.get("type") or ""),
        str(error.get("param") or ""),
    )
