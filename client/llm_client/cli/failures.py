"""What went wrong, for a person and for a script: one line on stderr, and an exit code."""

from __future__ import annotations

import json
import re

from ..errors import (
    GATEWAY_DATABASE,
    PROVIDER_BALANCE,
    PROVIDER_KEY,
    PROVIDER_RATE,
    LLMConfigError,
    LLMConnectionError,
    LLMError,
    LLMStatusError,
    LLMTimeoutError,
)

FINE = 0
OUTPUT_FAILED = 1
CONFIGURATION = 2
TIMED_OUT = 3
REFUSED = 4
FAILED = 5
UNREACHABLE = 6
INTERRUPTED = 130
READER_GONE = 141
"""As if SIGPIPE had ended us, which Python ignores: what ``yes | head -1`` gives."""

EXIT_CODES = """exit codes:
  0    done
  1    the answer could not be written (disk full)
  2    configuration or usage: nothing was sent
  3    time-out
  4    the gateway or the provider refused: HTTP 4xx (key, model, quota, rate), also in an HTTP 200
  5    gateway or model failed: HTTP 5xx, no usable answer, an answer that broke off
  6    not reachable: connection, DNS, TLS, proxy
  130  interrupted; 141: the reader of the output went away"""

_FIXES = {
    "ECONNREFUSED": "is the gateway up, and is that its address and port (LLM_BASE_URL)?",
    "ECONNRESET": "is that the gateway's port, and http or https as it should be? its log tells more",
    "ENOTFOUND": "is the name right (LLM_BASE_URL), and is this machine in the tailnet? `tailscale status`",
    "EAI_AGAIN": "does DNS work here? `tailscale status`",
    "EHOSTUNREACH": "is this machine in the tailnet? `tailscale status`",
    "ENETUNREACH": "is this machine in the tailnet? `tailscale status`",
    "ETLS": "does the gateway speak https on that port? a CA of your own goes into SSL_CERT_FILE",
    "EPROXY": "LLM_PROXY, HTTP_PROXY and HTTPS_PROXY name the proxy, NO_PROXY the hosts that need none",
}
_REASONS = {
    PROVIDER_KEY: "whoever runs the gateway must correct the key of the model's channel",
    PROVIDER_BALANCE: "top up the account with the provider",
    PROVIDER_RATE: "wait a little, or look at the provider's limits",
    GATEWAY_DATABASE: "the key may be right: the gateway's database is locked, full or gone; its log tells more",
}
_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{8,}")


def exit_code(error: LLMError, answer_begun: bool) -> int:
    """Return the exit code for `error`; `answer_begun`: whether some of an answer had come."""
    if isinstance(error, LLMConfigError):
        return CONFIGURATION
    if error.code == LLMTimeoutError.default_code:  # the system's own ETIMEDOUT as well
        return TIMED_OUT
    if error.reason is not None:
        return FAILED if error.reason == GATEWAY_DATABASE else REFUSED
    if isinstance(error, LLMStatusError) and error.status is not None and 400 <= error.status < 500:
        return REFUSED
    if isinstance(error, LLMConnectionError) and not answer_begun and not _broke_off(error):
        return UNREACHABLE
    return FAILED


def as_json(error: LLMError, code: int) -> str:
    """Return `error` as one line of JSON, the exit code among its fields."""
    found = {
        "code": error.code,
        "status": error.status,
        "model": error.model,
        "request_id": error.request_id,
        "retryable": error.retryable,
        "reason": error.reason,
        "summary": _without_key(error.summary),
        "exit": code,
    }
    return json.dumps(found, ensure_ascii=False)


def as_line(error: LLMError, program: str) -> str:
    """Return `error` as one line: what happened to which model, the request's ID, the fix."""
    text = f"{error.model}: {error.summary}" if error.model else error.summary
    if error.request_id and error.request_id not in text:
        text += f" (request id: {error.request_id})"
    fix = _fix(error, program)
    return _without_key(f"error: {text}" + (f"; {fix}" if fix else ""))


def one_line(text: str) -> str:
    """Return `text` on one line and fit for a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _broke_off(error: LLMConnectionError) -> bool:
    """Whether the connection went after the head of an answer: otherwise it would be worth another try."""
    return error.code == LLMConnectionError.default_code and not error.retryable


def _without_key(text: str) -> str:
    """Hide what looks like a key: it may have been typed where a path or a URL belongs."""
    return _KEY.sub("sk-[hidden]", one_line(text))


def _fix(error: LLMError, program: str) -> str | None:
    if error.reason is not None:
        return _REASONS[error.reason]
    if isinstance(error, LLMStatusError):
        return _fix_of_status(error, program)
    if error.code == "ETIMEDOUT":
        ping = f", `{program} ping` tells whether the gateway is there" if error.model else ""
        return f"--timeout SECONDS gives it longer{ping}"
    return _FIXES.get(error.code)


def _fix_of_status(error: LLMStatusError, program: str) -> str | None:
    status = error.status or 0
    if status == 401:
        return "is the key (LLM_API_KEY) one of this gateway's, enabled and not expired?"
    if status == 403:
        return "the gateway's admin page shows what this key may use: models, quota, subnet"
    if error.model and (status == 404 or (status == 503 and not error.retryable)):
        return f"`{program} models` lists what there is"
    if status == 404:
        return "is that the gateway's address (LLM_BASE_URL)?"
    if status == 429:
        return "wait a little, or look at the provider's limits"
    if 300 <= status < 400:
        return "give the address that it leads to as LLM_BASE_URL"
    return "the gateway's own log tells more" if status >= 500 else None
