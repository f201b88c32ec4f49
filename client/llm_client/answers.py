"""What came back: an answer that can be used, or the reason why not."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import (
    BEFORE,
    DURING,
    GATEWAY_DATABASE,
    PROVIDER_BALANCE,
    PROVIDER_KEY,
    PROVIDER_RATE,
    LLMProtocolError,
    LLMStatusError,
)

_WORDS = {
    PROVIDER_KEY: "the provider refuses the gateway's key: ",
    PROVIDER_BALANCE: "the balance with the provider is used up: ",
    PROVIDER_RATE: "the provider's rate limit is reached: ",
    GATEWAY_DATABASE: "the gateway cannot read its database: ",
}
"""What stands before the message of an error that has such a reason."""

# Providers that answer HTTP 200 to a refusal, by their own codes: MiniMax's base_resp.status_code
# (platform.minimax.io/docs/api-reference/errorcode), Baidu's error_code (ai.baidu.com/ai-doc/WENXINWORKSHOP/tlmyncueh);
# OpenRouter, vLLM and RunPod put an HTTP status there (openrouter.ai/docs/api-reference/errors).
_MINIMAX = {
    **dict.fromkeys(("1004", "2049"), PROVIDER_KEY),
    **dict.fromkeys(("1008", "2056"), PROVIDER_BALANCE),
    **dict.fromkeys(("1002", "1039", "1041", "2045"), PROVIDER_RATE),
}
_BAIDU = {
    **dict.fromkeys(("13", "14", "110", "111"), PROVIDER_KEY),
    **dict.fromkeys(("17", "19"), PROVIDER_BALANCE),
    **dict.fromkeys(("4", "18"), PROVIDER_RATE),
}
_TOLD_STATUSES = {"401": PROVIDER_KEY, "402": PROVIDER_BALANCE, "429": PROVIDER_RATE}

_OWN_TYPES = ("one_api_error", "new_api_error")
_TOKEN_NOT_READ = "令牌验证失败"  # noqa: S105 -- One API's words for a database that is locked or gone, in a 401
_OVERLOADED = "system_cpu_overloaded"
"""new-api's code in a 503 while its host is busy: it relays nothing then."""
_RETRYABLE = frozenset({408, 429, 502, 503, 504, *range(520, 525), 529})
"""Also what proxies say of a server that they cannot reach (Cloudflare: 520 to 524) and overloaded providers (529)."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(rb"[!-~]{0,4096}")
_PIECE = 200
"""Characters of a body that is not JSON, shown in the summary."""


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, read to its end (or, for an error, as far as is of use)."""

    status: int
    body: bytes
    location: str | None = None
    request_id: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True)
class _Complaint:
    """What a gateway says is wrong."""

    text: str
    type: str | None = None
    code: str | None = None
    reason: str | None = None


def chat_answer(reply: Reply) -> dict[str, Any]:
    """Return a chat completion that holds at least one choice.

    Raises:
        LLMStatusError: the status is not 2xx.
        LLMProtocolError: 2xx without a completion: One API answers 200 to some failures.
    """
    answer = json_answer(reply)
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _without(reply, answer, "choices")
    if not isinstance(choices[0].get("message"), dict) or choices[0].get("error"):
        raise _without(reply, choices[0], "a message")
    return answer


def no_stream(reply: Reply) -> NoReturn:
    """Raise the error of an answer that came whole where a stream was asked for."""
    json_answer(reply)
    raise _unusable(reply, "one piece of JSON instead of a stream")


def model_names(reply: Reply) -> list[str]:
    """Return the names in a model list."""
    rows = json_answer(reply).get("data")
    if not isinstance(rows, list):
        raise _unusable(reply, "a model list without data")
    names = [row.get("id") for row in rows if isinstance(row, dict)]
    if len(names) != len(rows) or not all(isinstance(name, str) for name in names):
        raise _unusable(reply, "a model list with an entry that has no id")
    return [str(name) for name in names]


