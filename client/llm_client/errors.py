"""The one family of errors that this package raises."""

from __future__ import annotations

from typing import ClassVar

PROVIDER_KEY, PROVIDER_BALANCE, PROVIDER_RATE = "provider_key", "provider_balance", "provider_rate"
GATEWAY_DATABASE = "gateway_database"
"""What `LLMError.reason` may be."""
BEFORE, DURING = "before", "during"
"""What `LLMError.gateway_failed` may be."""


class LLMError(Exception):
    """A call to the gateway that gave no usable answer.

    Attributes:
        code: a short machine-readable name, the same for all errors of one kind
            (``ETIMEDOUT``, ``LLM_CLIENT_CONFIG``, ``ECONNREFUSED``, ...).
        summary: one line for a person; also ``str(error)``. Never holds the key.
        status: HTTP status, where the gateway answered.
        model: the model that was asked for.
        request_id: One API's ``X-Oneapi-Request-Id``, to find the call in its logs.
        retryable: True where the same call may succeed later and no answer had begun.
        retry_after: seconds that the gateway asks to wait (``Retry-After``), where it does.
        error_type: the gateway's own ``error.type``.
        error_code: the gateway's own ``error.code``, as text.
        reason: whose fault it is, where the answer tells: ``provider_key``, ``provider_balance``,
            ``provider_rate`` (the provider behind the gateway refuses), ``gateway_database``, else None.
        gateway_failed: ``before``: the gateway itself was not there or not ready, and has carried out nothing;
            ``during``: it may have carried the call out; None: it is not the gateway that failed.
        base_url: the gateway that was asked; None where none was.
        failures: what each gateway said, by its address, where a call asked more than one.
    """

    default_code: ClassVar[str] = "LLM_ERROR"

    def __init__(
        self,
        summary: str,
        *,
        code: str | None = None,
        status: int | None = None,
        model: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        error_type: str | None = None,
        error_code: str | None = None,
        reason: str | None = None,
        gateway_failed: str | None = None,
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.code = code or self.default_code
        self.status = status
        self.model = model
        self.request_id = request_id
        self.retryable = retryable
        self.retry_after = retry_after
        self.error_type = error_type
        self.error_code = error_code
        self.reason = reason
        self.gateway_failed = gateway_failed
        self.base_url: str | None = None
        self.failures: dict[str, str] = {}

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, summary={self.summary!r})"


class LLMConfigError(LLMError):
    """The caller's mistake: a missing variable, a bad URL or key, an unsendable argument."""

    default_code = "LLM_CLIENT_CONFIG"


class LLMTimeoutError(LLMError):
    """No complete answer within the deadline. Not retryable: it may have been billed."""

    default_code = "ETIMEDOUT"


class LLMConnectionError(LLMError):
    """No connection, or one that broke; ``code`` is the system's, such as ``ECONNREFUSED``."""

    default_code = "ECONNRESET"


class LLMStatusError(LLMError):
    """The gateway answered with a status other than 2xx."""

    default_code = "LLM_HTTP_STATUS"


class LLMProtocolError(LLMError):
    """The gateway answered 2xx, but with a web page, an error, cut JSON, ..."""

    default_code = "LLM_BAD_ANSWER"
