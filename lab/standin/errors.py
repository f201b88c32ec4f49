"""The relay's error shapes: always an object under `error`, always with the request id in its text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .web import Response, json_response

SATURATED = "当前分组上游负载已饱和，请稍后再试"


class RefusedError(Exception):
    """A request refused before any channel was tried: type one_api_error, no code, no param."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def response(self, request_id: str) -> Response:
        error = {"message": f"{self} (request id: {request_id})", "type": "one_api_error"}
        return json_response({"error": error}, self.status)


@dataclass
class RelayError(Exception):
    """A request that failed in or behind a channel."""

    status: int
    message: str
    code: Any
    type: str = "one_api_error"
    param: str = ""

    def response(self, request_id: str) -> Response:
        """Status 429 tells the upstream is saturated, whatever the upstream said."""
        message = SATURATED if self.status == 429 else self.message
        return error_object(f"{message} (request id: {request_id})", self.type, self.code, self.status, self.param)


def error_object(message: str, kind: str, code: Any, status: int, param: str = "") -> Response:
    """A full error object."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_response({"error": error}, status)


def from_upstream(status: int, body: bytes) -> RelayError:
    """What an upstream's failure becomes.

    An OpenAI-shaped error goes through as it is. Of other JSON the message is kept. A body that is
    no JSON object, or whose `error` is no object, leaves an empty message.
    """
    bad = RelayError(status, "", "bad_response_status_code", "upstream_error", str(status))
    try:
        given = json.loads(body)
    except ValueError:
        return bad
    if not isinstance(given, dict) or not isinstance(given.get("error") or {}, dict):
        return bad
    error = given.get("error") or {}
    if isinstance(error.get("message"), str) and error["message"]:
        return openai_error(status, error)
    bad.message = other_message(given) or f"bad response status code {status}"
    return bad


def openai_error(status: int, error: dict[str, Any]) -> RelayError:
    """An OpenAI-shaped error object, its code kept as it is (text, number or null)."""
    return RelayError(
        status,
        str(error.get("message") or ""),
        error.get("code"),
        str(error.get("type") or ""),
        str(error.get("param") or ""),
    )


def other_message(given: dict[str, Any]) -> str:
    """The message of a failure that is not OpenAI-shaped, wherever it stands; empty where there is none."""
    paths = (
        ("message",),
        ("msg",),
        ("err",),
        ("error_msg",),
        ("header", "message"),
        ("response", "error", "message"),
    )
    for path in paths:
        value: Any = given
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""