def numbers(reply: Reply, names: Sequence[str]) -> dict[str, float]:
    """Return those fields of an answer, each a number."""
    answer = json_answer(reply)
    found = {name: answer.get(name) for name in names}
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in found.values()):
        raise _unusable(reply, f"no number in {' or '.join(names)}")
    return {name: float(value) for name, value in found.items() if value is not None}


def json_answer(reply: Reply) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer that holds no error."""
    if not 200 <= reply.status < 300:
        raise _status_error(reply)
    found = _parsed(reply.body)
    if not isinstance(found, dict):
        raise _unusable(reply, _looks_like(reply.body))
    if found.get("error") or found.get("object") == "error" or _code_failed(found):
        raise error_inside(reply)
    return found


def error_inside(reply: Reply) -> LLMProtocolError:
    """Return the error of a 2xx that tells one."""
    complaint = _complaint(reply.body)
    reason = complaint.reason or _TOLD_STATUSES.get(complaint.code or "")
    return LLMProtocolError(
        f"HTTP {reply.status} with an error in it: {_WORDS.get(reason or '', '')}{complaint.text or 'no message'}",
        status=reply.status,
        request_id=reply.request_id,
        retryable=reason == PROVIDER_RATE or _is_transient(complaint.code),
        retry_after=_seconds(reply.retry_after),
        error_type=complaint.type,
        error_code=complaint.code,
        reason=reason,
    )


def _is_transient(code: str | None) -> bool:
    """Whether the code of an error in a 2xx is a status that would be worth another try."""
    return code in {str(status) for status in _RETRYABLE}


def _status_error(reply: Reply) -> LLMStatusError:
    complaint = _complaint(reply.body)
    text, reason = complaint.text, complaint.reason
    if 300 <= reply.status < 400:
        text = f"redirect to {reply.location or 'nowhere'} not followed: it would take the key along"
    if reply.status == 401 and complaint.type in _OWN_TYPES and _TOKEN_NOT_READ in text:
        reason = GATEWAY_DATABASE
        text = f"{_WORDS[reason]}{text}"
    is_worth_it = reply.status in _RETRYABLE or reason in (PROVIDER_RATE, GATEWAY_DATABASE)
    return LLMStatusError(
        f"HTTP {reply.status}: {text or 'no message'}",
        status=reply.status,
        request_id=reply.request_id,
        retryable=is_worth_it and not _no_channel(reply.status, complaint),
        retry_after=_seconds(reply.retry_after),
        error_type=complaint.type,
        error_code=complaint.code,
        reason=reason,
        gateway_failed=BEFORE if reason == GATEWAY_DATABASE else _gateway_failed(reply, complaint),
    )


def _gateway_failed(reply: Reply, complaint: _Complaint) -> str | None:
    """Whether it is the gateway that is gone or not ready, by the word of its own or of a proxy before it.

    One API and new-api put JSON and a request ID even into what they relay; only what has neither comes from nginx,
    `tailscale serve` and the like. A 503 of those has reached nobody; a 502 or 504 may have cut off one at work.
    """
    if reply.status == 503 and complaint.code == _OVERLOADED:
        return BEFORE
    if reply.request_id is not None or isinstance(_parsed(reply.body), (dict, list)):
        return None
    return {502: DURING, 503: BEFORE, 504: DURING}.get(reply.status)


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` (RFC 9110, 10.2.3), a number of seconds or a date, as seconds from now; None if unreadable."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after)
    return seconds if 0 <= seconds < math.inf else None


def _seconds_until(date: str) -> float:
    from email.utils import parsedate_to_datetime  # rarely needed, and a fifth of what `import client` would take

    try:
        return max(parsedate_to_datetime(date).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError, OSError):  # no date, or one that no calendar has
        return math.nan


def _no_channel(status: int, complaint: _Complaint) -> bool:
    """Whether no channel serves the model, so that waiting does not help.

    One API's own 503 says nothing else; new-api's has a code, as there are others (``system_cpu_overloaded``).
    """
    return status == 503 and (complaint.type == "one_api_error" or complaint.code == "model_not_found")


def _without(reply: Reply, found: dict[str, Any], what: str) -> LLMProtocolError:
    """The error of an answer that lacks `what`, with whatever it says about that."""
    error = found.get("error")
    said = _first_text(error if isinstance(error, dict) else found, "message", "msg")
    return _unusable(reply, f"an answer without {what}" + (f": {said}" if said else ""))


def _unusable(reply: Reply, what: str) -> LLMProtocolError:
    return LLMProtocolError(f"HTTP {reply.status} with {what}", status=reply.status, request_id=reply.request_id)


def _complaint(body: bytes) -> _Complaint:
    """The message of an error, in any of the shapes in which gateways and providers send it."""
    found = _first(_parsed(body))
    if not isinstance(found, dict):
        return _Complaint(_looks_like(body) if _is_html(body) else _piece(body))
    error = _first(found.get("error"))
    if isinstance(error, dict):
        text = _first_text(error, "message", "msg", "code", "type") or _piece(body)
        return _Complaint(text, _scalar(error.get("type")), _scalar(error.get("code")))
    if isinstance(error, str) and error:
        message = _first_text(found, "message", "msg")
        return _Complaint(error if message is None else f"{error}: {message}")
    base = found.get("base_resp")
    if isinstance(base, dict):
        text, code = _first_text(base, "status_msg") or "MiniMax refused", _scalar(base.get("status_code"))
        return _Complaint(text, code=code, reason=_MINIMAX.get(code or ""))
    if found.get("error_msg"):
        code = _scalar(found.get("error_code"))
        return _Complaint(_first_text(found, "error_msg") or _piece(body), code=code, reason=_BAIDU.get(code or ""))
    detail = _first(found.get("detail"))
    inner = detail if isinstance(detail, dict) else found
    text = _first_text(inner, "message", "msg", "detail") or _piece(body)
    if isinstance(inner.get("loc"), list):  # which field, as FastAPI tells it: ["body", "max_tokens"]
        text = ": ".join([*(str(name) for name in inner["loc"][1:]), text])
    return _Complaint(text, _scalar(found.get("type")), _scalar(found.get("code")))


def _code_failed(found: dict[str, Any]) -> bool:
    """Whether MiniMax's or Baidu's own code says that the call failed."""
    base = found.get("base_resp")
    codes = (base.get("status_code") if isinstance(base, dict) else None, found.get("error_code"))
    return any(code not in (0, None, "") for code in codes)


def _first(value: object) -> object:
    """The first of a list, as Gemini and FastAPI wrap their errors in; anything else as it is."""
    return value[0] if isinstance(value, list) and value else value


def _first_text(found: dict[str, Any], *names: str) -> str | None:
    for name in names:
        text = _scalar(found.get(name))
        if text and text.strip():
            return text
    return None


def _scalar(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def _parsed(body: bytes) -> object:
    """The JSON in `body`, or None: no caller has a use for a JSON null."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _looks_like(body: bytes) -> str:
    """In words what a body is that should have been a JSON object."""
    if not body.strip():
        return "an empty body"
    if _is_html(body):
        title = _TITLE.search(_beginning(body, 4096))
        named = f" ({_beginning(title.group(1).strip().encode(), 80)})" if title else ""
        return f"a web page{named} instead of JSON: is the base URL right?"
    if body.lstrip()[:1] in (b"{", b"["):
        return "JSON that is cut off or is not an object"
    return f"something that is not JSON: {_piece(body)}"


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


def _piece(body: bytes) -> str:
    """The beginning of a body; longer than is shown, as blanks are yet to be drawn together."""
    return _beginning(body, _PIECE * 20).strip()


def _beginning(text: bytes, length: int) -> str:
    """About `length` bytes, but to the end of the word: of a key that is cut in two, nobody would find the half."""
    word = _WORD.match(text, length)
    return text[: word.end() if word else length].decode("utf-8", "replace")
