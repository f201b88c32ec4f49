"""Answers of an admin API: ``{"success": bool, "message": str, "data": any}``, mostly in HTTP 200."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from llm_gateway.flavours.errors import AdminError, NotAdminAPI, RateLimited, Refused, Unauthorised, Unreachable
from llm_gateway.model.redaction import redacted

_TEXT_LIMIT = 300


@dataclass(frozen=True)
class Reply:
    """One HTTP answer to `call` (such as ``PUT /api/option/``)."""

    call: str
    status: int
    body: bytes


def opened(reply: Reply, secrets: Collection[str], not_allowed: str) -> object:
    """Return the ``data`` of a successful answer, None where there is none.

    Args:
        reply: the answer.
        secrets: texts that no error may repeat, even when the server does.
        not_allowed: how a refusal of a role or an access token begins that comes in HTTP 200.

    Raises:
        Unauthorised, Refused, RateLimited, NotAdminAPI, Unreachable: see there.
    """
    if reply.status == 429:
        raise RateLimited(f"{reply.call}: too many requests from this address; try again later")
    if reply.status in (502, 503, 504):
        raise Unreachable(f"{reply.call}: HTTP {reply.status}: nothing behind the proxy answers")
    found = _parsed(reply.body)
    if not isinstance(found, dict) or not isinstance(found.get("success"), bool):
        raise _not_an_envelope(reply, found, secrets)
    if not found["success"] or reply.status != 200:
        raise _refusal(reply, _shown(found.get("message"), secrets), not_allowed)
    data: object = found.get("data")
    return data


def unexpected(call: str, detail: object) -> NotAdminAPI:
    """The error for an envelope with something else in it than `call` gives; names fields only."""
    return NotAdminAPI(f"{call}: not the answer of a gateway that is known ({detail})")


def _refusal(reply: Reply, message: str, not_allowed: str) -> AdminError:
    if reply.status == 401 or (not_allowed and message.startswith(not_allowed)):
        return Unauthorised(f"{reply.call}: not allowed: {message or 'HTTP 401'}")
    return Refused(reply.call, message)


def _not_an_envelope(reply: Reply, found: object, secrets: Collection[str]) -> AdminError:
    if reply.status == 401:
        return Unauthorised(f"{reply.call}: HTTP 401")
    if 300 <= reply.status < 400:
        return NotAdminAPI(f"{reply.call}: HTTP {reply.status}: a redirect, which is not followed")
    if isinstance(found, dict):
        error = found.get("error")
        text = _shown(error.get("message") if isinstance(error, dict) else None, secrets)
        what = f"an error: {text}" if text else "JSON of another kind"
    elif reply.body.lstrip()[:1] == b"<":
        what = "a web page"
    else:
        what = "something that is not JSON" if reply.body.strip() else "an empty body"
    return NotAdminAPI(f"{reply.call}: HTTP {reply.status} with {what}, not a gateway's admin API")


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _shown(message: object, secrets: Collection[str]) -> str:
    """A server's message on one line, without `secrets` or other keys."""
    return redacted(message, secrets, _TEXT_LIMIT) if isinstance(message, str) else ""
